"""The laws of a run, over random shards, batch sizes, chunk sizes, lanes, bad rows and places where a run died."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli import Manifest, ScoreRequest, score, verify
from mlserve_cli.errors import BadRow, CorruptFile, InputMissing
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.planning.sizing import SPARE
from mlserve_cli.scoring import Silent
from mlserve_cli.scoring.layout import need_of
from tests.models import save
from tests.scoring.runs import IN_MEMORY, contents, data_bytes, request, run, scored, set_aside
from tests.scoring.shards import FEATURES, Shard, moody, shards

BATCHES = st.integers(1, 12)


@contextmanager
def work(files: Sequence[Shard]) -> Iterator[Path]:
    """A folder with the moody model and the shards."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name).resolve()
        save(moody(), folder / "model.onnx")
        (folder / "in").mkdir()
        for file in files:
            file.write(folder / "in")
        yield folder


def quarantining(folder: Path, **options: Any) -> ScoreRequest:
    return request(folder, features=FEATURES, passthrough=("id",), on_error="quarantine", **options)


# 1 and 2: conservation and order


@given(files=shards(), batch_rows=BATCHES)
@settings(max_examples=25)
def test_every_row_is_either_scored_in_its_place_or_set_aside_with_its_reason(
    files: tuple[Shard, ...], batch_rows: int
) -> None:
    expected = [row for file in files for row in file.expected()]
    good = [(name, row, f"{name}-{row}") for name, row, reason in expected if reason is None]
    bad = [(name, row, reason) for name, row, reason in expected if reason is not None]
    with work(files) as folder:
        result = score(quarantining(folder, batch_rows=batch_rows))
        found = scored(result).select(["source_file", "source_row", "id"]).to_pylist()
        assert [tuple(row.values()) for row in found] == good
        if bad:
            aside = set_aside(result).select(["source_file", "source_row", "reason"]).to_pylist()
            assert [tuple(row.values()) for row in aside] == bad
        rows = result.manifest.rows
        assert (rows.rows_in, rows.rows_out, rows.rows_quarantined) == (len(expected), len(good), len(bad))
        assert result.exit_code == (3 if bad else 0)
        assert verify(str(result.output)).manifest == result.manifest


@given(files=shards(), limit=st.integers(0, 60))
@settings(max_examples=15)
def test_a_limit_takes_the_first_rows_in_the_input_s_order(files: tuple[Shard, ...], limit: int) -> None:
    expected = [(name, row) for file in files for name, row, _ in file.expected()][:limit]
    with work(files) as folder:
        result = score(quarantining(folder, limit=limit, batch_rows=4))
        tables = [scored(result)] if result.manifest.outputs else []
        tables += [set_aside(result)] if result.manifest.rows.rows_quarantined else []
        found = [tuple(row.values()) for t in tables for row in t.select(["source_file", "source_row"]).to_pylist()]
        assert sorted(found) == sorted(expected)
        assert result.manifest.rows.rows_in == len(expected)
        verify(str(result.output))


# 3 and 5: independence, and completion on disk


@given(files=shards(), batch_rows=BATCHES, threads=st.integers(1, 3))
@settings(max_examples=12)
def test_the_bytes_depend_on_neither_lanes_nor_threads_nor_the_memory_limit(
    files: tuple[Shard, ...], batch_rows: int, threads: int
) -> None:
    with work(files) as folder:
        first = score(quarantining(folder, batch_rows=batch_rows))
        wide = score(
            quarantining(
                folder, batch_rows=batch_rows, workers=None, threads_per_worker=threads, output=str(folder / "wide")
            )
        )
        narrow = score(
            quarantining(
                folder, batch_rows=batch_rows, memory_limit=least_memory(first.manifest), output=str(folder / "narrow")
            )
        )
        assert data_bytes(wide.output) == data_bytes(first.output)
        assert data_bytes(narrow.output) == data_bytes(first.output)
        assert len({one.manifest.run.id for one in (first, wide, narrow)}) == 1


def test_a_row_s_score_does_depend_on_its_batch_or_these_laws_would_show_nothing(folder: Path) -> None:
    with work([Shard("s.parquet", "parquet", ("good",) * 30, 30)]) as place:
        small = scored(score(quarantining(place, batch_rows=3)))
        large = scored(score(quarantining(place, batch_rows=30, output=str(place / "large"))))
        assert not small["moody"].equals(large["moody"])


def test_worker_processes_write_the_same_bytes_as_one_process(folder: Path) -> None:
    kinds = ("good", "good", "fails", "null", "good", "good", "good") * 9
    files = [Shard(f"s{i}.{form}", form, kinds, 5) for i, form in enumerate(["parquet", "csv", "csv.gz"])]
    with work(files) as place:
        alone = score(quarantining(place, batch_rows=4))
        together = score(quarantining(place, batch_rows=4, workers=2, output=str(place / "together")))
        assert len(together.manifest.throughput.workers) == 2
        assert data_bytes(together.output) == data_bytes(alone.output)


@dataclass
class Camera(Silent):
    """Copies what stands on the disk when a task is finished: what a power cut at that moment would leave."""

    scene: Path
    album: Path
    pictures: list[Path] = field(default_factory=list)

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:  # noqa: ARG002  the seam's
        target = self.album / f"{len(self.pictures)}"
        for records in self.scene.glob(".*/records"):  # before the parts: a record never stands without its own
            shutil.copytree(records, target / records.relative_to(self.scene), copy_function=_copy_if_there)
        rest = shutil.ignore_patterns("*.lock", "records")
        shutil.copytree(self.scene, target, copy_function=_copy_if_there, ignore=rest, dirs_exist_ok=True)
        self.pictures.append(target)


def _copy_if_there(source: str, target: str) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:  # another thread's draft, gone meanwhile
        return


@pytest.mark.slow
@given(files=shards(), batch_rows=BATCHES, data=st.data())
@settings(max_examples=20)
def test_a_run_that_died_anywhere_and_is_taken_up_again_writes_the_same_bytes(
    files: tuple[Shard, ...], batch_rows: int, data: st.DataObject
) -> None:
    with work(files) as folder:
        (folder / "scene").mkdir()
        camera = Camera(folder / "scene", folder / "album")
        lanes = data.draw(st.sampled_from([1, None]))
        whole = score(
            quarantining(folder, batch_rows=batch_rows, workers=lanes, output=str(folder / "scene" / "out")),
            observer=camera,
        )
        scene = data.draw(st.sampled_from(camera.pictures))
        (staging,) = scene.glob(".out.mlserve-*")
        records = sorted((staging / "records").glob("task-*.json"))
        for record in data.draw(st.lists(st.sampled_from(records), unique=True)):
            record.unlink()  # died between a part and its record: the part stands, and counts for nothing
        (staging / "run" / "data" / ".part-00000-00000.parquet.1-ab.draft").write_bytes(b"half a part")
        standing = {path: os.stat(path).st_ino for path in (staging / "records").glob("task-*.json")}

        again = score(
            quarantining(folder, batch_rows=batch_rows, output=str(scene / "out"), if_exists="resume", workers=None)
        )
        assert data_bytes(again.output) == data_bytes(whole.output)
        assert again.manifest.run.resumed_tasks == len(standing)
        assert [path.name for path in scene.iterdir()] == ["out"]
        verify(str(again.output))


def least_memory(manifest: Manifest) -> int:
    """The limit under which a chunk is one batch, or one window of them."""
    need = need_of(manifest.plan, model_bytes=manifest.model.size_bytes)
    least = need.bytes_for(lanes=1, chunk_rows=manifest.plan.unit_rows, in_process=True)
    return math.ceil(least * SPARE) + 2


# 4: all or nothing

TROUBLE = ("a bad row", "a damaged shard", "a shard that is gone")


@given(files=shards(kinds=st.just("good")), what=st.sampled_from(TROUBLE), stands=st.booleans())
@settings(max_examples=20)
def test_a_run_that_fails_leaves_what_stood_there(files: tuple[Shard, ...], what: str, stands: bool) -> None:
    with work(files) as folder:
        if stands:
            run(folder, features=FEATURES)
        before = {name: data for name, data in contents(folder).items() if not name.startswith("in/")}
        ends_in = make_trouble(folder / "in", what)
        with pytest.raises(ends_in):
            run(folder, features=FEATURES, if_exists="overwrite", batch_rows=3)
        assert {name: data for name, data in contents(folder).items() if not name.startswith("in/")} == before


def make_trouble(inputs: Path, what: str) -> type[Exception]:
    last = inputs / "t.parquet"
    if what == "a bad row":
        Shard(last.name, "parquet", ("good", "null"), 1).write(inputs)
        return BadRow
    if what == "a damaged shard":
        Shard(last.name, "parquet", ("good",) * 9, 3).write(inputs)
        content = bytearray(last.read_bytes())
        content[len(content) // 8 :] = content[len(content) // 8 : -9]
        last.write_bytes(content)
        return CorruptFile
    last.symlink_to("nowhere.parquet")
    return InputMissing


@given(files=shards())
@settings(max_examples=6)
def test_a_run_that_succeeds_takes_the_place_of_the_old_one_whole(files: tuple[Shard, ...]) -> None:
    with work(files) as folder:
        old = score(quarantining(folder, batch_rows=3))
        new = score(quarantining(folder, batch_rows=5, if_exists="overwrite"))
        fresh = score(quarantining(folder, batch_rows=5, output=str(folder / "fresh")))
        assert new.manifest.run.id != old.manifest.run.id
        assert data_bytes(new.output) == data_bytes(fresh.output)
        assert sorted(path.name for path in folder.iterdir()) == ["fresh", "in", "model.onnx", "out"]
