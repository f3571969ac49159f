"""Two ONNX models as one, where the first makes the matrix that the second takes."""

from __future__ import annotations

from typing import Any

from mlserve_cli.errors import InvalidModel
from mlserve_cli.optimize.convert.source import MATRIX, Precision

OF_ONNX = {"float32": 1, "float64": 11}
_JOINT = "matrix/joint"


def joined(first: Any, second: Any, takes: Precision) -> Any:
    """One model: the second's only input is the first's only output, cast to what it takes; scores keep their names."""
    from onnx import helper

    if len(first.graph.output) != 1 or [one.name for one in second.graph.input] != [MATRIX]:
        raise InvalidModel("what comes before its trees does not make one matrix")
    (joint,) = first.graph.output
    cast = helper.make_node("Cast", [f"before/{joint.name}"], [_JOINT], to=OF_ONNX[takes])
    _rename(first.graph, {name: f"before/{name}" for name in _made(first.graph)})
    _rename(second.graph, {MATRIX: _JOINT})
    graph = helper.make_graph(
        [*first.graph.node, cast, *second.graph.node],
        "pipeline",
        list(first.graph.input),
        list(second.graph.output),
        [*first.graph.initializer, *second.graph.initializer],
    )
    versions: dict[str, int] = {}
    for opset in (*first.opset_import, *second.opset_import):
        versions[opset.domain] = max(versions.get(opset.domain, 1), opset.version)
    opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=min(first.ir_version, second.ir_version))


def _made(graph: Any) -> set[str]:
    """Names that a graph gives to what it holds and computes."""
    return {name for node in graph.node for name in node.output} | {one.name for one in graph.initializer}


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.name = ""
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for one in graph.initializer:
        one.name = names.get(one.name, one.name)
