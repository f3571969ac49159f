"""A process that writes run after run to an audit log, for tests that have two of them or kill one.

python -m tests.telling.appender LOG RUNS
"""

from __future__ import annotations

import sys
import time

from mlserve_cli import ScoreRequest
from mlserve_cli.telling.account import Ending, begin
from mlserve_cli.telling.audit_log import note_beginning, note_ending


def main(log: str, runs: int) -> None:
    print("ready", flush=True)
    for number in range(runs):
        beginning = begin(ScoreRequest("churn.onnx", ("rows",), f"out-{number}"), now_s=time.time())
        note_beginning(log, beginning)
        note_ending(log, Ending(beginning, time.time(), "complete", 0))
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
