"""Runs with a challenger, or with rows split between two models, killed at random moments and taken up again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import verify
from mlserve_cli.manifest import read_manifest
from tests.faults.running import Work, assert_gone, children, contents, finish, make_work, run, start, wait_until

WAYS = {"challenger": (), "canary": ("--canary", "40", "--split-key", "id")}


@pytest.fixture(params=WAYS)
def options(request: pytest.FixtureRequest, work: Work) -> tuple[str, ...]:
    return other_models(work, request.param)


def other_models(work: Work, way: str) -> tuple[str, ...]:
    """A challenger of another name and the same weights, as slow as the champion."""
    other = work.folder / "other.onnx"
    shutil.copy(work.model, other)
    if way == "canary":
        for path in sorted(work.inputs.iterdir()):
            table = pq.read_table(path)
            pq.write_table(table.append_column("id", pa.array(range(table.num_rows))), path)
            os.utime(path, ns=(0, 0))  # nothing of a plan may say which of two runs it is
    return ("--challenger", str(other), *WAYS[way])


def test_a_killed_driver_s_run_is_taken_up_with_all_its_models(
    work: Work, options: tuple[str, ...], tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    calm = make_work(tmp_path / "calm")
    way = "canary" if "--canary" in options else "challenger"
    assert run(calm.score(*other_models(calm, way), workers=1))[0] == 0
    moments = random.Random(7)
    for _ in range(3):
        process = start(work.score(*options, "--resume"))
        time.sleep(moments.uniform(0.4, 1.2))
        process.kill()
        process.communicate()
        assert_gone(process.pid, within_s=3)

    code, _, error = run(work.score(*options, "--resume"))

    assert code == 0, error
    verify(str(work.out))
    assert contents(work) == contents(calm)
    assert whole(work, "challengers") == whole(calm, "challengers")
    if "--canary" not in options:
        assert contents(work) == undisturbed
        (account,) = read_manifest(work.out / "manifest.json").challengers
        assert (account.status, account.rows) == ("complete", 5_934)


def test_workers_that_die_now_and_then_cost_a_challenger_nothing(work: Work) -> None:
    process = start(work.score(*other_models(work, "challenger"), "--max-retries", "50"))
    assert wait_until(lambda: len(children(process)) == 2, process)
    for _ in range(3):
        for worker in children(process)[:1]:
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.7)

    code, _, error = finish(process)

    assert code == 0, error
    (account,) = read_manifest(work.out / "manifest.json").challengers
    assert (account.status, account.rows, account.flips) == ("complete", 5_934, None)
    verify(str(work.out))


def whole(work: Work, folder: str) -> dict[str, bytes]:
    """Every file below a folder of the run."""
    return {path.name: path.read_bytes() for path in (work.out / folder).rglob("*") if path.is_file()}
