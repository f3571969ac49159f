"""Shards that make several tasks each: one giant row group, one giant CSV, bad rows on both sides of every border."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest

from mlserve_cli import RunResult, score, verify
from tests.models import mixed_columns
from tests.scoring.runs import data_bytes, model_file, request, scored, set_aside

PARQUET_ROWS, CSV_ROWS = 300_000, 150_000
BAD = {"one.csv": (*range(0, CSV_ROWS, 9_973), CSV_ROWS - 1), "two.parquet": (0, 100_351, 100_352, PARQUET_ROWS - 1)}


@dataclass(frozen=True, slots=True)
class Large:
    folder: Path
    alone: RunResult


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Large:
    folder = tmp_path_factory.mktemp("large")
    model_file(folder, mixed_columns())
    (folder / "in").mkdir()
    pq.write_table(people(PARQUET_ROWS, "two.parquet"), folder / "in" / "two.parquet", row_group_size=PARQUET_ROWS)
    pc_csv.write_csv(people(CSV_ROWS, "one.csv"), folder / "in" / "one.csv")
    return Large(folder, score(request(folder, on_error="quarantine", passthrough=("note",))))


def people(rows: int, name: str) -> pa.Table:
    """Rows whose score is their number; a null where a row is to be bad, and a note that makes the CSV wide."""
    age = np.arange(rows, dtype=np.float64)
    age[list(BAD[name])] = np.nan
    return pa.table(
        {
            "age": pa.array(age, from_pandas=True),
            "city": pa.repeat("Rome", rows),
            "visits": pa.repeat(pa.scalar(0, pa.int64()), rows),
            "member": pa.repeat(pa.scalar(False), rows),
            "note": pa.repeat("x" * 150, rows),
        }
    )


def test_large_shards_are_cut_into_tasks_that_cover_them(large: Large) -> None:
    tasks = large.alone.manifest.plan.tasks
    assert BAD["two.parquet"][2] in [task.start_row for task in tasks]
    assert [sum(task.rows for task in tasks if task.shard == place) for place in (0, 1)] == [CSV_ROWS, PARQUET_ROWS]
    assert min(sum(task.shard == place for task in tasks) for place in (0, 1)) >= 2


def test_rows_of_cut_shards_are_scored_once_and_in_order(large: Large) -> None:
    found = scored(large.alone)
    rows = found["source_row"].to_numpy()
    assert np.array_equal(found["score"].to_numpy(), rows.astype(np.float32))
    for name, count in (("one.csv", CSV_ROWS), ("two.parquet", PARQUET_ROWS)):
        mine = rows[found["source_file"].to_numpy(zero_copy_only=False) == name]
        assert np.array_equal(mine, np.setdiff1d(np.arange(count), BAD[name]))
    assert [(one["source_file"], one["source_row"]) for one in set_aside(large.alone).to_pylist()] == [
        (name, row) for name in ("one.csv", "two.parquet") for row in BAD[name]
    ]
    verify(str(large.alone.output))


def test_cut_shards_give_the_same_bytes_on_worker_processes(large: Large) -> None:
    together = score(
        request(
            large.folder,
            on_error="quarantine",
            passthrough=("note",),
            workers=2,
            memory_limit=700 << 20,
            output=str(large.folder / "together"),
        )
    )
    assert data_bytes(together.output) == data_bytes(large.alone.output)
