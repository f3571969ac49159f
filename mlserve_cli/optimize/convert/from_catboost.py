"""CatBoost: a cbm file, or an unpickled object; CatBoost writes the ONNX itself."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlserve_cli.errors import InvalidModel, shown
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


def from_catboost(data: bytes, *, file: str) -> Source:
    """The Source of a cbm file."""
    with extra("catboost"):
        import catboost
    with reading("CatBoost", file):
        model = catboost.CatBoost().load_model(blob=data)
    return of_model(model, file=file)


def of_model(model: Any, *, file: str) -> Source:
    """The Source of a CatBoost model."""
    with extra("catboost"):
        import onnx  # noqa: F401
    names = tuple(model.feature_names_)
    if not names:  # CatBoost takes some files that were cut off for models of nothing
        raise InvalidModel("the file is damaged: its model reads no feature", shown(file, limit=400), "fetch it again")
    for kind, places in (("categorical", model.get_cat_feature_indices()), ("text", model.get_text_feature_indices())):
        if len(places):
            raise InvalidModel(
                f"it has a {kind} feature, {shown(names[places[0]])}, and CatBoost's ONNX knows numbers alone",
                shown(file, limit=400),
                "encode such features before CatBoost, as one-hot columns for instance, and train it anew",
            )
    made_up = names == tuple(map(str, range(len(names))))
    is_classifier = len(model.classes_) > 0
    return Source(
        library="catboost",
        inputs=(SourceInput(MATRIX, () if made_up else names, (len(names),)),),
        kind="classifier" if is_classifier else "regressor",
        takes_missing=True,
        exact_in="float32",  # features and borders alike
        to_onnx=partial(_to_onnx, model, file=file),
        predict=partial(_predict, model, is_classifier),
        packages=("catboost", "onnx"),
    )


def _predict(model: Any, is_classifier: bool, tensors: Tensors) -> Scores:
    rows = tensors[MATRIX].astype(np.float32)  # what CatBoost makes of them itself
    if not is_classifier:
        found = np.asarray(model.predict(rows), dtype=np.float64)
        return Scores((found.reshape(len(found), -1),))
    values = np.asarray(model.predict(rows, prediction_type="Probability"), dtype=np.float64)
    return Scores((values,), np.asarray(model.classes_)[np.argmax(values, axis=1)])


def _to_onnx(model: Any, _precision: Precision, _rounding: Rounding, *, file: str) -> bytes:
    import onnx

    with converting("CatBoost", file), tempfile.TemporaryDirectory(prefix="mlserve-convert-") as folder:
        written = Path(folder, "model.onnx")
        model.save_model(str(written), format="onnx")
        made = onnx.load(written)
        for value in made.graph.output:  # it says [N] of a regressor and gives [N, 1]
            axes = value.type.tensor_type.shape.dim
            if value.name == "predictions" and len(axes) == 1:
                axes.add(dim_value=1)
        made.graph.input[0].name = MATRIX
        for node in made.graph.node:
            node.input[:] = [MATRIX if name == "features" else name for name in node.input]
        data: bytes = made.SerializeToString(deterministic=True)
        return data
