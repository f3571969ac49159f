"""Runs with a profile, killed: each row that was written is in the profile once, whoever wrote it."""

from __future__ import annotations

import os
import random
import signal
import time

import msgspec
import numpy as np
import pytest

from mlserve_cli.profiles import read_profile
from tests.faults.running import (
    Work,
    assert_whole,
    children,
    finish,
    start,
    values,
    wait_until,
)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed_again_and_again_has_the_whole_profile(work: Work, seed: int) -> None:
    moments, resumed = random.Random(seed), 0
    for _ in range(3):
        process = start(work.score("--profile", "on", "--resume", "--max-retries", "50"))
        if wait_until(lambda before=resumed: work.records > before, process):  # type: ignore[misc]  # bound now
            time.sleep(moments.uniform(0, 0.02))
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        resumed = work.records if work.staging is not None else resumed
    assert_profiled(work)
    assert resumed


def test_killed_workers_leave_no_row_out_of_the_profile_and_none_in_it_twice(work: Work) -> None:
    process = start(work.score("--profile", "on", "--max-retries", "50"))
    killed = 0
    while process.poll() is None and killed < 3:
        for worker in children(process)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
        time.sleep(0.3)
    finish(process)
    assert killed
    assert_profiled(work)


def assert_profiled(work: Work) -> None:
    """The run, taken up where it is not finished: its profile is that of the rows as this test knows them."""
    code, _, error = finish(start(work.score("--profile", "on", "--resume", "--max-retries", "50")))
    assert code == 0, error
    assert_whole(work)
    every = np.array([one for shard in range(work.shards) for one in values(shard) if one is not None], np.float32)
    found = read_profile(work.out)
    account = msgspec.json.decode((work.out / "manifest.json").read_bytes())["profile"]
    assert account["rows"] == found.rows == len(every)
    column = found.features["x"]
    assert (column.rows, column.sampled, column.minimum, column.maximum) == (
        *(len(every), len(every), every.min(), every.max()),
    )
    assert column.mean == pytest.approx(every.mean(dtype=np.float64), rel=1e-12)
    assert column.sum_of_squares == pytest.approx(np.var(every, dtype=np.float64) * len(every), rel=1e-9)
