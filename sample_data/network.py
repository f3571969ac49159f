"""`late-mlp`: a small neural network over one float32 matrix, in full precision, float32 in training too.

The graph fills NaN with the training medians and scales the columns itself; then Gemm, Relu, Gemm, Relu, Gemm, Sigmoid.
"""

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from question import SCHEDULE, SEED, WEATHER, Score, Scores, labels, matrix

NAME = "late-mlp"
FEATURES = (*SCHEDULE, "distance", "plane_year", "seats", *WEATHER)
LIBRARIES = ("scikit-learn", "onnx")
HIDDEN = (64, 32)
OPSET = 19  # the first whose QuantizeLinear the ONNX reference evaluator implements
SCALED = "layer_0"  # the tensors that go into the layers: layer_0, layer_1, layer_2


def train(training: pl.DataFrame) -> tuple[onnx.ModelProto, Score]:
    """The model as ONNX, and the library's own scores."""
    layers = MLPClassifier(HIDDEN, batch_size=1024, alpha=1e-3, max_iter=12, tol=0.0, random_state=SEED)
    steps = [("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("classify", layers)]
    model = Pipeline(steps).fit(matrix(training, FEATURES), labels(training))

    def score(rows: pl.DataFrame) -> Scores:
        return np.asarray(model.predict_proba(matrix(rows, FEATURES))[:, 1], dtype=np.float64)

    return _to_onnx(model), score


def _to_onnx(model: Pipeline) -> onnx.ModelProto:
    """By hand and in plain ONNX operators, so that the quantiser knows all of them."""
    impute, scale, layers = (step for _, step in model.steps)
    numbers = {"median": impute.statistics_, "mean": scale.mean_, "deviation": scale.scale_}
    nodes = [
        helper.make_node("IsNaN", ["X"], ["missing"]),
        helper.make_node("Where", ["missing", "median", "X"], ["filled"]),
        helper.make_node("Sub", ["filled", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], [SCALED]),
    ]
    last = len(layers.coefs_) - 1
    for layer, (weight, bias) in enumerate(zip(layers.coefs_, layers.intercepts_, strict=True)):
        numbers |= {f"weight_{layer}": weight, f"bias_{layer}": bias}
        result, activation = ("late", "Sigmoid") if layer == last else (f"layer_{layer + 1}", "Relu")
        nodes += [
            helper.make_node("Gemm", [f"layer_{layer}", f"weight_{layer}", f"bias_{layer}"], [f"sum_{layer}"]),
            helper.make_node(activation, [f"sum_{layer}"], [result]),
        ]
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", len(FEATURES)])],
        [helper.make_tensor_value_info("late", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in numbers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
