"""A process apart for a model's own code: it may end its process, hang, or eat the memory, and that is a finding."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from mlserve_cli import engines
from mlserve_cli.validation.findings import Finding, Outcome
from mlserve_cli.validation.rows import TrialRows
from mlserve_cli.validation.trials import Trial

TRIAL_S = 60.0


class ProcessApart:
    """One worker process, a new one after each that died."""

    def __init__(self, rows: TrialRows | None, *, limit_s: float = TRIAL_S) -> None:
        self._made_up = rows is not None and not rows.real
        self._engine = engines.Processes(1, max_retries=0, task_timeout_s=limit_s)

    def run(self, check: str, function: Callable[[Trial], Outcome], trial: Trial) -> Outcome:
        """What `function` finds, or how its process ended."""
        for event in self._engine.run([trial], function, standing=_nothing):
            match event:
                case engines.Finished(result=Outcome() as outcome):
                    return outcome
                case engines.Died(detail=detail):
                    return self._ended(check, f"the model's process was {detail}")
                case engines.TimedOut(seconds=seconds):
                    return self._ended(check, f"it was not done after {seconds:.0f} s")
        return Outcome()

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.__exit__(kind, error, trace)

    def _ended(self, check: str, what: str) -> Outcome:
        if self._made_up and check not in ("checker", "runtime"):
            return Outcome((Finding(check, "warning", f"on made-up rows {what}", "try it on real rows with --data"),))
        return Outcome((Finding(check, "error", what, "such a model would end a run's workers: export it anew"),))


def _nothing(trial: Trial) -> Outcome | None:
    """A trial leaves nothing behind that could be taken up."""
