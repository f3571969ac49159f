"""What skl2onnx writes for rows of doubles, changed so that ONNX Runtime runs it and scores as scikit-learn does.

ONNX Runtime has no Imputer for doubles. And a forest that skl2onnx writes for doubles compares them, where scikit-learn
makes float32 of whatever its trees read: of two decimals that lie as close, one would take another leaf.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlserve_cli.optimize.convert.thresholds import is_trees, round_branches_down


def write_out_imputers(model: Any) -> None:
    """In place: each Imputer of floats becomes what it means, `Where(x is missing, value, x)`."""
    nodes: list[Any] = []
    for node in model.graph.node:
        attributes = {one.name: one for one in node.attribute}
        imputes = node.op_type == "Imputer" and "imputed_value_floats" in attributes
        nodes += _imputer(model, node, attributes) if imputes else [node]
    _set_nodes(model, nodes)


def feed_trees_float32(model: Any) -> None:
    """In place: each tree node reads its rows as float32, its thresholds rounded down to that."""
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    for node in model.graph.node:
        if is_trees(node):
            read = f"{node.output[0]}_reads"
            nodes.append(helper.make_node("Cast", [node.input[0]], [read], to=TensorProto.FLOAT))
            node.input[0] = read
            round_branches_down(node)
        nodes.append(node)
    _set_nodes(model, nodes)


def _imputer(model: Any, node: Any, attributes: dict[str, Any]) -> Iterator[Any]:
    from onnx import helper, numpy_helper

    (rows,), (out,) = node.input, node.output
    values = np.array(attributes["imputed_value_floats"].floats, np.float64)
    model.graph.initializer.append(numpy_helper.from_array(values.reshape(1, -1), f"{out}_values"))
    replaced = attributes["replaced_value_float"].f if "replaced_value_float" in attributes else 0.0
    if np.isnan(replaced):
        yield helper.make_node("IsNaN", [rows], [f"{out}_missing"])
    else:
        model.graph.initializer.append(numpy_helper.from_array(np.array(replaced, np.float64), f"{out}_replaced"))
        yield helper.make_node("Equal", [rows, f"{out}_replaced"], [f"{out}_missing"])
    yield helper.make_node("Where", [f"{out}_missing", f"{out}_values", rows], [out])


def _set_nodes(model: Any, nodes: list[Any]) -> None:
    """These, which may be among those that stand there already."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
