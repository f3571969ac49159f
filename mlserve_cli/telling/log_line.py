"""One line of JSON for each run, for whatever reads logs: Loki, Elasticsearch, `jq`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mlserve_cli._version import __version__
from mlserve_cli.contract import Value, encode_canonical
from mlserve_cli.storage import held_log, translated
from mlserve_cli.tables import text_of
from mlserve_cli.telling.account import Ending, iso

LOCK_TIMEOUT_S = 3.0
MOST_DRIFTED = 20
Level = Literal["info", "warning", "error"]


class LoggedModel(Value, frozen=True):
    """What made the scores; as it was asked for, where the run ended before it was known."""

    name: str
    version: str
    alias: str
    digest: str


class LoggedError(Value, frozen=True):
    """What ended the run: the three parts of the message."""

    type: str
    what: str
    where: str
    hint: str


class LogLine(Value, frozen=True):
    """A run. `run` names this attempt, `plan` the work: the manifest's run id. `audit_head` is the newest line's digest
    in the audit log, "" where there is none."""

    time: str
    level: Level
    message: str
    logger: str
    version: str
    run: str
    job: str
    plan: str
    status: str
    exit_code: int
    already_complete: bool
    model: LoggedModel
    inputs: list[str]
    output: str
    manifest: str
    rows_in: int
    rows_out: int
    rows_quarantined: int
    reasons: dict[str, int]
    tasks_done: int
    seconds: float
    rows_per_s: float
    peak_memory_bytes: int
    lost_workers: int
    drifted: list[str]
    error: LoggedError | None
    user: str
    host: str
    directory: str
    command: list[str]
    audit_head: str


def append_line(path: str, ending: Ending, *, head: str) -> None:
    """Append the run's line, whole. Raises what held_log does."""
    with held_log(Path(path), timeout_s=LOCK_TIMEOUT_S) as log, translated(path, "append to the log"):
        log.append(encode_canonical(log_line(ending, head=head)))


def log_line(ending: Ending, *, head: str) -> LogLine:
    """What the line says."""
    beginning, plan, manifest, failure = ending.beginning, ending.plan, ending.manifest, ending.failure
    request, rows = beginning.request, manifest.rows if manifest is not None else None
    speed = manifest.throughput if manifest is not None else None
    return LogLine(
        time=iso(ending.when_s),
        level=_level(ending),
        message=_message(ending),
        logger="mlserve",
        version=__version__,
        run=beginning.run,
        job=beginning.job,
        plan=plan.id if plan is not None else "",
        status=ending.status,
        exit_code=ending.exit_code,
        already_complete=ending.result.already if ending.result is not None else False,
        model=_model(ending),
        inputs=list(map(text_of, request.inputs)),
        output=text_of(request.output),
        manifest=manifest.digest if manifest is not None else "",
        rows_in=rows.rows_in if rows is not None else ending.done_rows,
        rows_out=rows.rows_out if rows is not None else 0,
        rows_quarantined=rows.rows_quarantined if rows is not None else 0,
        reasons=dict(rows.reasons) if rows is not None else {},
        tasks_done=ending.done_tasks,
        seconds=round(ending.seconds, 3),
        rows_per_s=speed.rows_per_s if speed is not None else 0.0,
        peak_memory_bytes=speed.peak_memory_bytes if speed is not None else 0,
        lost_workers=manifest.run.lost_workers if manifest is not None else 0,
        drifted=_drifted(ending),
        error=LoggedError(failure.type, failure.what, failure.where, failure.hint) if failure is not None else None,
        user=beginning.user,
        host=beginning.host,
        directory=beginning.directory,
        command=list(request.command),
        audit_head=head,
    )


def _level(ending: Ending) -> Level:
    if ending.exit_code == 0:
        return "info"
    return "warning" if ending.status in ("complete with rows in quarantine", "gate failed") else "error"


def _message(ending: Ending) -> str:
    if ending.failure is not None:
        return f"{ending.status}: {ending.failure.what}"
    manifest = ending.manifest
    rows = manifest.rows.rows_in if manifest is not None else 0
    head = "already complete" if ending.result is not None and ending.result.already else ending.status
    return f"{head}: {rows:,} rows in {ending.seconds:.1f} s"


def _drifted(ending: Ending) -> list[str]:
    """The columns that drifted, what moved most first."""
    drift = ending.manifest.drift if ending.manifest is not None else None
    return [one.name for one in drift.columns if one.reasons][:MOST_DRIFTED] if drift is not None else []


def _model(ending: Ending) -> LoggedModel:
    if ending.plan is None:
        return LoggedModel(text_of(ending.beginning.request.champion), "", "", "")
    model = ending.plan.model
    alias = ending.manifest.model.alias if ending.manifest is not None else ""
    return LoggedModel(model.name, model.version, alias, model.digest)
