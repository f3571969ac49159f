"""`late-gbm`: gradient-boosted trees (LightGBM) over one float32 matrix, nulls as NaN; the ONNX keeps its ZipMap."""

import re

import lightgbm
import numpy as np
import onnx
import polars as pl
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from question import SCHEDULE, SEED, WEATHER, Score, Scores, labels, matrix

NAME = "late-gbm"
FEATURES = (*SCHEDULE, "flight", "distance", "plane_year", "seats", *WEATHER)
LIBRARIES = ("lightgbm", "onnxmltools")


def train(training: pl.DataFrame) -> tuple[onnx.ModelProto, Score]:
    """The model as ONNX, and the library's own scores."""
    settings = {
        "objective": "binary",
        "num_leaves": 31,
        "learning_rate": 0.15,
        "min_data_in_leaf": 100,
        "seed": SEED,
        "num_threads": 2,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    data = lightgbm.Dataset(matrix(training, FEATURES), label=labels(training), feature_name=list(FEATURES))
    booster = lightgbm.train(settings, data, num_boost_round=100)

    def score(rows: pl.DataFrame) -> Scores:
        return np.asarray(booster.predict(matrix(rows, FEATURES)), dtype=np.float64)

    return _to_onnx(booster), score


def _to_onnx(booster: lightgbm.Booster) -> onnx.ModelProto:
    inputs = [("X", FloatTensorType([None, len(FEATURES)]))]
    rounded = with_float32_thresholds(booster)
    exported: onnx.ModelProto = convert_lightgbm(rounded, NAME, inputs, target_opset=15, zipmap=True)
    return exported


def with_float32_thresholds(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees for float32 data, with thresholds that survive the export.

    ONNX holds thresholds as float32, and the converter rounds them to nearest: a value between the two goes to the
    other leaf (scores then differ by up to 4e-2). The largest float32 <= t sends every float32 value the way t does.
    """
    text = re.sub(r"(?m)^tree_sizes=.*\n", "", booster.model_to_string())  # in bytes, and about to change
    rounded = re.sub(r"(?m)^threshold=(.*)$", lambda match: f"threshold={_round_down(match[1])}", text)
    return lightgbm.Booster(model_str=rounded)


def _round_down(thresholds: str) -> str:
    exact = np.array(thresholds.split(), dtype=np.float64)
    nearest = exact.astype(np.float32)
    below = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return " ".join(repr(value) for value in below.astype(np.float64).tolist())
