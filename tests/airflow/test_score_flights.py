"""mlserve as a task of a real Airflow: the very DAG that docs/airflow shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

pytestmark = pytest.mark.airflow


def test_the_summary_of_a_run_reaches_the_next_task_as_json(airflow: Airflow) -> None:
    with airflow.run():
        pass
    summary = json.loads(airflow.xcom("score"))
    assert (summary["status"], summary["exit_code"]) == ("complete", 0)
    assert airflow.xcom("rows_scored") == summary["rows_out"] > 0
    assert _verify(airflow) == 0


@pytest.mark.parametrize("stop", ["kill the driver", "terminate the group"])
def test_a_task_stopped_in_the_middle_is_tried_again_and_scores_only_what_is_missing(
    airflow: Airflow, many_flights: Path, stop: str
) -> None:
    with airflow.run(FLIGHTS=str(many_flights), MLSERVE_WORKERS="2", FLIGHTS_RETRY_DELAY_S="4"):
        _wait_until(lambda: len(_staged(airflow)) >= 5)
        driver = _driver(airflow)
        if stop == "kill the driver":
            os.kill(driver, signal.SIGKILL)
        else:
            os.killpg(driver, signal.SIGTERM)  # what a BashOperator does when its task is cleared or timed out
        _wait_until(lambda: airflow.state("score")[0] == "up_for_retry")
        before = _staged(airflow)
    assert airflow.state("score") == ("success", 2)
    after = {file.name: file.stat().st_ino for file in (airflow.scores / "data").iterdir()}
    assert 5 <= len(before) < len(after), "the task was not stopped in the middle"
    assert before.items() <= after.items(), "a part that stood was written again"
    between = 2  # each worker may have been stopped after its part and before the record that says so
    assert json.loads(airflow.xcom("score"))["resumed_tasks"] >= len(before) - between
    assert _verify(airflow) == 0


def test_an_output_that_another_run_holds_is_tried_again(airflow: Airflow, many_flights: Path) -> None:
    command = [airflow.mlserve, "score", "-m", airflow.environment()["FLIGHTS_MODEL"], "-i", str(many_flights)]
    with subprocess.Popen([*command, "-o", str(airflow.scores)], start_new_session=True) as holder:
        _wait_until(lambda: len(_staged(airflow)) >= 1)
        os.killpg(holder.pid, signal.SIGSTOP)  # holds the output for as long as it is stopped
        with airflow.run(FLIGHTS=str(many_flights)):
            _wait_until(lambda: airflow.state("score") == ("up_for_retry", 1))
            os.killpg(holder.pid, signal.SIGKILL)
    assert airflow.state("score")[0] == "success"
    assert "returned a non-zero exit code 75" in (airflow.home / "dags-test.log").read_text()
    assert _verify(airflow) == 0


def test_bad_data_fails_at_once_with_its_retries_unused(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "empty.parquet").touch()
    with airflow.run(FLIGHTS=str(tmp_path / "flights")):
        pass
    assert airflow.state("score") == ("failed", 1)
    assert "mlserve ended with 65" in (airflow.home / "dags-test.log").read_text()
    assert not airflow.scores.exists()


def test_rows_in_quarantine_skip_the_tasks_that_follow(airflow: Airflow) -> None:
    nulls_refused = (
        f"{airflow.environment()['FLIGHTS_MODEL']}/model.onnx"  # without its package, which wants them as NaN
    )
    with airflow.run(MLSERVE_ON_ERROR="quarantine", FLIGHTS_MODEL=nulls_refused):
        pass
    assert airflow.state("score") == ("skipped", 1)
    assert airflow.state("rows_scored")[0] == "skipped"
    assert _verify(airflow) == 0


def _staged(airflow: Airflow) -> dict[str, int]:
    """Finished parts in the staging beside the output: their names and inodes."""
    staging = airflow.scores.parent.glob(f".{airflow.scores.name}*")
    return {part.name: part.stat().st_ino for folder in staging for part in folder.rglob("part-*.parquet")}


def _driver(airflow: Airflow) -> int:
    """The one process that has the output among its arguments: bash exec'ed it, so it leads the task's group."""
    wanted = os.fsencode(airflow.scores)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile
            continue
        if wanted in arguments:
            return int(process.name)
    raise AssertionError("mlserve is not running")


def _verify(airflow: Airflow) -> int:
    return subprocess.run([airflow.mlserve, "verify", str(airflow.scores)], timeout=60, check=False).returncode


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not happen within 60 s"
        time.sleep(0.02)
