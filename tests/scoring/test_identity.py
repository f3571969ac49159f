"""What a plan's id is made of, and what it is not: each ingredient changes it, and nothing else does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlserve_cli import Dialect, ScoreRequest, preview
from tests.models import linear
from tests.scoring.runs import ABC, model_file, numbers, request, run, shard


@pytest.fixture
def plain(folder: Path) -> ScoreRequest:
    model_file(folder)
    for number in (1, 2):
        shard(folder / "in" / f"s{number}.parquet", {"id": [*range(9)], **numbers(9, first=number)})
        os.utime(folder / "in" / f"s{number}.parquet", ns=(0, 10**18))
    return request(folder)


def id_of(asked: ScoreRequest) -> str:
    return preview(asked).plan.id


INGREDIENTS: dict[str, dict[str, Any]] = {
    "batch rows": {"batch_rows": 3},
    "the columns that feed the model": {"features": ("c,b,a",)},
    "a renamed feature": {"rename": {"c": "id"}, "schema_mode": "coerce"},
    "schema mode": {"schema_mode": "coerce"},
    "what a null is": {"nulls": "nan"},
    "scores that are not finite": {"nan_scores": "allow"},
    "the id column": {"id_column": "id"},
    "passthrough": {"passthrough": ("id",)},
    "threshold": {"threshold": 0.5},
    "names of the output": {"output_columns": {"Y": "score"}},
    "output format": {"output_format": "csv"},
    "compression": {"compression": "snappy"},
    "what happens to a bad row": {"on_error": "quarantine"},
    "limit": {"limit": 5},
    "dialect": {"dialect": Dialect(delimiter=";")},
}
NOT_INGREDIENTS: dict[str, dict[str, Any]] = {
    "workers": {"workers": 2},
    "threads": {"threads_per_worker": 3},
    "memory limit": {"memory_limit": 300 << 20},
    "retries": {"max_retries": 7},
    "time-out": {"task_timeout": 60.0},
    "errors allowed": {"max_errors": "50%"},
    "what happens to what stands there": {"if_exists": "overwrite"},
    "how it was called": {"command": ("mlserve", "score")},
    "the batch rows that auto stands for": {"batch_rows": 8_192},
}


@pytest.mark.parametrize("what", INGREDIENTS)
def test_each_ingredient_makes_another_plan(plain: ScoreRequest, what: str) -> None:
    assert id_of(replace(plain, **INGREDIENTS[what])) != id_of(plain)


@pytest.mark.parametrize("what", NOT_INGREDIENTS)
def test_nothing_else_makes_another_plan(plain: ScoreRequest, what: str) -> None:
    assert id_of(replace(plain, **NOT_INGREDIENTS[what])) == id_of(plain)


def rewrite(folder: Path) -> None:
    shard(folder / "in" / "s1.parquet", {"id": [*range(9)], **numbers(9, first=30)})
    os.utime(folder / "in" / "s1.parquet", ns=(0, 10**18))


CHANGES: dict[str, Callable[[Path], object]] = {
    "content of a shard": rewrite,
    "time of a shard": lambda folder: os.utime(folder / "in" / "s1.parquet", ns=(0, 10**18 + 1)),
    "name of a shard": lambda folder: (folder / "in" / "s1.parquet").rename(folder / "in" / "s0.parquet"),
    "a shard more": lambda folder: shard(folder / "in" / "s3.parquet", {"id": [1], **numbers(1)}),
    "a shard less": lambda folder: (folder / "in" / "s2.parquet").unlink(),
    "row groups of a shard": lambda folder: shard(
        folder / "in" / "s1.parquet", {"id": [*range(9)], **numbers(9, first=1)}, row_group_rows=2
    ),
    "the model": lambda folder: model_file(folder, linear(3, 2, names=ABC)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_file_makes_another_plan(folder: Path, plain: ScoreRequest, what: str) -> None:
    before = id_of(plain)
    CHANGES[what](folder)
    assert id_of(plain) != before


def test_inputs_and_model_that_moved_make_the_same_plan_and_the_same_bytes(folder: Path, plain: ScoreRequest) -> None:
    before = run(folder)
    (folder / "elsewhere").mkdir()
    shutil.move(folder / "in", folder / "elsewhere" / "data")
    shutil.move(folder / "model.onnx", folder / "elsewhere" / "champion.onnx")
    moved = run(
        folder,
        model=str(folder / "elsewhere" / "champion.onnx"),
        inputs=(str(folder / "elsewhere" / "data"),),
        output=str(folder / "moved"),
    )
    assert moved.manifest.run.id == before.manifest.run.id
    assert [file.sha256 for file in moved.manifest.outputs] == [file.sha256 for file in before.manifest.outputs]


def test_a_part_says_of_itself_which_model_and_which_work_made_it(folder: Path, plain: ScoreRequest) -> None:
    import pyarrow.parquet as pq

    result = run(folder)
    metadata = pq.read_schema(next((result.output / "data").iterdir())).metadata
    assert metadata[b"mlserve.model"].decode() == result.manifest.model.digest
    assert metadata[b"mlserve.work"].decode() == result.manifest.plan.work_id
