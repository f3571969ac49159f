"""The benchmarks' models: what each library makes of the same rows, as ONNX that names its columns.

Sizes are those of models that people run: a logistic regression, a network 28-256-128-1 in full precision and in two
kinds of INT8, LightGBM of 300 trees with 63 leaves, XGBoost of 200 trees six deep, a forest of 100 trees ten deep.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmark import FEATURES, SEED, Labels, Matrix, training_data

OPSET, TREE_OPSET = 19, 15
CALIBRATION_ROWS = 5_000
EPOCHS = 4
Floats = npt.NDArray[np.float64]


def train(name: str, *, folder: Path) -> onnx.ModelProto:
    """One of TRAINERS or QUANTISERS; the latter start from `mlp.onnx` in the folder."""
    model = TRAINERS[name](*training_data()) if name in TRAINERS else QUANTISERS[name](folder / "mlp.onnx")
    helper.set_model_props(model, {"feature_names": json.dumps(FEATURES)})
    return model


def _regression(x: Matrix, y: Labels) -> onnx.ModelProto:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(x, y)
    return _network("lr", [fitted.coef_.T], [fitted.intercept_])


def _perceptron(x: Matrix, y: Labels) -> onnx.ModelProto:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    fitted = MLPClassifier((256, 128), batch_size=512, max_iter=EPOCHS, random_state=SEED)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # it stops where it is told to
        fitted.fit(x, y)
    return _network("mlp", fitted.coefs_, fitted.intercepts_)


def _network(name: str, weights: Sequence[Floats], biases: Sequence[Floats]) -> onnx.ModelProto:
    """Gemm and Relu in turns, a sigmoid at the end."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Floats] = {}
    last = len(weights) - 1
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        constants |= {f"weight_{layer}": weight, f"bias_{layer}": bias}
        source = "X" if layer == 0 else f"layer_{layer}"
        activation, result = ("Sigmoid", "score") if layer == last else ("Relu", f"layer_{layer + 1}")
        nodes += [
            helper.make_node("Gemm", [source, f"weight_{layer}", f"bias_{layer}"], [f"sum_{layer}"]),
            helper.make_node(activation, [f"sum_{layer}"], [result]),
        ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", len(FEATURES)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def _lightgbm(x: Matrix, y: Labels) -> onnx.ModelProto:
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    from trees import with_float32_thresholds

    settings = {"objective": "binary", "num_leaves": 63, "seed": SEED, "deterministic": True, "verbose": -1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, label=y), num_boost_round=300)
    inputs = [("X", FloatTensorType([None, len(FEATURES)]))]
    exported = convert_lightgbm(with_float32_thresholds(booster), "lgb", inputs, target_opset=TREE_OPSET, zipmap=False)
    assert isinstance(exported, onnx.ModelProto)
    return exported


def _xgboost(x: Matrix, y: Labels) -> onnx.ModelProto:
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    fitted = xgboost.XGBClassifier(n_estimators=200, max_depth=6, random_state=SEED).fit(x, y)
    exported = convert_xgboost(fitted, "xgb", [("X", FloatTensorType([None, len(FEATURES)]))], target_opset=TREE_OPSET)
    assert isinstance(exported, onnx.ModelProto)
    return exported


def _forest(x: Matrix, y: Labels) -> onnx.ModelProto:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    fitted = RandomForestClassifier(100, max_depth=10, n_jobs=-1, random_state=SEED).fit(x[::2], y[::2])
    exported = to_onnx(
        fitted, x[:1], target_opset={"": TREE_OPSET, "ai.onnx.ml": 3}, options={id(fitted): {"zipmap": False}}
    )
    assert isinstance(exported, onnx.ModelProto)
    return exported


def _dynamic_int8(network: Path) -> onnx.ModelProto:
    """Weights rounded now, activations by each batch's own range: a row's score depends on its batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = _prepared(network, Path(folder)), Path(folder, "int8.onnx")
        quantize_dynamic(prepared, quantised, weight_type=QuantType.QInt8)
        return onnx.load(quantised)


def _static_int8(network: Path) -> onnx.ModelProto:
    """QDQ with ranges of activations from training rows, weights per channel.

    Seven bits of weight, as ONNX Runtime's own guide says for CPUs without VNNI: their kernels saturate on eight.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        """The calibration rows, all in one batch."""

        def __init__(self) -> None:
            self._batches = iter([{"X": training_data()[0][:CALIBRATION_ROWS]}])

        def get_next(self) -> dict[str, Matrix] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = _prepared(network, Path(folder)), Path(folder, "int8.onnx")
        quantize_static(
            prepared,
            quantised,
            Rows(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(quantised)


def _prepared(network: Path, folder: Path) -> Path:
    """Optimised and with its shapes, as the quantisers ask for."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    quant_pre_process(network, prepared, skip_symbolic_shape=True)  # which needs sympy, and a plain graph does not
    return prepared


TRAINERS: dict[str, Callable[[Matrix, Labels], onnx.ModelProto]] = {
    "lr": _regression,
    "mlp": _perceptron,
    "lgb": _lightgbm,
    "xgb": _xgboost,
    "rf": _forest,
}
QUANTISERS: dict[str, Callable[[Path], onnx.ModelProto]] = {
    "mlp-int8-dynamic": _dynamic_int8,
    "mlp-int8-static": _static_int8,
}
