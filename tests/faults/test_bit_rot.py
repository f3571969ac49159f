"""Each byte of what a run wrote, flipped: `verify` and `--resume` find every one."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlserve_cli import ScoreRequest, score, verify
from mlserve_cli.errors import InvalidConfig, MlserveError, RunMismatch
from tests.faults.running import Work, assert_whole, contents, make_work, run, start, wait_until


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return make_work(tmp_path_factory.mktemp("rot"), shards=1, steps=0)


def request(work: Work) -> ScoreRequest:
    return ScoreRequest(
        model=str(work.model),
        inputs=(str(work.inputs),),
        output=str(work.out),
        features=("x",),
        workers=1,
        batch_rows=250,
        on_error="quarantine",
        max_errors="50%",
    )


@pytest.fixture(scope="module")
def finished(work: Work) -> Work:
    score(request(work))
    return work


@pytest.mark.parametrize("file", ["data", "quarantine", "manifest"])
def test_verify_finds_every_flipped_byte(finished: Work, file: str) -> None:
    path = finished.out / "manifest.json" if file == "manifest" else next((finished.out / file).iterdir())
    for offset in flipped(path):
        with pytest.raises((RunMismatch, InvalidConfig)):
            verify(str(finished.out))
        assert offset >= 0
    verify(str(finished.out))


@pytest.mark.parametrize("file", ["data", "manifest"])
def test_verify_finds_a_file_that_was_cut_or_lengthened(finished: Work, file: str) -> None:
    path = finished.out / "manifest.json" if file == "manifest" else next((finished.out / file).iterdir())
    whole = path.read_bytes()
    for changed in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"\n"):
        path.write_bytes(changed)
        with pytest.raises((RunMismatch, InvalidConfig)):
            verify(str(finished.out))
    path.write_bytes(whole)
    verify(str(finished.out))


def test_a_resume_finds_every_flipped_byte_of_a_finished_run(finished: Work) -> None:
    again = replace(request(finished), if_exists="resume")
    for path in (finished.out / "manifest.json", next((finished.out / "data").iterdir())):
        for _ in flipped(path, every=23):
            with pytest.raises(MlserveError):
                score(again)
    assert score(again).already


@pytest.fixture
def halfway(tmp_path: Path) -> Work:
    """A run that was killed when some of its tasks had their records."""
    work = make_work(tmp_path, shards=4)
    process = start(work.score(workers=1))
    assert wait_until(lambda: work.records >= 2, process)
    process.kill()
    process.communicate()
    return work


@pytest.mark.parametrize("kind", ["records", "run/data", "run/quarantine"])
def test_a_resume_finds_every_flipped_byte_of_what_stands(halfway: Work, kind: str) -> None:
    """It never takes over what it cannot prove; where the rot is mended, it goes on to the end."""
    assert halfway.staging is not None
    again = replace(request(halfway), if_exists="resume")
    names = [name for name in sorted(os.listdir(halfway.staging / kind)) if not name.startswith(".")]
    path = halfway.staging / kind / names[0]
    kept = halfway.folder / "kept"
    shutil.copytree(halfway.staging, kept)

    for _ in flipped(path, every=29):
        with pytest.raises((RunMismatch, InvalidConfig)):
            score(again)
        restore(halfway, kept, path)
    shutil.copy(kept / kind / path.name, path)

    code, _, error = run(halfway.score("--resume", workers=1))
    assert code == 0, error
    assert_whole(halfway)


def test_a_plan_that_rotted_in_the_staging_does_no_harm(halfway: Work, undisturbed: dict[str, bytes]) -> None:
    """It is made again from the inputs, and the staging is found by its digest."""
    assert halfway.staging is not None
    plan = halfway.staging / "plan.json"
    content = bytearray(plan.read_bytes())
    content[len(content) // 2] ^= 1
    plan.write_bytes(content)

    code, _, error = run(halfway.score("--resume", workers=1))

    assert code == 0, error
    assert_whole(halfway)
    assert contents(halfway).items() <= undisturbed.items()


def flipped(path: Path, *, every: int = 1) -> Iterator[int]:
    """The file with one byte after the other flipped, and whole again in the end. Which bit varies."""
    whole = path.read_bytes()
    for offset in range(0, len(whole), every):
        changed = bytearray(whole)
        changed[offset] ^= 1 << (offset % 8)
        path.write_bytes(changed)
        yield offset
    path.write_bytes(whole)


def restore(work: Work, kept: Path, path: Path) -> None:
    """A run that found rot may have thrown its staging away."""
    if not path.exists():
        target = path.parents[1] if path.parent.name == "records" else path.parents[2]
        shutil.copytree(kept, target, dirs_exist_ok=True)
        target.chmod(stat.S_IMODE(0o700))
    assert work.records
