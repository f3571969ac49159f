"""Trials of which the process does not come back."""

from __future__ import annotations

import os
import signal
import time

from mlserve_cli.validation.findings import Finding, Outcome
from mlserve_cli.validation.trials import Trial


def crash(trial: Trial) -> Outcome:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
    return Outcome()


def hang(trial: Trial) -> Outcome:
    time.sleep(60)
    return Outcome()


def live(trial: Trial) -> Outcome:
    return Outcome((Finding("runtime", "ok", "it lives"),))
