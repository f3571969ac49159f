"""Runs: score, preview, verify, replay, inspect. Each command of that name is one function here."""

from mlserve_cli.scoring.inspect_target import Inspected, InspectedData, InspectedModel, inspect
from mlserve_cli.scoring.machine import memory_in_use
from mlserve_cli.scoring.replay_run import Replayed, replay
from mlserve_cli.scoring.request import SILENT, STREAM, Observer, ScoreRequest, Silent
from mlserve_cli.scoring.resolve import resolve
from mlserve_cli.scoring.score_run import Preview, RunResult, preview, score
from mlserve_cli.scoring.stream import score_to_stream
from mlserve_cli.scoring.verify_run import Verified, verify

__all__ = [
    "SILENT",
    "STREAM",
    "Inspected",
    "InspectedData",
    "InspectedModel",
    "Observer",
    "Preview",
    "Replayed",
    "RunResult",
    "ScoreRequest",
    "Silent",
    "Verified",
    "inspect",
    "memory_in_use",
    "preview",
    "replay",
    "resolve",
    "score",
    "score_to_stream",
    "verify",
]
