"""HUP, INT and TERM in every phase: 129, 130, 143, no process left, and OUT whole or not there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.faults.injection import needs_strace, slowed
from tests.faults.running import (
    Work,
    assert_nothing_committed,
    assert_whole,
    contents,
    finish,
    minds_signals,
    run,
    start,
    wait_until,
)

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
Phase = Callable[[Work, "subprocess.Popen[str]"], bool]
PHASES: dict[str, Phase] = {
    "planning": lambda _, process: minds_signals(process),
    "scoring": lambda work, _: work.records > 0,
    "committing": lambda work, _: work.is_committing,
}


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_to_the_group_ends_it_all(work: Work, phase: str, times: int, number: signal.Signals) -> None:
    process = start(work.score())
    assert wait_until(lambda: PHASES[phase](work, process), process)
    for _ in range(times):
        send(process, number)
        time.sleep(0.002)

    ended_as_it_should(work, process, number)


@pytest.mark.parametrize("seed", range(8))
def test_a_signal_at_any_moment_leaves_it_whole_or_not_begun(
    work: Work, undisturbed: dict[str, bytes], seed: int
) -> None:
    moments = random.Random(seed)
    number = moments.choice(SIGNALS)
    process = start(work.score())
    wait_until(lambda: minds_signals(process), process)
    time.sleep(moments.uniform(0, 1.5))
    send(process, number)

    ended_as_it_should(work, process, number)
    assert run(work.score("--resume"))[0] == 0
    assert_whole(work)
    assert contents(work) == undisturbed


def test_a_signal_to_the_driver_alone_takes_its_workers_along(work: Work) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    process.terminate()
    ended_as_it_should(work, process, signal.SIGTERM)


@needs_strace
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_during_the_rename_finds_the_run_whole(work: Work, number: signal.Signals) -> None:
    """The rename is held up for half a second: the signal lands within it, and is minded after it."""
    process = start([*slowed("rename", seconds=0.5), *work.score(workers=1)])
    assert wait_until(lambda: work.is_committing, process)
    time.sleep(0.2)
    assert not work.out.exists()
    send(process, number)
    send(process, number)

    code, _, error = finish(process)

    assert code == 128 + number, error
    assert_whole(work)


@needs_strace
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_during_an_exchange_finds_the_new_run_whole(work: Work, number: signal.Signals) -> None:
    assert run(work.score("--limit", "10"))[0] == 0
    process = start([*slowed("renameat2", seconds=0.5), *work.score("--if-exists", "overwrite", workers=1)])
    assert wait_until(lambda: work.is_committing, process)
    time.sleep(0.2)
    send(process, number)

    code, _, error = finish(process)

    assert code == 128 + number, error
    assert_whole(work)


def ended_as_it_should(work: Work, process: subprocess.Popen[str], number: signal.Signals) -> None:
    code, _, error = finish(process)
    assert code in (128 + number, 0), error
    assert "Traceback" not in error
    if work.out.exists():
        assert_whole(work)
    else:
        assert code == 128 + number
        assert_nothing_committed(work)


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
