"""`late-mlp-int8`: the network in static INT8 (QDQ, weights per channel), the same to the bit on every CPU.

Two choices make it so. Weights have seven bits (reduce_range), because AVX2 without VNNI saturates on eight. And every
scale is a power of two: then products, sums and rescaling are exact in float32, and it makes no difference whether a
runtime follows the graph literally, as the ONNX reference does, or fuses it into integer kernels.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import polars as pl
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import network
from question import Matrix, Score, Scores, matrix

NAME = "late-mlp-int8"
LIBRARIES = ("scikit-learn", "onnx", "onnxruntime")
CALIBRATION_ROWS = 5_000
ACTIVATION_LEVELS = 127  # on each side of zero; twice as many where there is nothing below zero
WEIGHT_LEVELS = 63
COVERED = 0.9995  # share of the calibration values inside the range; the rest saturate


def quantise(model: onnx.ModelProto, training: pl.DataFrame) -> tuple[onnx.ModelProto, Score]:
    """The INT8 model, and its scores by the ONNX reference evaluator."""
    rows = matrix(training.gather_every(training.height // CALIBRATION_ROWS), network.FEATURES)
    options = {
        "TensorQuantOverrides": _activation_ranges(model, rows) | _weight_ranges(model),
        "OpTypesToExcludeOutputQuantization": ["Gemm"],  # what goes into the next layer is quantised after its Relu
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.onnx"), Path(folder, "target.onnx")
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            _Rows(rows),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Gemm"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=options,
        )
        quantised = onnx.load(target)
    reference = ReferenceEvaluator(quantised)

    def score(rows: pl.DataFrame) -> Scores:
        (late,) = reference.run(["late"], {"X": matrix(rows, network.FEATURES)})
        return np.asarray(late, dtype=np.float64)[:, 0]

    return quantised, score


class _Rows(CalibrationDataReader):  # type: ignore[misc]
    """Calibration rows for the quantiser, all in one batch; it wants them although every range is given."""

    def __init__(self, rows: Matrix) -> None:
        self._batches = iter([{"X": rows}])

    def get_next(self) -> dict[str, Matrix] | None:
        return next(self._batches, None)


def _activation_ranges(model: onnx.ModelProto, rows: Matrix) -> dict[str, list[dict[str, Any]]]:
    """Scale and zero point of each tensor that goes into a layer, from what training rows make of it."""
    layers = [node.input[0] for node in model.graph.node if node.op_type == "Gemm"]
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in layers)
    values = ReferenceEvaluator(observed).run(layers, {"X": rows})
    return {name: [_activation_range(value)] for name, value in zip(layers, values, strict=True)}


def _activation_range(values: npt.NDArray[np.float32]) -> dict[str, Any]:
    largest = float(np.quantile(np.abs(values), COVERED))
    zero = 0 if values.min() >= 0 else ACTIVATION_LEVELS + 1
    levels = 2 * ACTIVATION_LEVELS if zero == 0 else ACTIVATION_LEVELS
    return {
        "quant_type": QuantType.QUInt8,
        "scale": _power_of_two(largest / levels),
        "zero_point": np.array(zero, dtype=np.uint8),
    }


def _weight_ranges(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """A scale for each column of each weight."""
    weights = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if "weight" in tensor.name]
    names = [tensor.name for tensor in model.graph.initializer if "weight" in tensor.name]
    return {
        name: [
            {
                "quant_type": QuantType.QInt8,
                "axis": 1,
                "scale": _power_of_two(largest),
                "zero_point": np.array(0, dtype=np.int8),
            }
            for largest in np.abs(weight).max(axis=0) / WEIGHT_LEVELS
        ]
        for name, weight in zip(names, weights, strict=True)
    }


def _power_of_two(scale: float) -> npt.NDArray[np.float32]:
    return np.array(2.0 ** math.ceil(math.log2(scale)), dtype=np.float32)
