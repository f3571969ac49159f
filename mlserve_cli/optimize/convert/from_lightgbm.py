"""LightGBM: a text model, or an object of its scikit-learn face that was unpickled."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import InvalidModel, shown
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
from mlserve_cli.optimize.convert.thresholds import MOST_THRESHOLDS, rounded, set_thresholds

OPSET = 15  # onnxmltools knows no later one
_CATEGORICAL = 1  # of decision_type


def from_lightgbm(data: bytes, *, file: str) -> Source:
    """The Source of a text model."""
    with extra("lightgbm"):
        import lightgbm
    with reading("LightGBM", file):
        text = data.decode("utf-8")
        if "\nend of trees" not in text:  # LightGBM itself takes a file that was cut off between two trees
            raise InvalidModel("the file ends before its last tree", shown(file, limit=400), "fetch it again")
        booster = lightgbm.Booster(model_str=text)
    return of_booster(booster, file=file)


def of_booster(booster: Any, *, file: str, classes: NDArray[Any] | None = None) -> Source:
    """The Source of a Booster; `classes` are the labels of its scikit-learn face."""
    with extra("lightgbm"):
        import lightgbm  # noqa: F401
        import onnxmltools  # noqa: F401
    text = booster.model_to_string()
    objective = re.search(r"(?m)^objective=(\S+)", text)
    word = objective[1] if objective else ""
    is_classifier = word in ("binary", "multiclass", "multiclassova", "softmax")
    names = tuple(booster.feature_name())
    made_up = names == tuple(f"Column_{place}" for place in range(len(names)))
    return Source(
        library="lightgbm",
        inputs=(SourceInput(MATRIX, () if made_up else names, (len(names),)),),
        kind="classifier" if is_classifier else "regressor",
        takes_missing=True,
        exact_in="float64",
        to_onnx=partial(_to_onnx, text, file=file, classes=classes),
        predict=partial(_predict, booster, is_classifier, classes),
        packages=("lightgbm", "onnxmltools"),
        paths=partial(_paths, text),
    )


def _predict(booster: Any, is_classifier: bool, classes: NDArray[Any] | None, tensors: Tensors) -> Scores:
    found = np.asarray(booster.predict(tensors[MATRIX]), dtype=np.float64)
    if not is_classifier:
        return Scores((found.reshape(len(found), -1),))
    values = found if found.ndim == 2 else np.stack([1 - found, found], axis=1)
    places = np.argmax(values, axis=1)
    return Scores((values,), places if classes is None else np.asarray(classes)[places])


def _paths(text: str, how: Rounding, tensors: Tensors) -> NDArray[Any]:
    import lightgbm

    table = _thresholds(text)
    numbered = _numbered(text, table)
    values = rounded(table, how)
    booster = lightgbm.Booster(model_str=_replaced(numbered, lambda numbers: values[numbers.astype(np.int64)]))
    return np.asarray(booster.predict(tensors[MATRIX], pred_leaf=True))


def _to_onnx(text: str, precision: Precision, rounding: Rounding, *, file: str, classes: NDArray[Any] | None) -> bytes:
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    table = _thresholds(text)
    if len(table) > MOST_THRESHOLDS:
        raise InvalidModel(f"it has {len(table):,} different thresholds, at most {MOST_THRESHOLDS:,} can be converted")
    with converting("LightGBM", file):
        # The converter sees numbers of thresholds, which float32 holds exactly, and the thresholds come in afterwards.
        booster = lightgbm.Booster(model_str=_numbered(text, table))
        inputs = [(MATRIX, FloatTensorType([None, booster.num_feature()]))]
        model = convert_lightgbm(booster, "lightgbm", inputs, target_opset=OPSET, zipmap=False)
        set_thresholds(model, rounded(table, rounding), precision=precision)
        if classes is not None:
            named_classes(model, classes)
        written: bytes = model.SerializeToString(deterministic=True)
        return written


def _thresholds(text: str) -> NDArray[np.float64]:
    """Every threshold once, ascending."""
    found: list[NDArray[np.float64]] = [np.zeros(0)]

    def seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found.append(values)
        return values

    _replaced(text, seen)
    return np.unique(np.concatenate(found))


def _numbered(text: str, table: NDArray[np.float64]) -> str:
    """The model with each threshold's place in the table instead; they keep their order."""
    return _replaced(text, lambda values: np.searchsorted(table, values).astype(np.float64))


def _replaced(text: str, new: Any) -> str:
    """The model with other thresholds. Those of categorical branches are numbers of sets and stay."""
    text = re.sub(r"(?m)^tree_sizes=.*\n", "", text)  # in bytes, and about to change
    return re.sub(r"(?m)^threshold=(.*)\ndecision_type=(.*)$", partial(_replaced_line, new), text)


def _replaced_line(new: Any, match: re.Match[str]) -> str:
    values = np.array(match[1].split(), dtype=np.float64)
    ordered = (np.array(match[2].split(), dtype=np.int64) & _CATEGORICAL) == 0
    values[ordered] = new(values[ordered])
    return f"threshold={' '.join(map(repr, values.tolist()))}\ndecision_type={match[2]}"
