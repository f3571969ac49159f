"""A disk that is full or broken at each write, fsync, link and rename of a run: 74, nothing committed, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlserve_cli import ScoreRequest, score
from tests.faults.injection import Call, calls, failing, needs_strace, telling
from tests.faults.running import (
    Work,
    assert_nothing_committed,
    assert_whole,
    contents,
    make_work,
    run,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return make_work(tmp_path_factory.mktemp("small"), shards=2, steps=0)


@pytest.fixture(scope="module")
def small_contents(small: Work) -> dict[str, bytes]:
    assert run(small.score(workers=1))[0] == 0
    found = contents(small)
    shutil.rmtree(small.out)
    return found


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_whichever_call_fails_nothing_is_committed_and_a_resume_makes_the_same_bytes(
    small: Work, small_contents: dict[str, bytes], tmp_path: Path, error: str
) -> None:
    """A full disk stays full, so every later call of the kind fails too; a bad sector is bad once."""
    points = telling(calls(small.score(workers=1), tmp_path / "log", under=small.out.parent))
    shutil.rmtree(small.out)
    assert {"write", "fsync", "link", "rename"} <= {point.name.removesuffix("at") for point in points}

    for point in points:
        command = failing(point, error, for_good=error == "ENOSPC")
        code, _, said = run([*command, *small.score(workers=1)])
        check_clean_failure(small, point, code, said)
        resume(small)
        assert_whole(small)
        assert contents(small) == small_contents, point
        shutil.rmtree(small.out)


@needs_strace
def test_a_call_that_fails_in_a_worker_ends_the_run_alike(work: Work, undisturbed: dict[str, bytes]) -> None:
    for name, number in (("write", 4), ("fsync", 1), ("linkat", 1), ("link", 1)):
        call = Call(name, number, "")
        code, _, said = run([*failing(call, "ENOSPC", for_good=True), *work.score()])
        if code == 0:  # this C library calls it otherwise
            shutil.rmtree(work.out)
            continue
        check_clean_failure(work, call, code, said)
        resume(work)
        assert_whole(work)
        assert contents(work) == undisturbed
        shutil.rmtree(work.out)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@needs_strace
def test_an_old_run_stands_untouched_when_the_new_one_cannot_be_swapped_in(small: Work, error: str) -> None:
    assert run(small.score("--limit", "10", workers=1))[0] == 0
    before = contents(small), (small.out / "manifest.json").read_bytes()

    command = failing(Call("renameat2", 1, "out"), error, for_good=True)
    code, _, said = run([*command, *small.score("--if-exists", "overwrite", workers=1)])

    assert code == 74, said
    assert (contents(small), (small.out / "manifest.json").read_bytes()) == before
    assert run(small.score("--if-exists", "overwrite", workers=1))[0] == 0
    assert_whole(small)
    shutil.rmtree(small.out)


@needs_strace
def test_a_file_system_that_cannot_exchange_two_names_still_replaces_the_old_run(small: Work) -> None:
    assert run(small.score("--limit", "10", workers=1))[0] == 0

    command = failing(Call("renameat2", 1, "out"), "EINVAL", for_good=True)
    code, _, said = run([*command, *small.score("--if-exists", "overwrite", workers=1)])

    assert code == 0, said
    assert_whole(small)
    shutil.rmtree(small.out)


@needs_strace
def test_a_file_system_without_hard_links_works_too(small: Work) -> None:
    for name in ("link", "linkat"):
        code, _, said = run([*failing(Call(name, 1, ""), "EPERM", for_good=True), *small.score(workers=1)])
        assert code == 0, said
        assert_whole(small)
        shutil.rmtree(small.out)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "mlserve-test", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_fills_up_and_is_enlarged(tmp_path: Path, tiny_disk: Path) -> None:
    work = make_work(tmp_path / "work", shards=8, steps=0)
    work.out.parent.rmdir()
    work.out.parent.symlink_to(tiny_disk)

    code, _, said = run(work.score())

    assert code == 74, said
    assert "No space left" in said
    assert_nothing_committed(work)
    subprocess.run(["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert run(work.score("--resume"))[0] == 0
    assert_whole(work)


def check_clean_failure(work: Work, call: Call, code: int, said: str) -> None:
    assert code == 74, (call, code, said)
    assert "Traceback" not in said, call
    assert_nothing_committed(work)


def resume(work: Work) -> None:
    """As `mlserve score --resume` does, without the half second that a process takes to start."""
    score(
        ScoreRequest(
            model=str(work.model),
            inputs=(str(work.inputs),),
            output=str(work.out),
            features=("x",),
            workers=1,
            batch_rows=250,
            on_error="quarantine",
            max_errors="50%",
            if_exists="resume",
        )
    )
