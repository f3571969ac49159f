"""Batch scoring that proves what it did: every command of `mlserve` is one function here, under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli._version import __version__

if TYPE_CHECKING:
    from mlserve_cli.benchmark import BenchResult, bench
    from mlserve_cli.manifest import Manifest
    from mlserve_cli.monitoring.drift import DriftHistory, drift, drift_history
    from mlserve_cli.monitoring.drift_gate import drift_gate
    from mlserve_cli.monitoring.evaluate import evaluate
    from mlserve_cli.monitoring.evaluation import Evaluation
    from mlserve_cli.monitoring.gate import GateRequest
    from mlserve_cli.monitoring.profile import profile
    from mlserve_cli.profiles import Drift, Profile
    from mlserve_cli.reporting.report import Reported, report
    from mlserve_cli.rollout import Compared, CompareRequest
    from mlserve_cli.rollout.compare import compare
    from mlserve_cli.scoring import (
        Preview,
        Replayed,
        RunResult,
        ScoreRequest,
        Verified,
        inspect,
        preview,
        replay,
        score,
        verify,
    )
    from mlserve_cli.scoring.tuning import Tuned, tune
    from mlserve_cli.tables import Dialect
    from mlserve_cli.telling import Audited, Tell, audit, told
    from mlserve_cli.watching import Tally, WatchRequest, watch

__all__ = [
    "Audited",
    "BenchResult",
    "CompareRequest",
    "Compared",
    "Dialect",
    "Drift",
    "DriftHistory",
    "Evaluation",
    "GateRequest",
    "Manifest",
    "Preview",
    "Profile",
    "Replayed",
    "Reported",
    "RunResult",
    "ScoreRequest",
    "Tally",
    "Tell",
    "Tuned",
    "Verified",
    "WatchRequest",
    "__version__",
    "audit",
    "bench",
    "compare",
    "drift",
    "drift_gate",
    "drift_history",
    "evaluate",
    "inspect",
    "preview",
    "profile",
    "replay",
    "report",
    "score",
    "told",
    "tune",
    "verify",
    "watch",
]
_HOMES = {
    "Audited": "telling",
    "Tell": "telling",
    "audit": "telling",
    "told": "telling",
    "BenchResult": "benchmark",
    "bench": "benchmark",
    "CompareRequest": "rollout",
    "Compared": "rollout",
    "compare": "rollout",
    "Dialect": "tables",
    "Drift": "profiles",
    "DriftHistory": "monitoring.drift",
    "drift": "monitoring.drift",
    "drift_gate": "monitoring.drift_gate",
    "drift_history": "monitoring.drift",
    "Evaluation": "monitoring.evaluation",
    "evaluate": "monitoring.evaluate",
    "GateRequest": "monitoring.gate",
    "Manifest": "manifest",
    "Profile": "profiles",
    "profile": "monitoring.profile",
    "Reported": "reporting",
    "report": "reporting",
    "Tally": "watching",
    "Tuned": "scoring.tuning",
    "WatchRequest": "watching",
    "watch": "watching",
    "tune": "scoring.tuning",
}


def __getattr__(name: str) -> object:
    """Loaded when first asked for: pyarrow and ONNX Runtime take a fifth of a second that `--help` must not cost."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'scoring')}"), name)
