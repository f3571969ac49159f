"""Folders that appear whole or not at all, and the lock that writers wait for."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlserve_cli.errors import Forbidden, InputMissing, MlserveError, OutputError, TryLater
from mlserve_cli.storage import discard_folder, draft_folder, publish_folder, sweep_drafts, wait_to_hold

HOLD = """
import sys, time
from pathlib import Path
from mlserve_cli.storage import wait_to_hold
with wait_to_hold(Path(sys.argv[1]), timeout_s=1):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(path: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, killed at the end where it still runs."""
    command = [sys.executable, "-c", HOLD, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"there")
    assert publish_folder(tmp_path / "out", {"a": b"here", "deep/er/b": tmp_path / "source"})
    assert (tmp_path / "out" / "a").read_bytes() == b"here"
    assert (tmp_path / "out" / "deep" / "er" / "b").read_bytes() == b"there"
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]


def test_a_name_that_is_taken_is_left_as_it_is(tmp_path: Path) -> None:
    assert publish_folder(tmp_path / "out", {"a": b"1"})
    assert not publish_folder(tmp_path / "out", {"a": b"2"})
    assert (tmp_path / "out" / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["out"]


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MlserveError):
        publish_folder(tmp_path / "out", {"a": b"1", "b": tmp_path / "nothing"})
    with draft_folder(tmp_path / "out") as draft:
        draft.add("a", b"1")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        publish_folder(tmp_path / "no" / "out", {"a": b"1"})


def test_nobody_else_looks_into_a_draft_and_the_umask_decides_afterwards(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with draft_folder(tmp_path / "out") as draft:
            draft.add("in/a", b"1")
            assert stat.S_IMODE(draft.root.stat().st_mode) == 0o700
            assert draft.publish()
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / "out" / "in").stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / "out" / "in" / "a").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_a_folder_is_discarded_and_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    publish_folder(tmp_path / "out", {"a": b"1"})
    publish_folder(tmp_path / ".out.1-00.draft", {"a": b"1"})
    (tmp_path / ".file.1-00.draft").write_text("")
    (tmp_path / ".other").write_text("")
    os.symlink(tmp_path / "out", tmp_path / ".link.draft")
    sweep_drafts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".other", "out"]
    assert (tmp_path / "out" / "a").exists()
    discard_folder(tmp_path / "out")
    assert os.listdir(tmp_path) == [".other"]
    with pytest.raises((OutputError, InputMissing)):
        discard_folder(tmp_path / "out")


def test_who_comes_second_waits_and_then_holds(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", 0.6) as process:
        started = time.monotonic()
        with wait_to_hold(tmp_path / "lock", timeout_s=20):
            assert time.monotonic() - started > 0.2
        assert process.wait(10) == 0
    assert (tmp_path / "lock").exists()


def test_who_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", 60):
        with pytest.raises(TryLater) as error, wait_to_hold(tmp_path / "lock", timeout_s=0.2):
            pytest.fail("held twice")
        assert error.value.exit_code == 75
    with wait_to_hold(tmp_path / "lock", timeout_s=5):  # a killed holder holds nothing
        pass


def test_a_lock_is_no_link_to_somewhere_else(tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", tmp_path / "lock")
    with pytest.raises((Forbidden, OutputError)), wait_to_hold(tmp_path / "lock", timeout_s=1):
        pass
    assert not (tmp_path / "elsewhere").exists()
