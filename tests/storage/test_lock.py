"""One run at a time on one output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlserve_cli.errors import Interrupted, OutputBusy, OutputError
from mlserve_cli.storage import hold

HOLDER = "import sys, time; from pathlib import Path; from mlserve_cli.storage import hold\n"


def test_who_comes_second_is_sent_away_at_once_and_touches_nothing(tmp_path: Path) -> None:
    with hold(tmp_path / "out"):
        before = sorted(os.listdir(tmp_path))
        started = time.monotonic()
        with pytest.raises(OutputBusy) as caught, hold(tmp_path / "out"):
            pytest.fail("two hold one output")

        assert time.monotonic() - started < 0.5
        assert caught.value.exit_code == 75
        assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(tmp_path) == []


def test_outputs_of_different_names_do_not_hinder_each_other(tmp_path: Path) -> None:
    with hold(tmp_path / "out"), hold(tmp_path / "out2"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError(), Interrupted(2), KeyboardInterrupt()], ids=repr)
def test_the_lock_goes_however_the_run_ends(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), hold(tmp_path / "out"):
        raise error
    assert os.listdir(tmp_path) == []


def test_where_no_file_can_be_made_the_output_cannot_be_created() -> None:
    with pytest.raises(OutputError) as caught, hold(Path("/proc/out")):
        pytest.fail("a file in /proc")
    assert caught.value.exit_code == 73


def test_a_killed_holder_leaves_an_output_that_can_be_held(tmp_path: Path) -> None:
    script = f"{HOLDER}with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(OutputBusy), hold(tmp_path / "out"):
            pytest.fail("two hold one output")
        holder.send_signal(signal.SIGKILL)
    with hold(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path) == []


def test_however_many_come_and_go_never_two_hold_it(tmp_path: Path) -> None:
    """Each holder makes a file that must not exist and removes it: the file is unlinked under others' feet, often."""
    script = f"""{HOLDER}
from mlserve_cli.errors import OutputBusy
out, held = Path(sys.argv[1]), 0
until = time.monotonic() + 2
while time.monotonic() < until:
    try:
        with hold(out):
            (out.parent / "mine").touch(exist_ok=False)
            (out.parent / "mine").unlink()
            held += 1
    except OutputBusy:
        pass
print(held)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]

    said = [racer.communicate() for racer in racers]

    assert [error for _, error in said] == ["", "", "", ""]
    assert sum(int(held) for held, _ in said) > 100
    assert os.listdir(tmp_path) == []
