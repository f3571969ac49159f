"""scikit-learn: a fitted estimator or pipeline, by skl2onnx."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import InvalidModel, UsageError, shown
from mlserve_cli.optimize.convert.doubles import feed_trees_float32, write_out_imputers
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
)
from mlserve_cli.optimize.convert.thresholds import rounded, set_thresholds

OPSETS = {"": 17, "ai.onnx.ml": 3}
Kind = Literal["float", "int64", "string"]


def of_estimator(model: Any, *, file: str) -> Source:
    """The Source of a fitted estimator."""
    with extra("sklearn"):
        import skl2onnx  # noqa: F401
        from sklearn.base import BaseEstimator, is_classifier, is_regressor
    kind: Literal["classifier", "regressor"] = "classifier" if is_classifier(model) else "regressor"
    if not isinstance(model, BaseEstimator) or not (is_classifier(model) or is_regressor(model)):
        raise InvalidModel(
            f"a {shown(type(model).__name__)} is no fitted classifier or regressor", shown(file, limit=400)
        )
    parts = list(_parts(model))
    trees = any(_is_histogram(part) for part in parts)
    # Other trees make float32 of what they are given: exact unless a step before them computes it, in doubles.
    mixed = trees or (
        any(hasattr(part, "tree_") for part in parts) and any(hasattr(part, "transform") for part in parts)
    )
    return Source(
        library="sklearn",
        inputs=inputs_of(model, file=file),
        kind=kind,
        takes_missing=takes_missing(model),
        exact_in="float64" if mixed else "float32",
        to_onnx=partial(_to_onnx, model, file=file),
        predict=partial(predict, model, kind == "classifier"),
        packages=("scikit-learn", "skl2onnx"),
        paths=partial(_paths, model) if trees else None,
        computes=mixed and any(hasattr(part, "transform") for part in parts),
    )


def takes_missing(model: Any) -> bool:
    """Whether it says so itself, or fills in what is missing."""
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan) or any("Imputer" in type(part).__name__ for part in _parts(model))


def predict(model: Any, is_classifier_: bool, tensors: Tensors) -> Scores:
    """The estimator's own scores of the rows."""
    rows = _rows(model, tensors)
    labels = np.asarray(model.predict(rows)) if is_classifier_ else None
    if not is_classifier_:
        found = np.asarray(model.predict(rows), dtype=np.float64)
        return Scores((found.reshape(len(found), -1),))
    if hasattr(model, "predict_proba"):
        return Scores((np.asarray(model.predict_proba(rows), dtype=np.float64),), labels)
    margins = np.asarray(model.decision_function(rows), dtype=np.float64)
    return Scores((margins if margins.ndim == 2 else np.stack([-margins, margins], axis=1),), labels)


def _rows(model: Any, tensors: Tensors) -> Any:
    """As the estimator was fitted: a frame where it knows names, else a matrix."""
    if not hasattr(model, "feature_names_in_"):
        return tensors[MATRIX]
    import pandas as pd

    if MATRIX in tensors and len(tensors) == 1:
        return pd.DataFrame(tensors[MATRIX], columns=list(model.feature_names_in_))
    return pd.DataFrame({name: values.reshape(-1) for name, values in tensors.items()})


def inputs_of(model: Any, *, file: str) -> tuple[SourceInput, ...]:
    """One matrix; or where a ColumnTransformer picks columns by name, one input for each that it picks."""
    parts = list(_parts(model))
    names = tuple(map(str, getattr(model, "feature_names_in_", ())))
    choosers = [part for part in parts if hasattr(part, "transformers_") and hasattr(part, "feature_names_in_")]
    kinds: dict[str, Kind] = {}
    for chooser in choosers:
        for _, transformer, columns in chooser.transformers_:
            if isinstance(transformer, str) and transformer == "drop":
                continue
            for place, column in enumerate(np.atleast_1d(columns).tolist()):
                name = column if isinstance(column, str) else str(chooser.feature_names_in_[column])
                kinds[name] = _kind(transformer, place)
    if names and set(kinds) <= set(names) and kinds:
        return tuple(SourceInput(name, (name,), (1,), kinds[name]) for name in names if name in kinds)
    if any(hasattr(part, "transformers_") for part in parts) and any(
        _kind(one, 0) != "float" for part in parts if hasattr(part, "transformers_") for _, one, _ in part.transformers_
    ):
        raise UsageError(
            "its columns are of several types and have no names",
            shown(file, limit=400),
            "fit it on a data frame, so that it knows its columns",
        )
    return (SourceInput(MATRIX, names, (int(model.n_features_in_),)),)


def _kind(transformer: Any, place: int) -> Kind:
    """What kind of column a transformer was fitted on, by its categories or what it fills in."""
    for part in _parts(transformer):
        known = getattr(part, "categories_", None)
        learned = known[place] if known is not None and place < len(known) else getattr(part, "statistics_", None)
        if learned is not None:
            dtype = np.asarray(learned).dtype
            return "string" if dtype.kind in "OUST" else "int64" if dtype.kind in "iu" else "float"
    return "float"


def _parts(model: Any) -> Iterator[Any]:
    """The model and every estimator inside it, outermost first."""
    if hasattr(model, "get_params"):
        yield model
        inner: list[Any] = list(vars(model).values())
        while inner:
            value = inner.pop(0)
            if isinstance(value, list | tuple):
                inner = [*value, *inner]
            elif isinstance(value, np.ndarray) and value.dtype == object:
                inner = [*value.reshape(-1).tolist(), *inner]
            elif hasattr(value, "get_params") and not isinstance(value, type):
                yield from _parts(value)


def _is_histogram(part: Any) -> bool:
    return type(part).__name__.startswith("HistGradientBoosting") and hasattr(part, "_predictors")


def _paths(model: Any, how: Rounding, tensors: Tensors) -> NDArray[Any]:
    """Histogram trees do not say which leaf a row takes, but the same sums come of the same leaves."""
    changed = copy.deepcopy(model)
    for trees in (part._predictors for part in _parts(changed) if _is_histogram(part)):
        for tree in (tree for several in trees for tree in several):
            tree.nodes["num_threshold"] = rounded(tree.nodes["num_threshold"], how)
    return predict(changed, hasattr(model, "predict_proba"), tensors).values[0]


def _to_onnx(model: Any, precision: Precision, rounding: Rounding, *, file: str) -> bytes:
    from skl2onnx import convert_sklearn

    with converting("scikit-learn", file):
        ready, table = _for_converter(model)
        options = {id(ready): {"zipmap": False}} if hasattr(model, "classes_") else {}
        made = convert_sklearn(
            ready,
            "sklearn",
            initial_types(model, precision, file=file),
            target_opset=OPSETS,
            options=options,
            custom_conversion_functions=_converters(ready),
        )
        if len(table):
            set_thresholds(made, rounded(table, rounding), precision=precision)
        elif precision == "float64":
            feed_trees_float32(made)
        if precision == "float64":
            write_out_imputers(made)
        data: bytes = made.SerializeToString(deterministic=True)
        return data


def initial_types(model: Any, precision: Precision, *, file: str) -> list[tuple[str, Any]]:
    """The inputs as skl2onnx wants to be told of them."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    types = {"string": StringTensorType, "int64": Int64TensorType}
    number = DoubleTensorType if precision == "float64" else FloatTensorType
    return [(one.tensor, types.get(one.dtype, number)([None, one.width])) for one in inputs_of(model, file=file)]


def _converters(model: Any) -> dict[type, Any]:
    """For histogram trees skl2onnx's own, which writes booleans where protobuf 6 and later take numbers alone."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    kinds = {type(part) for part in _parts(model) if _is_histogram(part)}
    return {kind: partial(_with_numbers, get_converter(sklearn_operator_name_map[kind])) for kind in kinds}


def _with_numbers(convert: Any, scope: Any, operator: Any, container: Any) -> None:
    convert(scope, operator, _Numbers(container))


class _Numbers:
    """A converter's container that writes numbers for booleans."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *given: Any, **attributes: Any) -> Any:
        key = "nodes_missing_value_tracks_true"
        if attributes.get(key) is not None:
            attributes[key] = [int(one) for one in attributes[key]]
        return self._container.add_node(*given, **attributes)


def _for_converter(model: Any) -> tuple[Any, NDArray[np.float64]]:
    """A copy for skl2onnx, whose histogram trees have numbers in place of thresholds, and the thresholds.

    skl2onnx would round those to nearest, even for doubles. Other trees it rounds down itself, for scikit-learn makes
    float32 of what they read.
    """
    ready = copy.deepcopy(model)
    parts = [part for part in _parts(ready) if _is_histogram(part)]
    trees = [tree for part in parts for several in part._predictors for tree in several]
    if any(part.is_categorical_ is not None and np.any(part.is_categorical_) for part in parts):
        raise InvalidModel("it has categorical features, which skl2onnx does not take", "", "encode them before")
    if not trees:
        return ready, np.zeros(0)
    if any(hasattr(part, "tree_") for part in _parts(ready)):
        raise InvalidModel("histogram trees and other trees in one model cannot be converted", "", "take one kind")
    table = np.unique(np.concatenate([tree.nodes["num_threshold"] for tree in trees]))
    for tree in trees:
        tree.nodes = _plain_nodes(tree.nodes, np.searchsorted(table, tree.nodes["num_threshold"]))
    return ready, table


def _plain_nodes(nodes: NDArray[Any], thresholds: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The nodes of a tree, a dictionary each; of a leaf's value skl2onnx wants an array."""
    keys = ("is_leaf", "feature_idx", "left", "right", "missing_go_to_left")
    columns = [nodes[key].tolist() for key in keys]
    return [
        {**dict(zip(keys, values, strict=True)), "threshold": float(threshold), "value": value}
        for *values, threshold, value in zip(*columns, thresholds.tolist(), nodes["value"], strict=True)
    ]
