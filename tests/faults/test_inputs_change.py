"""An input that changes, shrinks or goes while the run reads: 75 or 66 with its name, and nothing committed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.running import ROWS, Work, assert_tidy, finish, run, start, wait_until, write_shard

LAST = 5


def rewritten(work: Work) -> None:
    """Other rows under the same name, as an upstream job that runs again makes them."""
    write_shard(work, LAST, rows=ROWS + 1)


def same_but_newer(work: Work) -> None:
    os.utime(work.shard(LAST))


def one_byte_changed_in_place(work: Work) -> None:
    """Same size; the time of change alone tells."""
    with open(work.shard(LAST), "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))


def cut(work: Work) -> None:
    os.truncate(work.shard(LAST), work.shard(LAST).stat().st_size // 2)


def emptied(work: Work) -> None:
    os.truncate(work.shard(LAST), 0)


def removed(work: Work) -> None:
    work.shard(LAST).unlink()


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (rewritten, {75}),
        (same_but_newer, {75}),
        (one_byte_changed_in_place, {75}),
        (cut, {75}),
        (emptied, {75}),
        (removed, {66}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_shard_that_changes_after_the_plan_is_named(
    work: Work, change: Callable[[Work], None], codes: set[int]
) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    change(work)

    code, _, error = finish(process)

    assert code in codes, error
    assert work.shard(LAST).name in error
    assert not work.out.exists()


def test_a_shard_that_changes_between_two_attempts_makes_another_plan(work: Work) -> None:
    """Half of the old rows and half of the new ones is what no resume may give."""
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    process.kill()
    process.communicate()
    write_shard(work, 0, rows=ROWS + 1)

    code, _, error = run(work.score("--resume"))

    assert code == 73, error
    assert not work.out.exists()
    code, _, error = run(work.score("--if-exists", "overwrite"))
    assert code == 0, error
    assert_tidy(work)


def test_a_new_shard_that_comes_in_after_the_plan_is_left_for_the_next_run(work: Work, tmp_path: Path) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    write_shard(Work(work.folder, 7), 6)

    code, out, error = finish(process)

    assert code == 0, error
    assert '"rows_in": 6000' in out
