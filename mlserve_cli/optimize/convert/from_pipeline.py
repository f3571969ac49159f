"""A scikit-learn pipeline that ends in LightGBM's or XGBoost's estimator: two models, one of which feeds the other.

skl2onnx knows the steps before it, and what converts a booster by itself moves no row to another leaf; so each becomes
ONNX as ever, and the second reads what the first gives.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mlserve_cli.optimize.convert import from_lightgbm, from_sklearn, from_xgboost
from mlserve_cli.optimize.convert.doubles import write_out_imputers
from mlserve_cli.optimize.convert.join import OF_ONNX, joined
from mlserve_cli.optimize.convert.source import Precision, Rounding, Source, converting

OPSETS = {"": 15, "ai.onnx.ml": 3}  # those that the boosters' converter knows


def ends_in_booster(model: Any) -> bool:
    """Whether it is a pipeline that `of_pipeline` takes."""
    steps: list[Any] = getattr(model, "steps", [])
    return len(steps) > 1 and _library(steps[-1][1]) in ("lightgbm", "xgboost")


def of_pipeline(model: Any, *, file: str) -> Source:
    """The Source of a fitted pipeline."""
    before, estimator = model[:-1], model.steps[-1][1]
    classes = getattr(estimator, "classes_", None)
    if _library(estimator) == "lightgbm":
        booster = from_lightgbm.of_booster(estimator.booster_, file=file, classes=classes)
    else:
        booster = from_xgboost.of_booster(estimator.get_booster(), file=file, classes=classes)
    return Source(
        library="sklearn",
        inputs=from_sklearn.inputs_of(model, file=file),
        kind=booster.kind,
        takes_missing=from_sklearn.takes_missing(before),
        exact_in="float64",
        to_onnx=partial(_to_onnx, before, booster, file=file),
        predict=partial(from_sklearn.predict, model, booster.kind == "classifier"),
        packages=("scikit-learn", "skl2onnx", *booster.packages),
        note=booster.note,
        computes=True,
    )


def _library(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def _to_onnx(before: Any, booster: Source, precision: Precision, rounding: Rounding, *, file: str) -> bytes:
    import onnx
    from skl2onnx import convert_sklearn

    with converting("scikit-learn", file):
        initial = from_sklearn.initial_types(before, precision, file=file)
        first = convert_sklearn(before, "columns", initial, target_opset=OPSETS)
        if precision == "float64":
            write_out_imputers(first)
    takes: Precision = precision if booster.exact_in == "float64" else "float32"
    second = onnx.load_model_from_string(booster.to_onnx(takes, rounding))
    if _are_zeros_missing(before, booster):
        _zeros_to_nan(first)
    made: bytes = joined(first, second, takes).SerializeToString(deterministic=True)
    return made


def _are_zeros_missing(before: Any, booster: Source) -> bool:
    """XGBoost takes what a sparse matrix leaves out for missing, and a zero is left out."""
    return "xgboost" in booster.packages and bool(getattr(before.steps[-1][1], "sparse_output_", False))


def _zeros_to_nan(model: Any) -> None:
    from onnx import helper, numpy_helper

    (output,) = model.graph.output
    kind = np.float64 if output.type.tensor_type.elem_type == OF_ONNX["float64"] else np.float32
    for name, value in (("zero/value", 0), ("zero/nan", np.nan)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
    model.graph.node.append(helper.make_node("Equal", [output.name, "zero/value"], ["zero/found"]))
    model.graph.node.append(helper.make_node("Where", ["zero/found", "zero/nan", output.name], ["zero/replaced"]))
    output.name = "zero/replaced"
