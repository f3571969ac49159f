"""The sample models on the sample flights: the scores are those of the libraries that trained them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import Dialect, replay, verify
from tests.scoring.runs import SAMPLES, data_bytes, run, scored

MODELS = sorted(path.name for path in (SAMPLES / "models").iterdir())
NULLS_AS_NA = Dialect(null_values=("NA",))


def of_flights(folder: Path, model: str, *, kind: str = "flights", **options: Any) -> Any:
    dialect = NULLS_AS_NA if kind == "flights_csv" else Dialect()
    return run(
        folder,
        model=str(SAMPLES / "models" / model),
        inputs=(str(SAMPLES / kind),),
        output=str(folder / f"{model}-{kind}-{options.get('workers', 1)}"),
        dialect=dialect,
        id_column="flight_id",
        **options,
    )


def distance(found: pa.Table, expected: pa.Table) -> float:
    """The largest difference of any score, joined on the flight's id."""
    expected = expected.set_column(0, "flight_id", expected["flight_id"].cast(found["flight_id"].type))
    joined = found.join(expected, "flight_id", join_type="full outer", right_suffix=" expected")
    assert joined.num_rows == found.num_rows == expected.num_rows
    pairs = ((joined[name], joined[f"{name} expected"]) for name in expected.column_names[1:])
    return max(float(np.max(np.abs(a.to_numpy().astype(float) - b.to_numpy().astype(float)))) for a, b in pairs)


@pytest.mark.parametrize("model", MODELS)
def test_every_row_has_the_score_that_the_training_library_gave_it(folder: Path, model: str) -> None:
    expected = pq.read_table(SAMPLES / "expected" / f"{model}.parquet")
    for kind in ("flights", "flights_csv"):
        result = of_flights(folder, model, kind=kind)
        assert result.manifest.rows.rows_out == expected.num_rows
        assert distance(scored(result), expected) <= 1e-5
        verify(str(result.output))


@pytest.mark.parametrize("model", MODELS)
def test_parquet_and_csv_shards_of_the_same_rows_get_the_same_scores(folder: Path, model: str) -> None:
    from_parquet = scored(of_flights(folder, model))
    from_csv = scored(of_flights(folder, model, kind="flights_csv"))
    for name in from_parquet.column_names[1:]:
        assert from_parquet[name].equals(from_csv[name]), name


def test_two_worker_processes_write_what_one_process_writes(folder: Path) -> None:
    alone, together = of_flights(folder, "late-gbm"), of_flights(folder, "late-gbm", workers=2)
    assert len(together.manifest.throughput.workers) == 2
    assert data_bytes(together.output) == data_bytes(alone.output)


def test_the_kernel_for_trees_scores_as_the_training_library_does_and_is_replayed(folder: Path) -> None:
    result = of_flights(folder, "late-gbm", predictor="trees")
    assert result.manifest.plan.predictor == "trees"
    expected = pq.read_table(SAMPLES / "expected" / "late-gbm.parquet")
    assert distance(scored(result), expected) <= 1e-5
    verify(str(result.output))
    assert replay(str(result.output)).identical
