"""Which outputs are class labels, and which class each column of a probability output stands for.

Read from the graph, never guessed from values: an output is followed back through nodes that keep its columns in
place until a node names the classes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

Classes = tuple[str | int, ...]

_KEEPS_COLUMNS = {"Identity", "Cast", "Normalizer", "Softmax", "Sigmoid", "Reshape", "Squeeze", "ZipMap", "Flatten"}
_CLASSIFIERS = {"TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"}
_LABEL_NAMES = {"label", "output_label"}  # what skl2onnx and onnxmltools call it, whatever computes it
_INT64, _INT32, _STRING = 7, 6, 8
_FLOATS = (1, 10, 11)


def find_classes(graph: Any) -> dict[str, Classes]:
    """Tensor name -> classes, for every graph output that holds probabilities, and for what a ZipMap wraps."""
    makers = {name: node for node in graph.node for name in node.output if name}
    by_argmax = _argmax_classes(graph, makers)
    found: dict[str, Classes] = {}
    for value in graph.output:
        chain = _chain(value.name, makers)
        classes = next((known for name in chain if (known := _named_at(name, makers, by_argmax))), ())
        if classes:
            found[value.name] = classes
            maker = makers.get(value.name)
            if maker is not None and maker.op_type == "ZipMap":
                found[maker.input[0]] = classes
    return found or _classes_beside_label(graph, makers, by_argmax)


def find_labels(graph: Any, classes: dict[str, Classes]) -> tuple[str, ...]:
    """The outputs that hold a class label."""
    makers = {name: node for node in graph.node for name in node.output if name}
    return tuple(
        value.name
        for value in graph.output
        if value.name not in classes
        and (_is_label(value.name, makers) or (classes and value.name in _LABEL_NAMES and _is_label_type(value)))
    )


def _chain(name: str, makers: dict[str, Any]) -> list[str]:
    """The tensor and those before it, as long as the columns stay in place."""
    names = [name]
    while (node := makers.get(names[-1])) is not None and node.op_type in _KEEPS_COLUMNS and node.input:
        if node.input[0] in names:  # a damaged graph may be a ring
            break
        names.append(node.input[0])
    return names


def _classes_beside_label(graph: Any, makers: dict[str, Any], by_argmax: dict[str, Classes]) -> dict[str, Classes]:
    """Where the way back is lost in arithmetic: the one matrix as wide as the one label has classes.

    LightGBM, k neighbours, naive Bayes and one-versus-rest without ZipMap are such.
    """
    labels = [value.name for value in graph.output if _is_label(value.name, makers)]
    wide = [value for value in graph.output if value.name not in labels]
    if len(labels) != 1 or len(wide) != 1:
        return {}
    maker = makers[_chain(labels[0], makers)[-1]]
    classes = _attribute_classes(maker)
    if maker.op_type == "ArrayFeatureExtractor":
        argmax = makers.get(_chain(maker.input[1], makers)[-1])
        classes = by_argmax.get(argmax.input[0], ()) if argmax is not None and argmax.input else ()
    axes = wide[0].type.tensor_type.shape.dim
    is_float = wide[0].type.tensor_type.elem_type in _FLOATS
    fits = is_float and len(classes) > 1 and len(axes) == 2 and axes[1].dim_value == len(classes)
    return {wide[0].name: classes} if fits else {}


def _named_at(name: str, makers: dict[str, Any], by_argmax: dict[str, Classes]) -> Classes:
    node = makers.get(name)
    if node is None or name in by_argmax:
        return by_argmax.get(name, ())
    if node.op_type == "ZipMap":
        return _attribute_classes(node)
    if node.op_type in _CLASSIFIERS and list(node.output).index(name) == 1:
        return _attribute_classes(node)
    return ()


def _is_label(name: str, makers: dict[str, Any]) -> bool:
    last = _chain(name, makers)[-1]
    node = makers.get(last)
    if node is None:
        return False
    if node.op_type in _CLASSIFIERS:
        return bool(node.output[0] == last)
    return node.op_type in ("ArrayFeatureExtractor", "ArgMax")


def _is_label_type(value: Any) -> bool:
    return value.type.tensor_type.elem_type in (_INT64, _STRING)


def _attribute_classes(node: Any) -> Classes:
    for attribute in node.attribute:
        if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
            if attribute.strings:
                return tuple(text.decode(errors="replace") for text in attribute.strings)
            if attribute.ints:
                return tuple(attribute.ints)
    return ()


def _argmax_classes(graph: Any, makers: dict[str, Any]) -> dict[str, Classes]:
    """Probability tensor -> classes, where the label is classes[argmax(probabilities)], as skl2onnx writes it."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Classes] = {}
    for node in graph.node:
        if node.op_type != "ArrayFeatureExtractor" or len(node.input) != 2 or node.input[0] not in constants:
            continue
        argmax = makers.get(_chain(node.input[1], makers)[-1])
        if argmax is not None and argmax.op_type == "ArgMax" and argmax.input:
            found[argmax.input[0]] = _constant_values(constants[node.input[0]])
    return found


def _constant_values(tensor: Any) -> Classes:
    if tensor.data_type == _STRING:
        return tuple(text.decode(errors="replace") for text in tensor.string_data)
    if tensor.data_type == _INT64:
        return tuple(tensor.int64_data) or _unpacked(tensor.raw_data, "q")
    if tensor.data_type == _INT32:
        return tuple(tensor.int32_data) or _unpacked(tensor.raw_data, "i")
    return ()


def _unpacked(raw: bytes, code: str) -> Classes:
    size = struct.calcsize(code)
    values: Sequence[int] = struct.unpack(f"<{len(raw) // size}{code}", raw[: len(raw) // size * size])
    return tuple(values)
