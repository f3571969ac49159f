"""Models that LightGBM, XGBoost, CatBoost and scikit-learn trained and their exporters wrote, against ONNX Runtime.

On real rows, and on rows made of the trees' thresholds, their neighbours, NaN and infinities.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from mlserve_cli.session import prove_equal
from tests.trees.both import assert_alike, open_both

MODELS = sorted((Path(__file__).parent / "models").glob("*.onnx"))
FLIGHTS = Path(__file__).parents[2] / "sample_data" / "flights"
FEATURES = ("day", "hour", "minute", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "visib")
REAL_ROWS = 20_000
# Beyond the trees there are a logistic or a division by thousands, which round in their own way.
TO_THE_BIT = {"catboost-regressor", "lightgbm-regressor", "sklearn-forest", "sklearn-multitarget", "xgboost-regressor"}


@pytest.fixture(scope="module")
def flights() -> NDArray[np.float32]:
    """Real rows; about every fifth has a value missing."""
    columns = [pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in FEATURES]
    return pl.read_parquet(f"{FLIGHTS}/**/*.parquet").select(columns).head(REAL_ROWS).to_numpy()


@pytest.mark.parametrize("path", MODELS, ids=[path.stem for path in MODELS])
def test_real_rows_score_as_with_onnx_runtime(path: Path, flights: NDArray[np.float32]) -> None:
    trees, plain, contract = open_both(path, features=len(FEATURES))
    (name,) = (part.tensor.name for part in contract.inputs)
    dtype = contract.inputs[0].tensor.dtype
    rows = {name: np.ascontiguousarray(flights, dtype)}
    assert_alike(trees.predict(rows), plain.predict(rows), to_the_bit=path.stem in TO_THE_BIT)


@pytest.mark.parametrize("path", MODELS, ids=[path.stem for path in MODELS])
def test_thresholds_neighbours_nan_and_infinities_score_as_with_onnx_runtime(path: Path) -> None:
    trees, plain, contract = open_both(path, features=len(FEATURES))
    prove_equal(trees, plain, contract)


def test_each_library_is_there() -> None:
    assert {path.stem.partition("-")[0] for path in MODELS} == {"catboost", "lightgbm", "sklearn", "xgboost"}
