"""Small ONNX models of every kind that people have, built by hand with the onnx package.

`HONEST` lists them by name, so that any test can run over all of them (tests/dishonest.py has the others). A factory
takes nothing random: its weights come from its shape, so that two calls give the same bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR = 17, 3, 8
FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16
INT64, INT32, BOOL, STRING = TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING
Axes: TypeAlias = "Sequence[int | str | None]"
Array: TypeAlias = NDArray[Any]


def save(model: ModelProto, path: Path) -> Path:
    """Write the model without asking the checker: some of these would not pass."""
    path.write_bytes(model.SerializeToString())
    return path


def weights(*shape: int) -> NDArray[np.float32]:
    """The same small numbers of either sign for the same shape, float32."""
    count = int(np.prod(shape))
    values: NDArray[np.float32] = (np.sin(np.arange(1, count + 1) * 1.7) * 0.8).astype(np.float32)
    return values.reshape(shape)


def model_of(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    constants: dict[str, Array] | None = None,
    metadata: dict[str, str] | None = None,
    opset: int = OPSET,
    ir: int = IR,
    domains: Iterable[str] = (),
) -> ModelProto:
    """A model of one graph."""
    initializers = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    opsets += [helper.make_opsetid(domain, 1) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="mlserve tests")
    helper.set_model_props(model, metadata or {})
    return model


def tensor(name: str, dtype: int, axes: Axes) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, dtype, axes)


def sequence_of(inner: Any) -> Any:
    """The type of a sequence."""
    return helper.make_sequence_type_proto(inner)


def map_of(key: int, value: int) -> Any:
    """The type of a map from `key` to tensors of `value`."""
    return helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, None))


# Models


def linear(
    features: int = 3, outputs: int = 1, *, dtype: int = FLOAT, batch: int | None = None, names: Sequence[str] = ()
) -> ModelProto:
    """Y = X·W + B on one matrix."""
    np_dtype = helper.tensor_dtype_to_np_dtype(dtype)
    constants = {"W": weights(features, outputs).astype(np_dtype), "B": weights(outputs).astype(np_dtype)}
    return model_of(
        [helper.make_node("Gemm", ["X", "W", "B"], ["Y"])],
        [tensor("X", dtype, [batch, features])],
        [tensor("Y", dtype, [batch, outputs])],
        constants=constants,
        metadata={"feature_names": ",".join(names)} if names else None,
    )


def mlp(features: int = 4, hidden: int = 16, *, outputs: int = 1) -> ModelProto:
    """A network with one hidden layer and a sigmoid."""
    nodes = [
        helper.make_node("MatMul", ["X", "W1"], ["H1"]),
        helper.make_node("Add", ["H1", "B1"], ["H2"]),
        helper.make_node("Relu", ["H2"], ["H3"]),
        helper.make_node("MatMul", ["H3", "W2"], ["H4"]),
        helper.make_node("Sigmoid", ["H4"], ["score"]),
    ]
    return model_of(
        nodes,
        [tensor("X", FLOAT, [None, features])],
        [tensor("score", FLOAT, [None, outputs])],
        constants={"W1": weights(features, hidden), "B1": weights(hidden), "W2": weights(hidden, outputs)},
    )


def classifier(
    features: int = 3,
    classes: Sequence[int] | Sequence[str] = (0, 1),
    *,
    zipmap: bool = False,
    label_axes: Axes = (None,),
) -> ModelProto:
    """A linear classifier as skl2onnx writes one: a label, and probabilities plain or as a ZipMap."""
    key = "classlabels_strings" if isinstance(classes[0], str) else "classlabels_ints"
    zip_key = "classlabels_strings" if isinstance(classes[0], str) else "classlabels_int64s"
    label_type = STRING if isinstance(classes[0], str) else INT64
    count = len(classes)
    named: dict[str, Any] = {key: list(classes)}
    node = helper.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=weights(count, features).ravel().tolist(),
        intercepts=weights(count).tolist(),
        post_transform="SOFTMAX",
        **named,
    )
    nodes, second = [node], tensor("probabilities", FLOAT, [None, count])
    if zipmap:
        zipped: dict[str, Any] = {zip_key: list(classes)}
        nodes.append(
            helper.make_node("ZipMap", ["probabilities"], ["output_probability"], domain="ai.onnx.ml", **zipped)
        )
        second = helper.make_value_info("output_probability", sequence_of(map_of(label_type, FLOAT)))
    return model_of(nodes, [tensor("X", FLOAT, [None, features])], [tensor("label", label_type, label_axes), second])


def forest(features: int = 3, *, label_axes: Axes = (1,)) -> ModelProto:
    """Two stumps as LightGBM exports have them: a label declared as [1], probabilities through a ZipMap."""
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        **_two_stumps(features),
        class_ids=[0, 0, 0, 0],
        class_nodeids=[1, 2, 1, 2],
        class_treeids=[0, 0, 1, 1],
        class_weights=[-1.0, 0.75, -0.25, 0.5],
        classlabels_int64s=[0, 1],
        post_transform="LOGISTIC",
    )
    zipmap = helper.make_node("ZipMap", ["probabilities"], ["zipped"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    outputs = [
        tensor("label", INT64, label_axes),
        helper.make_value_info("zipped", sequence_of(map_of(INT64, FLOAT))),
    ]
    return model_of([node, zipmap], [tensor("X", FLOAT, [None, features])], outputs)


def _two_stumps(features: int) -> dict[str, Any]:
    return {
        "nodes_featureids": [0, 0, 0, features - 1, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0, -0.25, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        "nodes_nodeids": [0, 1, 2] * 2,
        "nodes_treeids": [0, 0, 0, 1, 1, 1],
        "nodes_truenodeids": [1, 0, 0] * 2,
        "nodes_falsenodeids": [2, 0, 0] * 2,
        "nodes_missing_value_tracks_true": [1, 0, 0] * 2,
        "nodes_hitrates": [1.0] * 6,
    }


def argmax_classifier(classes: Sequence[str] = ("low", "mid", "high")) -> ModelProto:
    """A classifier whose label is classes[argmax(probabilities)], the way skl2onnx writes networks."""
    nodes = [
        helper.make_node("MatMul", ["X", "W"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["place"], axis=1, keepdims=0),
        helper.make_node("ArrayFeatureExtractor", ["classes", "place"], ["found"], domain="ai.onnx.ml"),
        helper.make_node("Reshape", ["found", "flat"], ["output_label"]),
    ]
    constants: dict[str, Array] = {
        "W": weights(3, len(classes)),
        "classes": np.array(classes, dtype=object),
        "flat": np.array([-1], np.int64),
    }
    outputs = [tensor("output_label", STRING, [None]), tensor("probabilities", FLOAT, [None, len(classes)])]
    return model_of(nodes, [tensor("X", FLOAT, [None, 3])], outputs, constants=constants)


def mixed_columns() -> ModelProto:
    """One input per column, of four types: score = age + 10·(city is Oslo) + 100·visits + 1000·member."""
    nodes = [
        helper.make_node(
            "LabelEncoder", ["city"], ["place"], domain="ai.onnx.ml", keys_strings=["Oslo"], values_floats=[10.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["visits"], ["visits_f"], to=FLOAT),
        helper.make_node("Cast", ["member"], ["member_f"], to=FLOAT),
        helper.make_node("Mul", ["visits_f", "hundred"], ["v"]),
        helper.make_node("Mul", ["member_f", "thousand"], ["m"]),
        helper.make_node("Sum", ["age", "place", "v", "m"], ["score"]),
    ]  # fmt: skip
    inputs = [
        tensor("age", FLOAT, [None, 1]),
        tensor("city", STRING, [None, 1]),
        tensor("visits", INT64, [None, 1]),
        tensor("member", BOOL, [None, 1]),
    ]
    constants = {"hundred": np.array([[100]], np.float32), "thousand": np.array([[1000]], np.float32)}
    return model_of(nodes, inputs, [tensor("score", FLOAT, [None, 1])], constants=constants)


def several_matrices() -> ModelProto:
    """Two matrices in, their row sums and the sum of both out."""
    nodes = [
        helper.make_node("ReduceSum", ["left", "one"], ["left_sum"], keepdims=1),
        helper.make_node("ReduceSum", ["right", "one"], ["right_sum"], keepdims=0),
        helper.make_node("Reshape", ["right_sum", "column"], ["right_column"]),
        helper.make_node("Add", ["left_sum", "right_column"], ["total"]),
    ]
    return model_of(
        nodes,
        [tensor("left", FLOAT, [None, 2]), tensor("right", FLOAT, [None, 3])],
        [tensor("left_sum", FLOAT, [None, 1]), tensor("right_sum", FLOAT, [None]), tensor("total", FLOAT, [None, 1])],
        constants={"one": np.array([1], np.int64), "column": np.array([-1, 1], np.int64)},
    )


def identity(dtype: int, axes: Axes, *, out_axes: Axes | None = None) -> ModelProto:
    """What goes in comes out."""
    return model_of(
        [helper.make_node("Identity", ["X"], ["Y"])],
        [tensor("X", dtype, axes)],
        [tensor("Y", dtype, axes if out_axes is None else out_axes)],
    )


def sequence_model() -> ModelProto:
    """[N, 4, 2] in, [N, 2, 4] out."""
    return model_of(
        [helper.make_node("Transpose", ["X"], ["Y"], perm=[0, 2, 1])],
        [tensor("X", FLOAT, [None, 4, 2])],
        [tensor("Y", FLOAT, [None, 2, 4])],
    )


def comparisons() -> ModelProto:
    """A bool and an int64 output."""
    nodes = [
        helper.make_node("Greater", ["X", "zero"], ["is_positive"]),
        helper.make_node("Cast", ["X"], ["whole"], to=INT64),
    ]
    return model_of(
        nodes,
        [tensor("X", FLOAT, [None, 1])],
        [tensor("is_positive", BOOL, [None, 1]), tensor("whole", INT64, [None, 1])],
        constants={"zero": np.array([[0]], np.float32)},
    )


def quantized(kind: str, features: int = 4) -> ModelProto:
    """The network in int8: "dynamic", "qdq" or "qoperator"."""
    from onnxruntime import quantization as q

    with tempfile.TemporaryDirectory() as folder:
        source, target = save(mlp(features), Path(folder) / "f32.onnx"), Path(folder) / "int8.onnx"
        if kind == "dynamic":
            q.quantize_dynamic(source, target, weight_type=q.QuantType.QInt8)
        else:
            form = q.QuantFormat.QDQ if kind == "qdq" else q.QuantFormat.QOperator
            q.quantize_static(source, target, _Calibration(features), quant_format=form)
        return onnx.load(target)


class _Calibration:
    """Some batches for static quantisation, as onnxruntime wants them handed over."""

    def __init__(self, features: int) -> None:
        self._batches = iter([{"X": weights(64, features) * scale} for scale in (0.5, 1.0, 2.0)])

    def get_next(self) -> dict[str, Array] | None:
        """The next batch, or None at the end."""
        return next(self._batches, None)

    def __len__(self) -> int:
        return 3


HONEST: dict[str, Callable[[], ModelProto]] = {
    "one matrix": linear,
    "one matrix, named in its metadata": lambda: linear(3, names=("a", "b", "c")),
    "double": lambda: linear(3, dtype=DOUBLE),
    "half precision": lambda: linear(3, dtype=HALF),
    "batch fixed to 1": lambda: linear(3, batch=1),
    "batch fixed to 32": lambda: linear(3, batch=32),
    "vector output": lambda: linear(3, 5),
    "network": mlp,
    "binary classifier": classifier,
    "binary classifier with a ZipMap": lambda: classifier(zipmap=True),
    "three classes of text with a ZipMap": lambda: classifier(4, ("a", "b", "c"), zipmap=True),
    "label declared as [1]": lambda: classifier(label_axes=(1,)),
    "forest": forest,
    "label by argmax": argmax_classifier,
    "one input per column": mixed_columns,
    "several matrices, several outputs": several_matrices,
    "int64 matrix": lambda: identity(INT64, [None, 3]),
    "int32 matrix": lambda: identity(INT32, [None, 3]),
    "bool matrix": lambda: identity(BOOL, [None, 3]),
    "text matrix": lambda: identity(STRING, [None, 3]),
    "rank 1": lambda: identity(FLOAT, [None]),
    "rank 3": sequence_model,
    "open width": lambda: identity(FLOAT, [None, None]),
    "undeclared output shape": lambda: identity(FLOAT, [None, 3], out_axes=[None, None]),
    "bool and int64 outputs": comparisons,
    "dynamic int8": lambda: quantized("dynamic"),
    "static int8, QDQ": lambda: quantized("qdq"),
    "static int8, QOperator": lambda: quantized("qoperator"),
}
