"""Known faults of exporters, mended in the ONNX model afterwards: ZipMap, fixed batches, class labels, opset order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import InvalidModel

BATCH = "rows"
_STRING = 8


def mended(data: bytes) -> bytes:
    """The model as mlserve wants it: probabilities as a plain matrix, the batch free, the same bytes each time."""
    import onnx

    model = onnx.load_model_from_string(data)
    _cut_zipmaps(model)
    _float_scores(model)
    for value in [*model.graph.input, *model.graph.output]:
        _free_batch(value)
    opsets = sorted((opset.domain, opset.version) for opset in model.opset_import)  # converters keep them in a set
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in opsets)
    model.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def named_classes(model: Any, classes: NDArray[Any]) -> None:
    """Labels in place of the numbers 0, 1, 2, … with which a converter filled its one classifier, in place."""
    from onnx import helper

    labels = np.asarray(classes).tolist()
    if labels == list(range(len(labels))):
        return
    nodes = [
        (node, attribute)
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "classlabels_int64s"
    ]
    way = _way_to_label(model, nodes[0][0].output[0]) if len(nodes) == 1 else None
    if way is None:
        raise InvalidModel("its class labels cannot be put into its ONNX form", "", "train it on labels 0, 1, 2, …")
    ((node, attribute),) = nodes
    node.attribute.remove(attribute)
    if all(isinstance(one, int) for one in labels):
        node.attribute.append(helper.make_attribute("classlabels_int64s", labels))
        return
    node.attribute.append(helper.make_attribute("classlabels_strings", [str(one) for one in labels]))
    model.graph.output[0].type.tensor_type.elem_type = _STRING
    for cast in (step for step in way if step.op_type == "Cast"):
        cast.attribute[0].i = _STRING


def _way_to_label(model: Any, name: str) -> list[Any] | None:
    """The nodes between a classifier's label and the model's first output; None where they do more than hand it on."""
    way: list[Any] = []
    while name != model.graph.output[0].name:
        step = next((node for node in model.graph.node if name in node.input), None)
        if step is None or step.op_type not in ("Identity", "Cast"):
            return None
        way.append(step)
        name = step.output[0]
    return way


def _cut_zipmaps(model: Any) -> None:
    """The matrix that a ZipMap takes apart, under the name of what it made."""
    from onnx import TensorProto, helper

    outputs = {value.name: value for value in model.graph.output}
    for node in [node for node in model.graph.node if node.op_type == "ZipMap"]:
        name = node.output[0]
        width = max(len(attribute.ints) + len(attribute.strings) for attribute in node.attribute)
        plain = helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, width])
        outputs[name].CopyFrom(plain)
        for maker in model.graph.node:
            maker.output[:] = [name if one == node.input[0] else one for one in maker.output]
            maker.input[:] = [name if one == node.input[0] else one for one in maker.input]
        model.graph.node.remove(node)


def _float_scores(model: Any) -> None:
    """Trees give float32 scores whatever they read; skl2onnx declares them as doubles where the rows are."""
    from onnx import TensorProto

    made = {name for node in model.graph.node if node.op_type.startswith("TreeEnsemble") for name in node.output}
    for value in model.graph.output:
        if value.name in made and value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT


def _free_batch(value: Any) -> None:
    """One name for the free first axis; a fixed one was meant so, and stays."""
    axes = value.type.tensor_type.shape.dim
    if axes and axes[0].dim_value <= 0:
        axes[0].dim_param = BATCH
