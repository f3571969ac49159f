"""What stands at OUT or beside it: taken up, replaced, reused, or refused with what differs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mlserve_cli import ScoreRequest, verify
from mlserve_cli.errors import InputMissing, IOFailed, OutputExists, RunMismatch, StagingExists, UsageError, WorkersDied
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.scoring import Silent, score
from tests.models import linear
from tests.scoring.runs import ABC, contents, data_bytes, model_file, numbers, request, run, shard


class StopAfter(Silent):
    """Ends the run, as a worker that keeps dying would, once so many tasks are finished."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        self.left -= not resumed
        if self.left == 0:
            raise WorkersDied("s", 0, 1, 3, f"after task {record.task}")


@pytest.fixture
def work(folder: Path) -> Path:
    model_file(folder)
    for number in range(4):
        shard(folder / "in" / f"s{number}.parquet", numbers(6, first=number))
    return folder


def stopped(asked: ScoreRequest, *, tasks: int = 2) -> Path:
    """A run that ended after some tasks; returns its staging."""
    with pytest.raises(WorkersDied):
        score(asked, observer=StopAfter(tasks))
    out = Path(asked.output)
    (staging,) = out.parent.glob(f".{out.name}.mlserve-*")
    return staging


# Resume


def test_only_what_is_missing_is_scored(work: Path) -> None:
    stopped(request(work))
    result = run(work, if_exists="resume")
    assert result.manifest.run.resumed_tasks == 2
    assert data_bytes(result.output) == data_bytes(run(work, output=str(work / "fresh")).output)
    assert sorted(path.name for path in work.iterdir()) == ["fresh", "in", "model.onnx", "out"]


@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_an_output_of_one_file_is_taken_up_too(work: Path, output: str) -> None:
    stopped(request(work, output=str(work / output)))
    result = run(work, output=str(work / output), if_exists="resume")
    assert result.manifest.run.resumed_tasks == 2
    run(work, output=str(work / f"fresh.{output}"))
    assert (work / output).read_bytes() == (work / f"fresh.{output}").read_bytes()


def test_resume_where_nothing_stands_is_a_run(work: Path) -> None:
    result = run(work, if_exists="resume")
    assert (result.already, result.manifest.run.resumed_tasks) == (False, 0)


@pytest.mark.parametrize("output", ["out", "out.parquet"])
def test_resume_where_the_same_run_is_finished_says_so_and_changes_nothing(work: Path, output: str) -> None:
    first = run(work, output=str(work / output))
    before = contents(work)
    again = run(work, output=str(work / output), if_exists="resume")
    assert again.already
    assert again.manifest == first.manifest
    assert contents(work) == before


def test_resume_over_a_finished_run_that_rotted_is_65(work: Path) -> None:
    result = run(work)
    (result.output / result.manifest.outputs[1].path).write_bytes(b"")
    with pytest.raises(RunMismatch):
        run(work, if_exists="resume")


@pytest.mark.parametrize("output", ["out", "out.csv"])
def test_resume_over_a_run_of_another_plan_says_what_differs(work: Path, output: str) -> None:
    run(work, output=str(work / output))
    before = contents(work)
    with pytest.raises(OutputExists, match="batch_rows: 8192 there, 5 now") as refused:
        run(work, output=str(work / output), if_exists="resume", batch_rows=5)
    assert refused.value.exit_code == 73
    assert contents(work) == before


def test_resume_beside_the_staging_of_another_plan_says_what_differs(work: Path) -> None:
    staging = stopped(request(work))
    with pytest.raises(StagingExists, match=r"output\.compression: zstd there, gzip now") as refused:
        run(work, if_exists="resume", compression="gzip")
    assert refused.value.exit_code == 73
    assert staging.exists()


def test_resume_beside_a_staging_without_a_plan_says_so(work: Path) -> None:
    (work / ".out.mlserve-0123456789abcdef").mkdir()
    with pytest.raises(StagingExists, match="its plan cannot be read"):
        run(work, if_exists="resume")


def test_a_record_of_another_task_is_found(work: Path) -> None:
    staging = stopped(request(work))
    first, second = sorted((staging / "records").iterdir())
    first.write_bytes(second.read_bytes())
    with pytest.raises(RunMismatch, match="record is of another task"):
        run(work, if_exists="resume")


@pytest.mark.parametrize("where", ["records/task-00000.json", "run/data/part-00000-00000.parquet"])
def test_a_staging_that_rotted_is_found(work: Path, where: str) -> None:
    staging = stopped(request(work))
    content = bytearray((staging / where).read_bytes())
    content[len(content) // 2] ^= 1
    (staging / where).write_bytes(content)
    with pytest.raises(RunMismatch) as refused:
        run(work, if_exists="resume")
    assert Path(where).name in refused.value.where


def test_a_part_that_is_gone_is_found(work: Path) -> None:
    staging = stopped(request(work))
    (staging / "run" / "data" / "part-00000-00000.parquet").unlink()
    with pytest.raises(RunMismatch):
        run(work, if_exists="resume")


# What stands there


def test_a_staging_left_beside_the_output_is_named(work: Path) -> None:
    staging = stopped(request(work))
    with pytest.raises(StagingExists) as refused:
        run(work)
    assert str(staging) in refused.value.where
    assert "--resume" in refused.value.hint
    assert run(work, if_exists="overwrite").manifest.run.resumed_tasks == 0
    assert not staging.exists()


@pytest.mark.parametrize("output", ["out", "out.parquet"])
def test_a_finished_run_is_not_written_over(work: Path, output: str) -> None:
    run(work, output=str(work / output))
    before = contents(work)
    with pytest.raises(OutputExists):
        run(work, output=str(work / output), batch_rows=2)
    assert contents(work) == before


@pytest.mark.parametrize("if_exists", ["error", "overwrite", "resume"])
def test_what_is_no_run_is_neither_replaced_nor_taken_up(work: Path, if_exists: str) -> None:
    for name, inside in (("out", "thesis.txt"), ("out.csv", "")):
        path = work / name / inside if inside else work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("years of work")
        with pytest.raises(OutputExists) as refused:
            run(work, output=str(work / name), if_exists=if_exists)
        assert refused.value.exit_code == 73
        assert path.read_text() == "years of work"


def test_an_empty_folder_is_nothing(work: Path) -> None:
    (work / "out").mkdir()
    assert not run(work).already


@pytest.mark.parametrize("output", ["out", "out.parquet"])
def test_overwriting_leaves_nothing_of_the_old_run(work: Path, output: str) -> None:
    shard(work / "in" / "s4.parquet", {**numbers(3), "a": [None, 1.0, 2.0]})
    run(work, output=str(work / output), on_error="quarantine")
    (work / "in" / "s4.parquet").unlink()
    shutil.rmtree(work / "in")
    shard(work / "in" / "s.parquet", numbers(3))
    result = run(work, output=str(work / output), if_exists="overwrite")
    verify(str(result.manifest_path))
    left = sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())
    extra = ["out/data/part-00000-00000.parquet", "out/manifest.json"]
    expected = extra if output == "out" else ["out.parquet", "out.parquet.manifest.json"]
    assert left == ["in/s.parquet", "model.onnx", *expected]


def test_the_output_is_as_private_as_the_umask_says(work: Path) -> None:
    before = os.umask(0o027)
    try:
        result = run(work)
    finally:
        os.umask(before)
    assert result.output.stat().st_mode & 0o777 == 0o750
    for path in result.output.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


# Reuse


def grown(work: Path) -> None:
    """One shard changed, one more: the others as they were."""
    shard(work / "in" / "s1.parquet", numbers(7))
    shard(work / "in" / "s9.parquet", numbers(2))


def test_parts_of_shards_that_did_not_change_are_reused_and_the_same_to_the_byte(work: Path) -> None:
    run(work)
    grown(work)
    result = run(work, output=str(work / "new"), reuse=str(work / "out"))
    assert result.manifest.run.reused_tasks == 3
    fresh = run(work, output=str(work / "fresh"))
    assert data_bytes(result.output) == data_bytes(fresh.output)
    assert result.manifest.run.id == fresh.manifest.run.id
    verify(str(result.output))


def test_a_shard_that_stands_in_another_place_among_the_others_is_reused(work: Path) -> None:
    run(work)
    shard(work / "in" / "a0.parquet", numbers(2))
    result = run(work, output=str(work / "new"), reuse=str(work / "out"))
    assert result.manifest.run.reused_tasks == 4
    verify(str(result.output))


def test_a_run_may_replace_the_one_that_it_reuses(work: Path) -> None:
    run(work)
    grown(work)
    result = run(work, reuse=str(work / "out"), if_exists="overwrite")
    assert result.manifest.run.reused_tasks == 3
    verify(str(result.output))


def test_other_work_reuses_nothing(work: Path) -> None:
    run(work)
    model_file(work, linear(3, 2, names=ABC))
    result = run(work, output=str(work / "new"), reuse=str(work / "out"))
    assert result.manifest.run.reused_tasks == 0
    assert run(work, output=str(work / "csv"), reuse=str(work / "out"), output_format="csv").manifest.run.id
    verify(str(result.output))


def test_shards_with_rows_in_quarantine_are_scored_again(work: Path) -> None:
    shard(work / "in" / "s0.parquet", {**numbers(3), "a": [None, 1.0, 2.0]})
    run(work, on_error="quarantine")
    result = run(work, on_error="quarantine", output=str(work / "new"), reuse=str(work / "out"))
    assert result.manifest.run.reused_tasks == 3
    assert result.manifest.rows.reasons == {"null": 1}
    verify(str(result.output))


def test_a_part_that_rotted_is_not_reused(work: Path) -> None:
    result = run(work)
    (result.output / result.manifest.outputs[2].path).write_bytes(b"rot")
    with pytest.raises(RunMismatch, match="--reuse"):
        run(work, output=str(work / "new"), reuse=str(work / "out"))
    assert not (work / "new").exists()


def test_reuse_names_a_finished_run_s_folder(work: Path) -> None:
    run(work, output=str(work / "one.parquet"))
    (work / "empty").mkdir()
    for name, error in (("nothing", UsageError), ("one.parquet", UsageError), ("empty", InputMissing)):
        with pytest.raises(error):
            run(work, reuse=str(work / name))
    with pytest.raises(UsageError, match="one file"):
        run(work, output=str(work / "new.csv"), reuse=str(work / "out"))


def test_a_part_left_by_a_run_that_died_is_not_taken_for_the_reused_one(work: Path) -> None:
    """The part stands in the staging without its record, and rotted: what is reused would be recorded over it."""
    run(work)
    asked = request(work, output=str(work / "new"))
    staging = stopped(asked)
    for record in (staging / "records").iterdir():
        record.unlink()
    (staging / "run" / "data" / "part-00000-00000.parquet").write_bytes(b"rot")
    with pytest.raises(RunMismatch, match="of an earlier attempt"):
        run(work, output=str(work / "new"), reuse=str(work / "out"), if_exists="resume")
    assert not (work / "new").exists()


def test_a_part_left_by_a_run_that_died_and_rotted_is_not_recorded_by_who_scores_it_again(work: Path) -> None:
    staging = stopped(request(work))
    for record in (staging / "records").iterdir():
        record.unlink()
    (staging / "run" / "data" / "part-00000-00000.parquet").write_bytes(b"rot")
    with pytest.raises(IOFailed, match="not what this task makes"):
        run(work, if_exists="resume")
    assert not (work / "out").exists()
