"""What there is to tell of a run, however it ended: the one value that every way of telling is made from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mlserve_cli.errors import Interrupted, MlserveError
from mlserve_cli.registry import login_name
from mlserve_cli.scoring import RunResult, ScoreRequest
from mlserve_cli.tables import text_of

if TYPE_CHECKING:
    from mlserve_cli.manifest import Manifest
    from mlserve_cli.planning import Plan

Status = Literal["complete", "complete with rows in quarantine", "gate failed", "failed", "interrupted"]
BUG_EXIT_CODE = 1
GATE_EXIT_CODE = 4
KEYBOARD_INTERRUPT_EXIT_CODE = 130


@dataclass(frozen=True, slots=True)
class Beginning:
    """Who began which run when and where. `run` is the name of this attempt alone: a plan may be run many times."""

    run: str
    when_s: float
    user: str
    host: str
    directory: str
    request: ScoreRequest

    @property
    def job(self) -> str:
        """What the run is one of, the same every night: the model as it was asked for, without a version or alias."""
        name = os.path.basename(os.path.normpath(self.request.champion)).removesuffix(".onnx")
        return text_of(name if os.sep in self.request.champion else name.partition("@")[0].partition(":")[0])


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a run that did not come to its end: the three parts of its error."""

    type: str
    what: str
    where: str
    hint: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `plan` is None where it ended before there was one, `result` where nothing was committed.

    `done_rows` of the plan's were read before it ended, `done_tasks` tasks finished.
    """

    beginning: Beginning
    when_s: float
    status: Status
    exit_code: int
    plan: Plan | None = None
    result: RunResult | None = None
    failure: Failure | None = None
    done_tasks: int = 0
    done_rows: int = 0

    @property
    def manifest(self) -> Manifest | None:
        """Of a run that was committed."""
        return self.result.manifest if self.result is not None else None

    @property
    def seconds(self) -> float:
        """From its beginning to its end, planning included."""
        return max(self.when_s - self.beginning.when_s, 0.0)


def begin(request: ScoreRequest, *, now_s: float) -> Beginning:
    """A new run of this process's user, here and now."""
    import uuid  # 3 ms, of every run's start-up, where nobody is told

    return Beginning(
        run=str(uuid.uuid4()),
        when_s=now_s,
        user=login_name(),
        host=os.uname().nodename,
        directory=text_of(_working_directory()),
        request=request,
    )


def ended_well(ending: Ending, result: RunResult) -> Ending:
    """A run that was committed, with all its rows, with some set aside, or past a gate that said no."""
    status: Status = result.manifest.run.status
    if result.exit_code == GATE_EXIT_CODE:
        status = "gate failed"
    return replace(ending, status=status, exit_code=result.exit_code, plan=result.manifest.plan, result=result)


def ended_badly(ending: Ending, error: BaseException) -> Ending:
    """A run that an error or a signal ended."""
    match error:
        case Interrupted():
            failure = Failure("Interrupted", f"ended by signal {error.signal_number}", "", "")
            return replace(ending, status="interrupted", exit_code=error.exit_code, failure=failure)
        case KeyboardInterrupt():
            failure = Failure("Interrupted", "ended by signal 2", "", "")
            return replace(ending, status="interrupted", exit_code=KEYBOARD_INTERRUPT_EXIT_CODE, failure=failure)
        case MlserveError():
            failure = Failure(type(error).__name__, error.what, error.where, error.hint)
            status: Status = "gate failed" if error.exit_code == GATE_EXIT_CODE else "failed"
            return replace(ending, status=status, exit_code=error.exit_code, failure=failure)
        case _:
            failure = Failure(type(error).__name__, str(error), "", MlserveError.usual_hint)
            return replace(ending, status="failed", exit_code=BUG_EXIT_CODE, failure=failure)


def iso(seconds: float) -> str:
    """2026-11-24T03:15:00.123Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""
