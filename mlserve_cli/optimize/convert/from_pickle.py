"""Files of objects: pickle and joblib, which run whatever code they name when they are loaded, and skops."""

from __future__ import annotations

import io
from typing import Any

from mlserve_cli.errors import Forbidden, InvalidModel, shown
from mlserve_cli.optimize.convert import from_catboost, from_lightgbm, from_pipeline, from_sklearn, from_xgboost
from mlserve_cli.optimize.convert.source import Source, extra, reading

HARMLESS = ("numpy.dtype",)  # skops asks for every dtype of a fitted encoder; it is a name and no code


def refuse_pickle(file: str, *, allowed: bool) -> None:
    """Forbidden (77) where nobody said that code of this file may run."""
    if not allowed:
        raise Forbidden(
            "this is a pickle: to load it is to run whatever code is in it",
            shown(file, limit=400),
            "if you trust who wrote it: --allow-pickle; a file of the library's own format, or skops, runs nothing",
        )


def from_pickle(data: bytes, *, file: str, allowed: bool) -> Source:
    """The Source of whatever was pickled: an estimator, a pipeline, a booster."""
    refuse_pickle(file, allowed=allowed)
    with extra("sklearn"):
        import joblib
    with reading("joblib", file):
        try:
            model = joblib.load(io.BytesIO(data))
        except ModuleNotFoundError as error:
            raise InvalidModel(
                f"what was pickled needs {shown(error.name or '')}, which is not installed", shown(file, limit=400)
            ) from error
    return _of_object(model, file=file)


def from_skops(data: bytes, *, file: str, trusted: tuple[str, ...]) -> Source:
    """The Source of a skops file, of which only types that skops knows, and `trusted` ones, are made."""
    with extra("sklearn"):
        import skops.io
    with reading("skops", file):
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - {*trusted, *HARMLESS})
        if unknown:
            raise Forbidden(
                f"it holds types that skops does not trust: {', '.join(map(shown, unknown))}",
                shown(file, limit=400),
                "if you trust them: " + " ".join(f"--trust-type {one}" for one in unknown),
            )
        model = skops.io.loads(data, trusted=[*trusted, *HARMLESS])
    return _of_object(model, file=file)


def _of_object(model: Any, *, file: str) -> Source:
    library = type(model).__module__.partition(".")[0]
    classes = getattr(model, "classes_", None)
    if library == "lightgbm":
        return from_lightgbm.of_booster(getattr(model, "booster_", model), file=file, classes=classes)
    if library == "xgboost":
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        return from_xgboost.of_booster(booster, file=file, classes=classes if booster is not model else None)
    if library == "catboost":
        return from_catboost.of_model(model, file=file)
    if from_pipeline.ends_in_booster(model):
        return from_pipeline.of_pipeline(model, file=file)
    return from_sklearn.of_estimator(model, file=file)
