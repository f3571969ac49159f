"""Runs: score, preview, verify, replay, inspect. Each command of that name is one function here."""

from mlserve_cli.scoring.inspect import Inspected, InspectedData, InspectedModel, inspect
from mlserve_cli.scoring.replay import Replayed, replay
from mlserve_cli.scoring.request import SILENT, STREAM, Observer, ScoreRequest, Silent
from mlserve_cli.scoring.score import Preview, RunResult, preview, score
from mlserve_cli.scoring.stream import score_to_stream
from mlserve_cli.scoring.verify import Verified, verify

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
    "preview",
    "replay",
    "score",
    "score_to_stream",
    "verify",
]
