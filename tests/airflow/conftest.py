"""A home for Airflow with the DAG of docs/examples in it, and what its database says after a run.

`nox -s airflow` makes Airflow's environment and names its command in AIRFLOW_COMMAND. mlserve is the one on PATH: the
DAG calls it by its absolute path, out of another environment, as docs/airflow recommends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DAG_FILE = ROOT / "docs" / "examples" / "score_flights.py"
DAY = "2026-11-23"


@dataclass(frozen=True, slots=True)
class Airflow:
    """One Airflow home: its folder, its environment variables, the command that runs in it."""

    command: str
    home: Path
    mlserve: str

    @property
    def scores(self) -> Path:
        return self.home / "scores" / DAY

    @contextlib.contextmanager
    def run(self, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """`airflow dags test` on the DAG: a whole run, retries included, in this one process."""
        log = self.home / "dags-test.log"
        with (
            log.open("w") as output,
            subprocess.Popen(
                [self.command, "dags", "test", "score_flights", DAY],
                env=self.environment(**settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            try:
                yield process
                process.wait(timeout=240)
            finally:
                process.kill()

    def environment(self, **settings: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "MLSERVE": self.mlserve,
            "FLIGHTS_MODEL": str(ROOT / "sample_data" / "models" / "late-gbm"),
            "FLIGHTS": str(ROOT / "sample_data" / "flights"),
            "FLIGHTS_SCORES": str(self.scores.parent),
            "FLIGHTS_RETRY_DELAY_S": "1",
            **settings,
        }

    def state(self, task: str) -> tuple[str, int]:
        """The state of a task and the number of its tries."""
        (row,) = self._ask("select state, try_number from task_instance where task_id = ?", task) or [("", 0)]
        return str(row[0]), int(row[1])

    def xcom(self, task: str) -> Any:
        (row,) = self._ask("select value from xcom where task_id = ? and key = 'return_value'", task)
        return json.loads(str(row[0]))

    def _ask(self, query: str, task: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as database:
            return database.execute(query, (task,)).fetchall()


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty database: made once, copied for each test."""
    home = tmp_path_factory.mktemp("airflow-home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "AIRFLOW_HOME": str(home)}
    command = [os.environ["AIRFLOW_COMMAND"], "db", "migrate"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    return home


@pytest.fixture
def airflow(airflow_home: Path, tmp_path: Path) -> Airflow:
    mlserve = shutil.which("mlserve")
    assert mlserve is not None, "install mlserve and put its environment first in PATH, as `nox -s airflow` does"
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    (home / "scores").mkdir()
    shutil.copy(airflow_home / "airflow.db", home)
    shutil.copy(DAG_FILE, home / "dags")
    return Airflow(os.environ["AIRFLOW_COMMAND"], home, mlserve)


@pytest.fixture
def many_flights(tmp_path: Path) -> Path:
    """The sample flights many times over: enough to be in the middle of for a while."""
    folder = tmp_path / "many-flights"
    for copy in range(40):
        shutil.copytree(ROOT / "sample_data" / "flights", folder / f"copy={copy:02}")
    return folder
