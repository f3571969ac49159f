"""LightGBM: a text model, or an object of its scikit-learn face that was unpickled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.optimize.convert.join import OF_ONNX, joined
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
Categories: TypeAlias = Mapping[str, tuple[str, ...]]


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
    categories = _categories(booster, text, file=file)
    made_up = names == tuple(f"Column_{place}" for place in range(len(names)))
    return Source(
        library="lightgbm",
        inputs=_inputs_of(names, categories)
        if categories
        else (SourceInput(MATRIX, () if made_up else names, (len(names),)),),
        kind="classifier" if is_classifier else "regressor",
        takes_missing=True,
        exact_in="float64",
        to_onnx=partial(_to_onnx, text, file=file, classes=classes, names=names, categories=categories),
        predict=partial(_predict, booster, is_classifier, classes, categories),
        packages=("lightgbm", "onnxmltools"),
        paths=partial(_paths, text, categories),
    )


def _categories(booster: Any, text: str, *, file: str) -> Categories:
    """By column the values of each that was a data frame's category: LightGBM itself knows their places alone."""
    values = booster.pandas_categorical or []
    if not values:
        return {}
    infos = re.search(r"(?m)^feature_infos=(.*)$", text)
    places = [place for place, one in enumerate(infos[1].split() if infos else ()) if one[:1] != "[" and one != "none"]
    if len(places) != len(values) or not all(isinstance(one, str) for several in values for one in several):
        raise InvalidModel(
            "it was trained on categories of a data frame that are not texts, are in order, or never varied",
            shown(file, limit=400),
            "train it on texts as categories, or on numbers",
        )
    names = booster.feature_name()
    return {names[place]: tuple(several) for place, several in zip(places, values, strict=True)}


def _inputs_of(names: tuple[str, ...], categories: Categories) -> tuple[SourceInput, ...]:
    """One for each column, since texts and numbers do not go into one. A missing text is one that was never seen."""
    return tuple(
        SourceInput(name, (name,), (1,), "string", fill="" if "" not in categories[name] else None)
        if name in categories
        else SourceInput(name, (name,), (1,))
        for name in names
    )


def _matrix(tensors: Tensors, categories: Categories) -> NDArray[Any]:
    """What the trees read, [rows, columns]: of a category its place, NaN for one that was not seen in training."""
    if not categories:
        return tensors[MATRIX]
    columns = [
        _places(values.reshape(-1), categories[name]) if name in categories else values.reshape(-1)
        for name, values in tensors.items()
    ]
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def _places(values: NDArray[Any], known: tuple[str, ...]) -> NDArray[np.float64]:
    places = {value: float(place) for place, value in enumerate(known)}
    distinct, inverse = np.unique(values.astype(str), return_inverse=True)
    return np.array([places.get(one, np.nan) for one in distinct.tolist()])[inverse]


def _predict(
    booster: Any, is_classifier: bool, classes: NDArray[Any] | None, categories: Categories, tensors: Tensors
) -> Scores:
    found = np.asarray(booster.predict(_matrix(tensors, categories)), dtype=np.float64)
    if not is_classifier:
        return Scores((found.reshape(len(found), -1),))
    values = found if found.ndim == 2 else np.stack([1 - found, found], axis=1)
    places = np.argmax(values, axis=1)
    return Scores((values,), places if classes is None else np.asarray(classes)[places])


def _paths(text: str, categories: Categories, how: Rounding, tensors: Tensors) -> NDArray[Any]:
    import lightgbm

    table = _thresholds(text)
    numbered = _numbered(text, table)
    values = rounded(table, how)
    booster = lightgbm.Booster(model_str=_replaced(numbered, lambda numbers: values[numbers.astype(np.int64)]))
    return np.asarray(booster.predict(_matrix(tensors, categories), pred_leaf=True))


def _to_onnx(
    text: str,
    precision: Precision,
    rounding: Rounding,
    *,
    file: str,
    classes: NDArray[Any] | None,
    names: tuple[str, ...],
    categories: Categories,
) -> bytes:
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
        if categories:
            model = joined(_encoder(names, categories, precision), model, precision)
        written: bytes = model.SerializeToString(deterministic=True)
        return written


def _encoder(names: tuple[str, ...], categories: Categories, precision: Precision) -> Any:
    """The ONNX model that makes one matrix of texts and numbers."""
    from onnx import TensorProto, helper

    kind, nodes = OF_ONNX[precision], []
    for place, (name, values) in enumerate(categories.items()):
        numbers = [float(number) for number in range(len(values))]
        coded: dict[str, Any] = {"keys_strings": values, "values_floats": numbers, "default_float": float("nan")}
        nodes.append(helper.make_node("LabelEncoder", [name], [f"place/{place}"], domain="ai.onnx.ml", **coded))
        nodes.append(helper.make_node("Cast", [f"place/{place}"], [f"number/{place}"], to=kind))
    numbered = {name: f"number/{place}" for place, name in enumerate(categories)}
    nodes.append(helper.make_node("Concat", [numbered.get(name, name) for name in names], ["matrix/all"], axis=1))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.STRING if name in categories else kind, [None, 1])
        for name in names
    ]
    output = helper.make_tensor_value_info("matrix/all", kind, [None, len(names)])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph(nodes, "encoder", inputs, [output]), opset_imports=opsets)


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
