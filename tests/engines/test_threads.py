"""Threads in the driver's process: they cannot be killed, so they are asked to stop."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mlserve_cli.engines import InProcess
from mlserve_cli.errors import Interrupted
from tests.engines.jobs import Job, busy_until_stopped, nothing_stands, square


def test_jobs_run_at_the_same_time() -> None:
    started = time.monotonic()
    with InProcess(4) as engine:
        list(engine.run([Job(number, seconds=0.3) for number in range(4)], square, standing=nothing_stands))
    assert time.monotonic() - started < 0.9


def test_no_thread_goes_on_when_the_run_has_ended(tmp_path: Path) -> None:
    todo = [Job(0), *(Job(number, str(tmp_path), seconds=30) for number in range(1, 9))]
    before = threading.active_count()

    with InProcess(3) as engine:
        run = iter(engine.run(todo, busy_until_stopped, standing=nothing_stands))
        next(run)
        started = time.monotonic()
        with pytest.raises(Interrupted):
            run.throw(Interrupted(15))  # type: ignore[attr-defined]  # a generator

    assert time.monotonic() - started < 1
    assert threading.active_count() == before
    assert len(list(tmp_path.iterdir())) <= 3, "what had not begun never did"
