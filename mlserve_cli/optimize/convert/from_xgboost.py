"""XGBoost: a JSON or UBJSON file, or an object of its scikit-learn face that was unpickled."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.optimize.convert.mend import named_classes
from mlserve_cli.optimize.convert.source import (
    MATRIX,
    Precision,
    Rounding,
    Scores,
    Source,
    SourceInput,
    Tensors,
    converting,
    extra,
    reading,
)

OPSET = 15  # onnxmltools knows no later one
_CLASSIFIES = ("binary:logistic", "multi:softprob", "multi:softmax")


def from_xgboost(data: bytes, *, file: str) -> Source:
    """The Source of a model file."""
    with extra("xgboost"):
        import xgboost
    booster = xgboost.Booster()
    with reading("XGBoost", file):
        booster.load_model(bytearray(data))
    return of_booster(booster, file=file)


def of_booster(booster: Any, *, file: str, classes: NDArray[Any] | None = None) -> Source:
    """The Source of a Booster; `classes` are the labels of its scikit-learn face.

    Where it was stopped early, the trees up to its best round count, as its scikit-learn face has it.
    """
    with extra("xgboost"):
        import onnxmltools  # noqa: F401
        import xgboost  # noqa: F401
    best, rounds = booster.attr("best_iteration"), booster.num_boosted_rounds()
    note = ""
    if best is not None and int(best) + 1 < rounds:
        booster = booster[: int(best) + 1]
        note = f"stopped early: the first {int(best) + 1} of {rounds} rounds count"
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    names = tuple(booster.feature_names or ())
    booster.feature_names = None  # the converter knows f0, f1, … alone
    return Source(
        library="xgboost",
        inputs=(SourceInput(MATRIX, names, (booster.num_features(),)),),
        kind="classifier" if objective in _CLASSIFIES else "regressor",
        takes_missing=True,
        exact_in="float32",  # features and thresholds alike
        to_onnx=partial(_to_onnx, booster, file=file, classes=classes),
        predict=partial(_predict, booster, objective, classes),
        packages=("xgboost", "xgboost-cpu", "onnxmltools"),
        note=note,
    )


def _predict(booster: Any, objective: str, classes: NDArray[Any] | None, tensors: Tensors) -> Scores:
    import xgboost

    rows = xgboost.DMatrix(tensors[MATRIX])
    if objective == "multi:softmax":  # which gives labels alone
        margins = np.asarray(booster.predict(rows, output_margin=True), dtype=np.float64)
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
    else:
        found = np.asarray(booster.predict(rows), dtype=np.float64)
    if objective not in _CLASSIFIES:
        return Scores((found.reshape(len(found), -1),))
    values = found if found.ndim == 2 else np.stack([1 - found, found], axis=1)
    places = np.argmax(values, axis=1)
    return Scores((values,), places if classes is None else np.asarray(classes)[places])


def _to_onnx(
    booster: Any, _precision: Precision, _rounding: Rounding, *, file: str, classes: NDArray[Any] | None
) -> bytes:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    with converting("XGBoost", file):
        inputs = [(MATRIX, FloatTensorType([None, booster.num_features()]))]
        model = convert_xgboost(booster, "xgboost", inputs, target_opset=OPSET)
        if classes is not None:
            named_classes(model, classes)
        written: bytes = model.SerializeToString(deterministic=True)
        return written
