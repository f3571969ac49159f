"""replay: the same bytes where all is the same; a name for what is not; a tolerance where the machine is another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import Manifest, RunResult, replay
from mlserve_cli.errors import InputChanged, InputMissing, InvalidModel, RunMismatch
from mlserve_cli.storage import record_of
from tests.dishonest import logarithm
from tests.models import argmax_classifier, linear, save
from tests.scoring.runs import ABC, contents, model_file, numbers, resealed, run, shard


@pytest.fixture
def work(folder: Path) -> Path:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {**numbers(9), "b": [None, *[1.0] * 8]})
    shard(folder / "in" / "s.csv", numbers(9, first=20))
    return folder


KINDS: dict[str, dict[str, Any]] = {
    "a folder": {},
    "a CSV folder": {"output_format": "csv"},
    "one Parquet file": {"output": "out.parquet"},
    "one CSV file": {"output": "out.csv"},
    "small batches": {"batch_rows": 2, "compression": "snappy"},
    "no rows": {"limit": 0},
}


def scored_in(work: Path, **options: Any) -> RunResult:
    output = str(work / options.pop("output", "out"))
    return run(work, on_error="quarantine", output=output, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_plan_gives_the_same_bytes(work: Path, kind: str) -> None:
    result = scored_in(work, **KINDS[kind])
    before = contents(work)
    found = replay(str(result.output), workers=1)
    assert found.identical
    assert (found.largest_difference, found.differs) == (0.0, ())
    assert found.files == len(result.manifest.outputs)
    assert contents(work) == before


def test_a_run_of_one_process_is_replayed_by_two_workers(work: Path) -> None:
    assert replay(str(scored_in(work).manifest_path), workers=2).identical


# What is not as it was


def test_a_changed_model_is_refused(work: Path) -> None:
    result = scored_in(work)
    model_file(work, linear(3, 2, names=ABC))
    with pytest.raises(InvalidModel, match="another one now") as refused:
        replay(str(result.output))
    assert refused.value.exit_code == 78


def test_a_changed_input_is_named(work: Path) -> None:
    result = scored_in(work)
    shard(work / "in" / "r.parquet", numbers(9, first=1))
    with pytest.raises(InputChanged) as refused:
        replay(str(result.output))
    assert refused.value.exit_code == 75
    assert "r.parquet" in refused.value.where


def test_an_input_that_was_only_touched_is_taken_for_changed(work: Path) -> None:
    result = scored_in(work)
    os.utime(work / "in" / "s.csv")
    with pytest.raises(InputChanged):
        replay(str(result.output))


def test_a_removed_input_is_named(work: Path) -> None:
    result = scored_in(work)
    (work / "in" / "s.csv").unlink()
    with pytest.raises(InputMissing) as refused:
        replay(str(result.output))
    assert refused.value.exit_code == 66
    assert "s.csv" in str(refused.value)


def test_a_run_that_is_not_what_was_committed_is_not_replayed(work: Path) -> None:
    result = scored_in(work)
    (result.output / result.manifest.outputs[0].path).write_bytes(b"")
    with pytest.raises(RunMismatch, match="sha256"):
        replay(str(result.output))


# Another machine


def as_if_elsewhere(result: RunResult) -> Manifest:
    """The manifest as another ONNX Runtime would have left it."""
    environment = msgspec.structs.replace(result.manifest.environment, onnxruntime="1.24.4")
    return resealed(result.manifest_path, environment=environment)


def with_other_scores(result: RunResult, name: str, scores: Sequence[object] | pa.Array) -> None:
    """The first data file with other values in one column, as other arithmetic would have left it, and sealed."""
    file = result.manifest.outputs[0]
    path = result.output / file.path
    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, pa.array(scores, table.schema.field(place).type)), path)
    record = record_of(path)
    changed = msgspec.structs.replace(file, size_bytes=record.size_bytes, sha256=record.sha256)
    resealed(result.manifest_path, outputs=(changed, *result.manifest.outputs[1:]))


def first_scores(result: RunResult, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    column = pq.read_table(result.output / result.manifest.outputs[0].path)[name]
    return np.asarray(column.to_pylist(), np.float64)


def test_the_same_bytes_elsewhere_are_identical_and_what_differs_is_named(work: Path) -> None:
    result = scored_in(work)
    as_if_elsewhere(result)
    found = replay(str(result.output))
    assert found.identical
    assert found.differs == ("onnxruntime",)


def test_scores_may_differ_by_a_hair_elsewhere(work: Path) -> None:
    result = scored_in(work)
    with_other_scores(result, "Y", first_scores(result, "Y") + 5e-6)
    as_if_elsewhere(result)
    found = replay(str(result.output))
    assert not found.identical
    assert 4e-6 < found.largest_difference < 6e-6


def test_scores_that_differ_by_more_are_refused_elsewhere_too(work: Path) -> None:
    result = scored_in(work)
    with_other_scores(result, "Y", first_scores(result, "Y") + 1e-3)
    as_if_elsewhere(result)
    with pytest.raises(RunMismatch, match=r"differ by up to 0\.001, more than 1e-05") as refused:
        replay(str(result.output))
    assert "onnxruntime" in refused.value.where


def test_here_a_hair_is_too_much(work: Path) -> None:
    result = scored_in(work)
    with_other_scores(result, "Y", first_scores(result, "Y") + 5e-7)
    with pytest.raises(RunMismatch, match="1 of 3 files differ") as refused:
        replay(str(result.output))
    assert refused.value.exit_code == 65


def test_scores_that_are_not_finite_are_the_same_scores_elsewhere(folder: Path) -> None:
    model_file(folder, logarithm())
    shard(folder / "in" / "s.parquet", {"X": [1.0, 0.0, -1.0, 2.0]})
    result = run(folder, nan_scores="allow")
    as_if_elsewhere(result)
    with_other_scores(result, "Y", [1e-6, -np.inf, np.nan, np.log(2)])
    assert 0 < replay(str(result.output)).largest_difference < 1e-5
    for wrong in ([np.nan, -np.inf, np.nan, 0.7], [0.0, np.inf, np.nan, 0.7], [0.0, -np.inf, 1.0, 0.7]):
        with_other_scores(result, "Y", wrong)
        with pytest.raises(RunMismatch, match="inf"):
            replay(str(result.output))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_vectors_may_differ_by_a_hair_elsewhere(folder: Path, form: str) -> None:
    save(linear(3, 4, names=ABC), folder / "model.onnx")
    shard(folder / "in" / "s.parquet", numbers(5))
    result = run(folder, output_format=form)
    as_if_elsewhere(result)
    path = result.output / result.manifest.outputs[0].path
    if form == "csv":
        lines = path.read_text().splitlines()
        source, numbers_of = lines[1].split("[")
        first, rest = numbers_of.split(",", 1)
        path.write_text("\n".join([lines[0], f"{source}[{float(first) + 2e-6!r},{rest}", *lines[2:], ""]))
        record = record_of(path)
        file = msgspec.structs.replace(result.manifest.outputs[0], size_bytes=record.size_bytes, sha256=record.sha256)
        resealed(result.manifest_path, outputs=(file,))
    else:
        with_other_scores(result, "Y", [[value + 2e-6 for value in row] for row in first_scores(result, "Y")])
    found = replay(str(result.output))
    assert not found.identical
    assert 0 < found.largest_difference < 1e-5


def test_labels_must_be_the_same_anywhere(folder: Path) -> None:
    save(argmax_classifier(), folder / "model.onnx")
    shard(folder / "in" / "s.parquet", numbers(5))
    result = run(folder, features=("a,b,c",))
    as_if_elsewhere(result)
    with_other_scores(result, "prediction", ["none"] * 5)
    with pytest.raises(RunMismatch, match="inf"):
        replay(str(result.output))
