"""Models of five libraries, trained on the sample flights, as the files that their users have; and their own scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
from numpy.typing import NDArray

FLIGHTS = Path(__file__).parents[2] / "sample_data" / "flights"
NUMBERS = ("minute", "hour", "distance", "temp", "humid", "wind_speed", "precip", "visib")
TEXTS = ("carrier", "origin")
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model file, the options that it needs, and its library's scores of the flights by the written column."""

    file: Path
    options: tuple[str, ...]
    expected: dict[str, Scores]


def trained(name: str, folder: Path) -> Trained:
    """One of TRAINERS, written into the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        return TRAINERS[name](folder)


@cache
def flights() -> pa.Table:
    """All rows, by their id."""
    table = pa.dataset.dataset(FLIGHTS, partitioning="hive").to_table()
    return table.sort_by("flight_id")


@cache
def matrix() -> NDArray[np.float64]:
    """The numbers of all rows, nulls as NaN."""
    columns = [flights()[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in NUMBERS]
    return np.stack(columns, axis=1)


@cache
def late() -> NDArray[np.int64]:
    """Something to learn: whether a flight arrived late; where it never did, not."""
    return np.asarray(flights()["arr_delay"].fill_null(0).to_numpy() > 15, dtype=np.int64)


def seasons() -> NDArray[np.int64]:
    """Three classes."""
    return np.asarray(flights()["month"].to_numpy() % 3, dtype=np.int64)


def _binary(found: Scores) -> dict[str, Scores]:
    return {"probability_0": 1 - found, "probability_1": found}


def _lightgbm(folder: Path) -> Trained:
    import lightgbm

    data = lightgbm.Dataset(matrix(), label=late(), feature_name=list(NUMBERS))
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 2}, data, num_boost_round=40)
    booster.save_model(folder / "gbm.txt")
    return Trained(folder / "gbm.txt", (), _binary(booster.predict(matrix())))


def _lightgbm_labels(folder: Path) -> Trained:
    """Its scikit-learn face, with labels that are not 0, 1, 2."""
    import joblib
    import lightgbm

    labels = np.array([10, 20, 30])[seasons()]
    fitted = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=2).fit(matrix(), labels)
    joblib.dump(fitted, folder / "lgbm.joblib")
    found = fitted.predict_proba(matrix())
    expected = {f"probability_{label}": found[:, place] for place, label in enumerate((10, 20, 30))}
    return Trained(folder / "lgbm.joblib", ("--allow-pickle", "--features", ",".join(NUMBERS)), expected)


def categories() -> Any:
    """A data frame with two columns of texts as categories, some of them missing."""
    frame = _frame()
    for name in TEXTS:
        frame[name] = flights()[name].to_pandas().astype("category")
    return frame


def _lightgbm_categories(folder: Path) -> Trained:
    import lightgbm

    frame = categories()
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 2}, lightgbm.Dataset(frame, late()), 20
    )
    booster.save_model(folder / "categories.txt")
    return Trained(folder / "categories.txt", (), _binary(booster.predict(frame)))


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame(matrix(), columns=list(NUMBERS))


def _xgboost(folder: Path) -> Trained:
    import xgboost

    fitted = xgboost.XGBClassifier(n_estimators=30, max_depth=5, n_jobs=2).fit(_frame(), late())
    fitted.save_model(folder / "xgb.ubj")
    return Trained(folder / "xgb.ubj", (), _binary(fitted.predict_proba(_frame())[:, 1]))


def _xgboost_regressor(folder: Path) -> Trained:
    import xgboost

    delay = flights()["arr_delay"].fill_null(0).to_numpy()
    fitted = xgboost.XGBRegressor(n_estimators=30, max_depth=5, n_jobs=2).fit(_frame(), delay)
    fitted.save_model(folder / "xgb.json")
    return Trained(folder / "xgb.json", (), {"variable": fitted.predict(_frame())})


def _catboost(folder: Path) -> Trained:
    import catboost

    labels = np.array(["autumn", "spring", "winter"])[seasons()]
    model = catboost.CatBoostClassifier(iterations=30, verbose=0, thread_count=2, allow_writing_files=False)
    model.fit(_frame(), labels)
    model.save_model(str(folder / "model.cbm"))
    found = model.predict_proba(_frame())
    expected = {f"probability_{label}": found[:, place] for place, label in enumerate(model.classes_)}
    return Trained(folder / "model.cbm", (), expected)


def _pipeline(folder: Path) -> Trained:
    import skops.io
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = _frame().assign(**{name: flights()[name].to_pandas().astype(object) for name in TEXTS})
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("t", OneHotEncoder(), list(TEXTS)), ("n", numbers, ["distance", "temp", "hour"])])
    fitted = make_pipeline(columns, LogisticRegression(max_iter=300)).fit(frame, late())
    skops.io.dump(fitted, folder / "pipeline.skops")
    return Trained(folder / "pipeline.skops", (), _binary(fitted.predict_proba(frame)[:, 1]))


def _histogram(folder: Path) -> Trained:
    import joblib
    from sklearn.ensemble import HistGradientBoostingClassifier

    fitted = HistGradientBoostingClassifier(max_iter=20).fit(_frame(), late())
    joblib.dump(fitted, folder / "hist.joblib", compress=3)
    return Trained(folder / "hist.joblib", ("--allow-pickle",), _binary(fitted.predict_proba(_frame())[:, 1]))


def _forest(folder: Path) -> Trained:
    import joblib
    from sklearn.ensemble import RandomForestRegressor

    fitted = RandomForestRegressor(20, max_depth=8, n_jobs=2, random_state=0).fit(_frame(), matrix()[:, 2])
    joblib.dump(fitted, folder / "forest.joblib")
    return Trained(folder / "forest.joblib", ("--allow-pickle",), {"variable": fitted.predict(_frame())})


def _forest_pipeline(folder: Path) -> Trained:
    """Over decimal numbers, which are no float32: some stand right between two others, where the thresholds are."""
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    numbers = ("temp", "humid", "wind_speed")
    frame = _frame().assign(**{name: flights()[name].to_pandas().astype(object) for name in TEXTS})
    columns = make_column_transformer((OneHotEncoder(), list(TEXTS)), (SimpleImputer(), list(numbers)))
    forest = RandomForestClassifier(60, max_depth=12, n_jobs=2, random_state=0)
    fitted = make_pipeline(columns, forest).fit(frame, late())
    joblib.dump(fitted, folder / "forest-pipeline.joblib")
    expected = _binary(fitted.predict_proba(frame)[:, 1])
    return Trained(folder / "forest-pipeline.joblib", ("--allow-pickle",), expected)


def _booster_pipeline(estimator: Any, folder: Path, *, sparse: bool) -> Trained:
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = _frame().assign(**{name: flights()[name].to_pandas().astype(object) for name in TEXTS})
    numbers = ["minute", "hour", "temp", "wind_speed", "precip"]
    columns = make_column_transformer(
        (OneHotEncoder(), list(TEXTS)),
        ("passthrough" if sparse else StandardScaler(), numbers),
        sparse_threshold=float(sparse),
    )
    fitted = make_pipeline(columns, estimator).fit(frame, late())
    file = folder / f"{type(estimator).__name__}.joblib"
    joblib.dump(fitted, file)
    return Trained(file, ("--allow-pickle", "--nulls", "nan"), _binary(fitted.predict_proba(frame)[:, 1]))


def _lightgbm_pipeline(folder: Path) -> Trained:
    import lightgbm

    return _booster_pipeline(lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=2), folder, sparse=False)


def _xgboost_pipeline(folder: Path) -> Trained:
    """Over a sparse matrix, whose zeros XGBoost takes for missing."""
    import xgboost

    return _booster_pipeline(xgboost.XGBClassifier(n_estimators=20, max_depth=5, n_jobs=2), folder, sparse=True)


def _histogram_pipeline(folder: Path) -> Trained:
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    frame = _frame().assign(**{name: flights()[name].to_pandas().astype(object) for name in TEXTS})
    columns = make_column_transformer((OrdinalEncoder(), list(TEXTS)), ("passthrough", ["temp", "hour", "humid"]))
    fitted = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20)).fit(frame, late())
    joblib.dump(fitted, folder / "hist-pipeline.joblib")
    options = ("--allow-pickle", "--nulls", "nan")
    return Trained(folder / "hist-pipeline.joblib", options, _binary(fitted.predict_proba(frame)[:, 1]))


def _network() -> Any:
    import torch

    class Filled(torch.nn.Module):  # type: ignore[misc]
        def forward(self, rows: Any) -> Any:
            return torch.nan_to_num(rows) / 100

    torch.manual_seed(0)
    layers = (Filled(), torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1), torch.nn.Sigmoid())
    return torch.nn.Sequential(*layers).eval()


def _torch_scores(network: Any) -> Scores:
    import torch

    with torch.no_grad():
        found: Scores = network(torch.from_numpy(matrix().astype(np.float32))).numpy()[:, 0]
    return found


TORCH_OPTIONS = ("--features", ",".join(NUMBERS), "--nulls", "nan")


def _torch_export(folder: Path) -> Trained:
    import torch

    network = _network()
    rows = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(network, (torch.zeros(3, len(NUMBERS)),), dynamic_shapes=rows)
    torch.export.save(program, folder / "net.pt2")
    return Trained(folder / "net.pt2", TORCH_OPTIONS, {"sigmoid": _torch_scores(network)})


def _torch_fixed(folder: Path) -> Trained:
    """Exported as people do at first, without a word on the batch."""
    import torch

    network = _network()
    torch.export.save(torch.export.export(network, (torch.zeros(64, len(NUMBERS)),)), folder / "fixed.pt2")
    return Trained(folder / "fixed.pt2", TORCH_OPTIONS, {"sigmoid": _torch_scores(network)})


def _torchscript(folder: Path) -> Trained:
    import torch

    network = _network()
    torch.jit.trace(network, torch.zeros(3, len(NUMBERS))).save(folder / "net.pt")
    return Trained(folder / "net.pt", TORCH_OPTIONS, {"score": _torch_scores(network)})


TRAINERS: dict[str, Callable[[Path], Trained]] = {
    "scikit-learn pipeline": _pipeline,
    "scikit-learn histogram trees": _histogram,
    "scikit-learn forest": _forest,
    "scikit-learn forest pipeline": _forest_pipeline,
    "scikit-learn histogram trees in a pipeline": _histogram_pipeline,
    "lightgbm in a pipeline": _lightgbm_pipeline,
    "xgboost in a pipeline": _xgboost_pipeline,
    "lightgbm": _lightgbm,
    "lightgbm labels": _lightgbm_labels,
    "lightgbm categories": _lightgbm_categories,
    "xgboost": _xgboost,
    "xgboost regressor": _xgboost_regressor,
    "catboost": _catboost,
    "torch.export": _torch_export,
    "torch.export of a fixed batch": _torch_fixed,
    "torchscript": _torchscript,
}
