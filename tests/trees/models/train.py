"""Makes the models of this folder: each of the four libraries, on the sample flights, with its own ONNX exporter.

    python -m venv env && env/bin/pip install catboost lightgbm onnxmltools polars scikit-learn skl2onnx xgboost
    env/bin/python tests/trees/models/train.py

Nothing in the tests needs these libraries: what they exported is the point, and is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnx
import polars as pl
import sklearn.ensemble as forests
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
FLIGHTS = HERE.parents[2] / "sample_data" / "flights"
FEATURES = ("day", "hour", "minute", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "visib")
LARGEST_BYTES = 100_000
OPSET = {"": 17, "ai.onnx.ml": 3}
SHAPE = [("X", FloatTensorType([None, len(FEATURES)]))]


def main() -> None:
    """Write each model, and say how large it became."""
    flights = pl.read_parquet(f"{FLIGHTS}/**/*.parquet").drop_nulls("arr_delay")
    matrix = flights.select(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in FEATURES).to_numpy()
    delay = flights["arr_delay"].to_numpy().astype(np.float64)
    for name, model in all_models(matrix, delay):
        data = model if isinstance(model, bytes) else model.SerializeToString()
        assert len(data) <= LARGEST_BYTES, f"{name} is too large: {len(data)} bytes"
        (HERE / f"{name}.onnx").write_bytes(data)
        print(f"{name}: {len(data):,} bytes")


def all_models(matrix: Any, delay: Any) -> Iterator[tuple[str, onnx.ModelProto | bytes]]:
    """The models by name."""
    late, kind = (delay > 15).astype(int), np.digitize(delay, [-10, 15])
    words = np.array(["early", "on time", "late"])[kind]
    both = np.stack([delay, np.abs(delay)], axis=1)
    filled = np.nan_to_num(matrix)
    yield from by_lightgbm(matrix, delay, late, kind)
    yield from by_xgboost(matrix, delay, late, kind)
    yield from by_catboost(matrix, delay, late, kind)
    yield from by_sklearn(matrix, filled, late, words, both)


def by_lightgbm(matrix: Any, delay: Any, late: Any, kind: Any) -> Iterator[tuple[str, onnx.ModelProto]]:
    settings = {"n_estimators": 20, "num_leaves": 15, "verbose": -1, "seed": 1}
    for name, model, target in (
        ("binary", lightgbm.LGBMClassifier(**settings), late),
        ("multiclass", lightgbm.LGBMClassifier(**settings), kind),
        ("regressor", lightgbm.LGBMRegressor(**settings), delay),
        ("forest", lightgbm.LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **settings), delay),
    ):
        yield f"lightgbm-{name}", convert_lightgbm(model.fit(matrix, target), name, SHAPE, target_opset=15)
    groups = matrix.copy()
    groups[:, 0] = np.nan_to_num(groups[:, 0])
    model = lightgbm.LGBMClassifier(**settings).fit(groups, late, categorical_feature=[0])
    yield "lightgbm-categorical", convert_lightgbm(model, "categorical", SHAPE, target_opset=15)


def by_xgboost(matrix: Any, delay: Any, late: Any, kind: Any) -> Iterator[tuple[str, onnx.ModelProto]]:
    settings = {"n_estimators": 20, "max_depth": 4, "random_state": 1}
    for name, model, target in (
        ("binary", xgboost.XGBClassifier(**settings), late),
        ("multiclass", xgboost.XGBClassifier(**settings), kind),
        ("regressor", xgboost.XGBRegressor(**settings), delay),
    ):
        yield f"xgboost-{name}", convert_xgboost(model.fit(matrix, target), name, SHAPE, target_opset=15)


def by_catboost(matrix: Any, delay: Any, late: Any, kind: Any) -> Iterator[tuple[str, bytes]]:
    settings = {"iterations": 20, "depth": 4, "random_seed": 1, "verbose": False, "allow_writing_files": False}
    for name, model, target in (
        ("binary", catboost.CatBoostClassifier(**settings), late),
        ("multiclass", catboost.CatBoostClassifier(loss_function="MultiClass", **settings), kind),
        ("regressor", catboost.CatBoostRegressor(**settings), delay),
    ):
        written = HERE / "written.onnx"
        model.fit(matrix, target).save_model(str(written), format="onnx")
        yield f"catboost-{name}", written.read_bytes()
        written.unlink()


def by_sklearn(matrix: Any, filled: Any, late: Any, words: Any, both: Any) -> Iterator[tuple[str, onnx.ModelProto]]:
    small: dict[str, Any] = {"n_estimators": 10, "max_depth": 5, "random_state": 1}
    forest = forests.RandomForestClassifier(**small)
    yield "sklearn-forest", to_onnx(forest.fit(filled, late), filled[:1], target_opset=OPSET)
    extra = forests.ExtraTreesClassifier(**small)
    yield "sklearn-multiclass", to_onnx(extra.fit(filled, words), filled[:1], target_opset=OPSET)
    targets = forests.RandomForestRegressor(**small)
    yield "sklearn-multitarget", to_onnx(targets.fit(filled, both), filled[:1], target_opset=OPSET)
    boosted = forests.GradientBoostingClassifier(n_estimators=20, max_depth=3, random_state=1)
    yield "sklearn-boosted", to_onnx(boosted.fit(filled, late), filled[:1], target_opset=OPSET)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), forests.RandomForestClassifier(**small))
    yield "sklearn-pipeline", to_onnx(pipeline.fit(matrix, late), matrix[:1], target_opset=OPSET)
    isolation = forests.IsolationForest(n_estimators=10, max_samples=64, random_state=1)
    yield "sklearn-isolation", to_onnx(isolation.fit(filled), filled[:1], target_opset=OPSET)


if __name__ == "__main__":
    main()
