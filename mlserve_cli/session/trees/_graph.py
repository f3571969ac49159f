"""A model cut at its tree nodes: what comes before them and after them stays a model, for ONNX Runtime.

Only what the wanted outputs need is kept. Where a tree node is the whole graph there is nothing before or after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from mlserve_cli.session.trees._ensemble import Unsupported

TREES = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})
_STRING, _INT64 = 8, 7


class Piece(msgspec.Struct, frozen=True):
    """A model that makes `outputs` of `inputs`, as an ONNX file's bytes."""

    data: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class CutModel(msgspec.Struct, frozen=True):
    """The tree nodes, none of which feeds another, and the pieces around them."""

    nodes: tuple[Any, ...]
    before: Piece | None
    after: Piece | None


def cut_at_trees(model: Any, *, wanted: Collection[str]) -> CutModel:
    """Cut the graph where its tree nodes begin and end. Raises Unsupported where that does not work."""
    if model.functions:
        raise Unsupported("the model has functions of its own")
    makers = {name: node for node in model.graph.node for name in node.output if name}
    needed = _above(model, wanted, makers)
    for node in needed:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise Unsupported(f"the model has graphs inside a node ({node.op_type})")
    nodes = [node for node in needed if is_trees(node)]
    if not nodes:
        raise Unsupported("no tree node makes what is asked of the model")
    given = {value.name for value in model.graph.input}
    fed = dict.fromkeys(node.input[0] for node in nodes)
    ahead = _above(model, fed, makers)
    if any(is_trees(node) for node in ahead):
        raise Unsupported("one tree node feeds another")
    made = {name for node in nodes for name in node.output if name}
    behind = _above(model, wanted, {name: node for name, node in makers.items() if name not in made})
    return CutModel(
        nodes=tuple(nodes),
        before=_piece(model, ahead, outputs=[name for name in fed if name not in given], cut=()),
        after=_piece(model, behind, outputs=[name for name in wanted if name not in made], cut=nodes),
    )


def is_trees(node: Any) -> bool:
    """Whether the node is a tree ensemble."""
    return node.domain == "ai.onnx.ml" and node.op_type in TREES


def alone(model: Any, node: Any, *, dtype: int) -> bytes:
    """A model of this node alone, over a matrix of that element type."""
    single = _like(model)
    single.graph.node.add().CopyFrom(node)
    _declare(single.graph.input, node.input[0], dtype)
    for name in node.output:
        if name:
            single.graph.output.add(name=name)
    data: bytes = single.SerializeToString()
    return data


def _above(model: Any, names: Iterable[str], makers: dict[str, Any]) -> list[Any]:
    """The nodes that the tensors are made by, directly and indirectly, in the graph's order."""
    found, left = set(), list(names)
    while left:
        node = makers.get(left.pop())
        if node is not None and node.output[0] + "\0" + node.op_type not in found:
            found.add(node.output[0] + "\0" + node.op_type)
            left += [name for name in node.input if name]
    return [node for node in model.graph.node if node.output and node.output[0] + "\0" + node.op_type in found]


def _piece(model: Any, nodes: list[Any], *, outputs: list[str], cut: Iterable[Any]) -> Piece | None:
    if not outputs:
        return None
    piece = _like(model)
    used = {name for node in nodes for name in node.input} | set(outputs)
    piece.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    piece.graph.sparse_initializer.extend(
        tensor for tensor in model.graph.sparse_initializer if tensor.values.name in used
    )
    constant = {tensor.name for tensor in model.graph.initializer}
    piece.graph.node.extend(nodes)
    piece.graph.input.extend(value for value in model.graph.input if value.name in used and value.name not in constant)
    for node in cut:
        for name, dtype in _outputs_of(node):
            if name in used:
                _declare(piece.graph.input, name, dtype)
    for name in outputs:  # without a type, which ONNX Runtime infers
        piece.graph.output.add(name=name)
    inputs = tuple(value.name for value in piece.graph.input)
    return Piece(piece.SerializeToString(), inputs, tuple(outputs))


def _outputs_of(node: Any) -> list[tuple[str, int]]:
    """The outputs of a tree node with their element types, of which scores are float whatever the rows are."""
    if node.op_type != "TreeEnsembleClassifier":
        return [(node.output[0], 1)]
    strings = any(attribute.name == "classlabels_strings" and attribute.strings for attribute in node.attribute)
    pairs = zip(node.output, (_STRING if strings else _INT64, 1), strict=False)
    return [(name, dtype) for name, dtype in pairs if name]


def _declare(values: Any, name: str, dtype: int) -> None:
    value = values.add(name=name)
    value.type.tensor_type.elem_type = dtype


def _like(model: Any) -> Any:
    """An empty model of the same versions."""
    empty = type(model)(ir_version=model.ir_version)
    empty.opset_import.extend(model.opset_import)
    empty.graph.name = "piece"
    return empty
