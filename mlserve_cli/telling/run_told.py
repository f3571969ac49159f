"""Score, and tell of it: before the run begins to the audit log, when it has ended to whoever asked, well or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeVar

from mlserve_cli import scoring
from mlserve_cli.errors import AuditUnavailable, InvalidConfig, LogBroken, MlserveError
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.planning import Estimate, Plan
from mlserve_cli.scoring import SILENT, Observer, RunResult, ScoreRequest
from mlserve_cli.storage import deferred_signals
from mlserve_cli.telling.account import Beginning, Ending, begin, ended_badly, ended_well
from mlserve_cli.telling.tell import SILENCE, Tell, check_tell

T = TypeVar("T")
R = TypeVar("R")


def told(
    request: ScoreRequest, *, tell: Tell = SILENCE, observer: Observer = SILENT, stream: BinaryIO | None = None
) -> RunResult:
    """`scoring.score`, or with a `stream` `scoring.score_to_stream`, told to the files of `tell`.

    What cannot be told is a warning and changes nothing of how the run ends; but no run begins without its entry in an
    audit log that was asked for. Raises what these two do and what check_tell does, AuditUnavailable (69) where that
    log cannot be written, LogBroken (65) where its end was changed.
    """
    if not tell.files:
        return _score(request, observer=observer, stream=stream)
    check_tell(tell, request)
    beginning = begin(request, now_s=time.time())
    head = _tell_beginning(beginning, tell, observer)
    listening = Listening(observer)
    try:
        result = _score(request, observer=listening, stream=stream)
    except BaseException as error:
        _tell_ending(ended_badly(_now(beginning, listening), error), tell, observer, head=head)
        raise
    _tell_ending(ended_well(_now(beginning, listening), result), tell, observer, head=head)
    return result


def _score(request: ScoreRequest, *, observer: Observer, stream: BinaryIO | None) -> RunResult:
    if stream is not None:
        return scoring.score_to_stream(request, stream, observer=observer)
    return scoring.score(request, observer=observer)


@dataclass(slots=True)
class Listening:
    """An observer that hands everything on, and remembers how far the run came."""

    observer: Observer
    plan: Plan | None = None
    done_tasks: int = 0
    done_rows: int = 0

    def stage(self, name: Literal["planning", "scoring", "committing"]) -> None:
        """The run enters a stage."""
        self.observer.stage(name)

    def warn(self, text: str) -> None:
        """Something that a person should know."""
        self.observer.warn(text)

    def planned(self, plan: Plan, estimate: Estimate) -> None:
        """What the run is over: all that can be told of it where it fails."""
        self.plan = plan
        self.observer.planned(plan, estimate)

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        """How far it has come."""
        self.done_tasks += 1
        self.done_rows += record.rows_in
        self.observer.finished(record, resumed=resumed)

    def lost(self, detail: str) -> None:
        """A fault that was survived."""
        self.observer.lost(detail)


def _now(beginning: Beginning, listening: Listening) -> Ending:
    """The ending as far as it is known before it is known which it was."""
    return Ending(
        beginning,
        time.time(),
        "failed",
        1,
        plan=listening.plan,
        done_tasks=listening.done_tasks,
        done_rows=listening.done_rows,
    )


def _tell_beginning(beginning: Beginning, tell: Tell, observer: Observer) -> str:
    """Returns the digest of the audit log's entry, "" where there is no such log."""
    head = ""
    if tell.prometheus_file is not None and not tell.prometheus_file.endswith(".prom"):
        observer.warn("--prometheus-file: the textfile collector reads only names that end in .prom")
    if tell.audit_log is not None:
        head = _noted(tell.audit_log, beginning)
    if tell.openlineage_file is not None:
        from mlserve_cli.telling.lineage import append_start

        _attempt("--openlineage-file", append_start, tell.openlineage_file, beginning, observer)
    return head


def _noted(audit_log: str, beginning: Beginning) -> str:
    """The entry without which no run begins. What the disk has against it is not the output's fault, nor the data's."""
    from mlserve_cli.telling.audit_log import note_beginning

    try:
        return note_beginning(audit_log, beginning)
    except (LogBroken, InvalidConfig):
        raise
    except MlserveError as error:
        raise AuditUnavailable(f"the run cannot be noted in the audit log: {error.what}", error.where) from error


def _tell_ending(ending: Ending, tell: Tell, observer: Observer, *, head: str) -> None:
    """Whole, even where a signal comes meanwhile: a run that was committed must not look like one that never ended."""
    with deferred_signals():
        _tell_all(ending, tell, observer, head=head)


def _tell_all(ending: Ending, tell: Tell, observer: Observer, *, head: str) -> None:
    """The audit log first, whose newest digest the log's line then holds; each as if the others were not there."""
    if tell.audit_log is not None:
        from mlserve_cli.telling.audit_log import note_ending

        head = _attempt("--audit-log", note_ending, tell.audit_log, ending, observer) or head
    if tell.log_file is not None:
        from mlserve_cli.telling.log_line import append_line

        _attempt("--log-file", lambda path, of: append_line(path, of, head=head), tell.log_file, ending, observer)
    if tell.openlineage_file is not None:
        from mlserve_cli.telling.lineage import append_end

        _attempt("--openlineage-file", append_end, tell.openlineage_file, ending, observer)
    if tell.prometheus_file is not None:
        from mlserve_cli.telling.metrics import write_metrics

        _attempt("--prometheus-file", write_metrics, tell.prometheus_file, ending, observer)


def _attempt(option: str, write: Callable[[str, T], R], path: str, what: T, observer: Observer) -> R | None:
    """What `write` returns; where it fails, a warning: the run is what it is, whoever hears of it."""
    try:
        return write(path, what)
    except Exception as error:  # noqa: BLE001  a bug in telling must not make a failure of a run that was committed
        parts = (error.what, error.where) if isinstance(error, MlserveError) else (type(error).__name__, str(error))
        observer.warn(f"{option}: {', '.join(part for part in parts if part)}; the run is not changed by it")
        return None
