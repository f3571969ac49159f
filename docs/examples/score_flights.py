"""An Airflow DAG that scores a day's flights with mlserve and hands the summary to the next task.

mlserve lives in an environment of its own and is called by its absolute path: none of its dependencies has to get
along with Airflow's. Where things are comes from the environment of the Airflow worker.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

MLSERVE = os.environ.get("MLSERVE", "/opt/mlserve/bin/mlserve")
MODEL = os.environ.get("FLIGHTS_MODEL", "/srv/models/late-gbm")
FLIGHTS = os.environ.get("FLIGHTS", "/srv/flights")
SCORES = os.environ.get("FLIGHTS_SCORES", "/srv/scores")
RETRY_DELAY = timedelta(seconds=float(os.environ.get("FLIGHTS_RETRY_DELAY_S", "300")))

NEVER_MENDED_BY_WAITING = {1, 2, 65, 73, 77, 78}
"""Exit codes that another try cannot change: bad data, a wrong command, an invalid model, a missing permission."""


class ScoreOperator(BashOperator):
    """A BashOperator that fails at once, without the retries left, where a retry cannot help."""

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        except AirflowSkipException:
            raise
        except AirflowException as failure:
            process = self.subprocess_hook.sub_process
            if process is not None and process.returncode in NEVER_MENDED_BY_WAITING:
                raise AirflowFailException(f"mlserve ended with {process.returncode}") from failure
            raise


@dag(schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def score_flights() -> None:
    score = ScoreOperator(
        task_id="score",
        # exec: the process that Airflow signals is mlserve itself. --resume: a retry takes up what the last try left.
        bash_command='exec "$MLSERVE" score -m "$FLIGHTS_MODEL" -i "$FLIGHTS" -o "$FLIGHTS_SCORES/{{ ds }}" --resume',
        env={"MLSERVE": MLSERVE, "FLIGHTS_MODEL": MODEL, "FLIGHTS": FLIGHTS, "FLIGHTS_SCORES": SCORES},
        append_env=True,
        retries=3,
        retry_delay=RETRY_DELAY,
        skip_on_exit_code=3,  # committed, but with rows in quarantine: what follows waits for a person
    )

    @task
    def rows_scored(last_line: str) -> int:
        """The XCom is the last line that mlserve printed: one JSON object."""
        summary: dict[str, Any] = json.loads(last_line)
        return int(summary["rows_out"])

    rows_scored(score.output)


score_flights()
