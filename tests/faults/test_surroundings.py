"""A machine that is not as we would have it: no terminal, no home, no locale, nobody who reads what we print."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.faults.running import Work, assert_nothing_committed, assert_whole, finish, make_work, run, start


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path, shards=3, steps=0)


@pytest.mark.parametrize(
    "change",
    [
        {"HOME": None},
        {"HOME": "/nonexistent"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TMPDIR": "/nonexistent"},
        {"TERM": "dumb"},
        {"TERM": None},
        {"PATH": ""},
        {"TZ": "Nowhere/Atall"},
        {"COLUMNS": "1"},
    ],
    ids=lambda change: " ".join(f"{name}={value}" for name, value in change.items()),
)
def test_a_run_needs_nothing_from_its_environment(work: Work, change: dict[str, str | None]) -> None:
    environment = {name: value for name, value in {**os.environ, **change}.items() if value is not None}

    code, out, error = run(work.score(), env=environment)

    assert code == 0, error
    assert json.loads(out.splitlines()[-1])["exit_code"] == 0
    assert_whole(work)


def test_names_that_a_c_locale_cannot_spell_are_no_trouble(tmp_path: Path) -> None:
    work = make_work(tmp_path / "größe ☂\nzwei", shards=2, steps=0)
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    code, _, error = run(work.score(), env=environment)

    assert code == 0, error
    assert_whole(work)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_hinder_a_run(work: Work, closed: str) -> None:
    code, _, error = run(["sh", "-c", f"exec {shlex.join(work.score())} {closed}"])

    assert code == 0, error
    assert_whole(work)


def test_a_reader_that_leaves_early_is_no_fault(work: Work) -> None:
    code, _, error = run(["bash", "-c", f"set -o pipefail; {shlex.join(work.score())} | head -1"])

    assert (code, error) == (0, "")
    assert_whole(work)


def test_a_reader_that_never_reads_is_no_fault(work: Work) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(work.score(), stdout=writer)
    os.close(writer)

    code, _, error = finish(process)

    assert code == 0, error
    assert_whole(work)


def test_a_full_standard_output_does_not_undo_what_is_committed(work: Work) -> None:
    code, _, error = run(["sh", "-c", f"exec {shlex.join(work.score())} > /dev/full"])

    assert code in (0, 74), error
    assert "Traceback" not in error
    assert_whole(work)


def test_a_working_folder_that_is_gone_is_no_trouble_for_absolute_paths(work: Work) -> None:
    gone = work.folder / "gone"
    gone.mkdir()
    code, _, error = run(["sh", "-c", f"cd {gone} && rmdir {gone} && exec {shlex.join(work.score())}"])

    assert code == 0, error
    assert_whole(work)


def test_a_relative_output_in_a_folder_that_is_gone_is_refused(work: Work) -> None:
    gone = work.folder / "gone"
    gone.mkdir()
    command = [option if option != str(work.out) else "out" for option in work.score()]
    code, _, error = run(["sh", "-c", f"cd {gone} && rmdir {gone} && exec {shlex.join(command)}"])

    assert code == 73, error
    assert "Traceback" not in error


def test_a_memory_limit_below_the_need_is_refused_before_the_run(work: Work) -> None:
    code, _, error = run(work.score("--memory-limit", "20MiB"))

    assert code == 78
    assert "MiB" in error
    assert_nothing_committed(work)


def test_few_file_descriptors_are_enough(work: Work) -> None:
    code, _, error = run(["sh", "-c", f"ulimit -n 64; exec {shlex.join(work.score())}"])

    assert code == 0, error
    assert_whole(work)


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_may_not_be_written_is_refused_before_the_first_batch(work: Work, mode: int) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    work.out.parent.chmod(mode)
    try:
        code, _, error = run(work.score())
    finally:
        work.out.parent.chmod(0o700)
    assert code == 77, error


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_read_only_file_system_is_refused_before_the_first_batch(work: Work) -> None:
    results = str(work.out.parent)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "mlserve-test", results], check=True)
    try:
        code, _, error = run(work.score())
    finally:
        subprocess.run(["umount", results], check=True)

    assert code == 73, error
    assert "read-only" in error.lower()
