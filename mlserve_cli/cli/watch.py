"""`mlserve watch`: a line for each shard as it goes, the sums at the end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlserve_cli.cli import options, parse, telling_options
from mlserve_cli.cli.command import option, taking
from mlserve_cli.cli.score import request_of
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import Interrupted, shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.scoring import RunResult, ScoreRequest
    from mlserve_cli.telling import Tell
    from mlserve_cli.watching import Delayed, Event, Rejected, Scored, Tally, WatchRequest

WATCHING = "Watching"
ONE_RUN_ALONE = ("inputs", "if_exists", "resume", "reuse", "limit")  # what has no meaning for many

Inbox = Annotated[
    str,
    typer.Argument(metavar="INBOX", help="The folder that shards come to; its folders too.", show_default=False),
]
Output = Annotated[
    str,
    option(
        "--output",
        "-o",
        panel=WATCHING,
        help="The folder of all runs: a shard's run stands in it under the shard's own name.",
        metavar="OUT",
    ),
]
Once = Annotated[
    bool, option("--once", panel=WATCHING, help="Score what is there as a whole, and end: for cron. Else it goes on.")
]
Interval = Annotated[
    float,
    option("--interval", panel=WATCHING, help="Seconds between looks.", converter=parse.seconds, metavar="S"),
]
Settled = Annotated[
    float,
    option(
        "--settled",
        panel=WATCHING,
        help="A shard is complete when it has not changed for so many seconds; 0 where shards are renamed into place.",
        converter=parse.limit,
        metavar="S",
    ),
]
Marker = Annotated[
    str | None,
    option(
        "--marker",
        panel=WATCHING,
        help="Complete is instead a shard with such a file: .done is NAME.done, _SUCCESS that name in its folder.",
        metavar="TEXT",
    ),
]
Changed = Annotated[
    Literal["refuse", "rescore"],
    option(
        "--changed",
        choices=("refuse", "rescore"),
        panel=WATCHING,
        help="A shard that was written again after its run: goes aside, or is scored in place of the old run.",
    ),
]
BadShards = Annotated[
    Literal["move", "stay"],
    option(
        "--bad-shards",
        choices=("move", "stay"),
        panel=WATCHING,
        help="A bad shard goes to --rejected, or stays in the inbox and only its reason goes there.",
    ),
]
RejectedTo = Annotated[
    str | None,
    option(
        "--rejected",
        panel=WATCHING,
        help="Where bad shards go, each with its reason. Default: _rejected in INBOX; of those that stay, in OUT.",
        metavar="DIR",
    ),
]
MoveTo = Annotated[
    str | None,
    option(
        "--move-to", panel=WATCHING, help="Where scored shards go. Default: they stay where they are.", metavar="DIR"
    ),
]
MostBad = Annotated[
    int,
    option(
        "--most-bad",
        panel=WATCHING,
        help="End with 65 after so many bad shards in a row: it may be the model and not the shards.",
        converter=parse.positive_count,
        metavar="N",
    ),
]


@taking(request_of, without=ONE_RUN_ALONE)
def watch(
    context: typer.Context,
    inbox: Inbox,
    output: Output,
    once: Once = False,
    interval: Interval = 5.0,
    settled: Settled = 10.0,
    marker: Marker = None,
    changed: Changed = "refuse",
    bad_shards: BadShards = "move",
    rejected: RejectedTo = None,
    move_to: MoveTo = None,
    most_bad: MostBad = 10,
    prometheus_file: telling_options.PrometheusFile = None,
    openlineage_file: telling_options.OpenlineageFile = None,
    log_file: telling_options.LogFile = None,
    audit_log: telling_options.AuditLog = None,
    config: options.Config = None,  # noqa: ARG001  its callback has read it
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
    **of_run: Any,
) -> int:
    """Score each shard that comes to INBOX once it is completely there, as a run of its own.

    \b
        mlserve watch /srv/inbox -m churn@champion -o /srv/scores
        mlserve watch /srv/inbox -m churn@champion -o /srv/scores --once

    The model is looked up anew for each shard: a promotion needs no restart. Whatever ends it, the next one goes on
    where it was, and no shard is scored twice. With --json there is a line for each shard as well.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    from mlserve_cli import watching
    from mlserve_cli.telling import Tell

    run = request_of(context, inputs=[inbox], output=output, **of_run)
    request = watching.WatchRequest(
        inbox=inbox,
        run=run,
        once=once,
        interval_s=interval,
        settled_s=settled,
        marker=marker,
        changed=changed,
        bad_shards=bad_shards,
        rejected=rejected,
        move_to=move_to,
        most_bad=most_bad,
    )
    return _watch(request, Tell(prometheus_file, openlineage_file, log_file, audit_log))


def _watch(request: WatchRequest, tell: Tell) -> int:
    from mlserve_cli.watching import Tally, watch

    seen = Tally()

    def hear(event: Event) -> None:
        seen.add(event)
        _show(event)

    TERMINAL.goes_on = "start it again: it goes on where it was"
    try:
        tally = watch(request, score=lambda run: _score(run, tell), tell=hear)
    except Interrupted:
        _note(f"ended: {_sums(seen)}")
        raise
    TERMINAL.show_result([f"watched {shown(request.inbox, limit=400)}: {_sums(tally)}"], tally_facts(tally))
    return tally.exit_code


def _score(request: ScoreRequest, tell: Tell) -> RunResult:
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.telling import told

    with watching() as observer:
        return told(request, tell=tell, observer=observer)


def _show(event: Event) -> None:
    """A line for people, and with --json one for machines."""
    from mlserve_cli.watching import Delayed, Rejected, Scored

    match event:
        case Scored():
            _note(_scored_text(event))
            _fact(_scored_facts(event))
        case Rejected():
            _error(f"rejected {_rejected_text(event)}")
            _fact(_rejected_facts(event))
        case Delayed():
            _error(_delayed_text(event), trace=event.error)
            _fact(_delayed_facts(event))
        case _:
            (_error if event.is_wrong else _warn)(event.text)


def _scored_text(event: Scored) -> str:
    from mlserve_cli.cli.progress import duration
    from mlserve_cli.cli.summary import model_name, rows_text

    manifest = event.result.manifest
    code = f", exit code {event.result.exit_code}" if event.result.exit_code else ""
    took = duration(manifest.run.seconds)
    return f"scored {_name(event.shard.text)} by {shown(model_name(manifest))} in {took}: {rows_text(manifest)}{code}"


def _rejected_text(event: Rejected) -> str:
    error = event.reason.error
    where = f" ({error.where})" if error.where else ""
    return f"{_name(event.shard.text)}: {error.what}{where}; {_name(str(event.place))}"


def _delayed_text(event: Delayed) -> str:
    again = "the next watch tries again" if event.wait_s is None else f"tried again in {event.wait_s:.0f} s"
    return f"{_name(event.shard.text)} is not scored yet: {event.error.what}; {again}"


def _scored_facts(event: Scored) -> Facts:
    from mlserve_cli.cli.summary import run_facts

    facts = {name: value for name, value in run_facts(event.result).items() if name != "status"}
    return {"event": "scored", "shard": event.shard.text, **facts}


def _rejected_facts(event: Rejected) -> Facts:
    reason = event.reason
    names = ("type", "what", "where", "hint")
    error = {name: getattr(reason.error, name) for name in names}
    facts = {"exit_code": reason.exit_code, "error": error, "reason": str(event.place), "moved": event.moved}
    return {"event": "rejected", "shard": event.shard.text, **facts}


def _delayed_facts(event: Delayed) -> Facts:
    error = {"type": type(event.error).__name__, "what": event.error.what, "where": event.error.where}
    facts = {"exit_code": event.error.exit_code, "error": error, "wait_s": event.wait_s}
    return {"event": "delayed", "shard": event.shard.text, **facts}


def tally_facts(tally: Tally) -> Facts:
    """All of it for machines."""
    return {
        "status": "complete" if not tally.exit_code else "with trouble",
        "exit_code": tally.exit_code,
        "shards": {
            "scored": tally.scored,
            "already_scored": tally.already,
            "rejected": tally.rejected,
            "delayed": tally.delayed,
            "waiting": tally.waiting,
            "damaged": tally.damaged,
        },
        "rows_in": tally.rows_in,
        "rows_out": tally.rows_out,
        "rows_quarantined": tally.rows_quarantined,
    }


def _sums(tally: Tally) -> str:
    from mlserve_cli.cli.summary import count_text

    told = {
        "scored before": tally.already,
        "rejected": tally.rejected,
        "put off": tally.delayed,
        "not complete yet": tally.waiting,
        "with a damaged run": tally.damaged,
    }
    others = "".join(f", {number:,} {what}" for what, number in told.items() if number)
    rows = f"{tally.rows_in:,} rows in = {tally.rows_out:,} out + {tally.rows_quarantined:,} in quarantine"
    return f"{count_text(tally.scored, 'shard')} scored{others}; {rows}"


def _name(text: str) -> str:
    return shown(text, limit=400)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _note(text: str) -> None:
    if not TERMINAL.quiet:
        TERMINAL.note(f"{_now()} {text}")


def _error(text: str, *, trace: Exception | None = None) -> None:
    """What --quiet leaves; the trace of a bug on request."""
    TERMINAL.note(f"{_now()} {text}")
    if TERMINAL.verbose and trace is not None:
        import traceback

        for line in "".join(traceback.format_exception(trace)).splitlines():
            TERMINAL.note(line)


def _warn(text: str) -> None:
    TERMINAL.warn(f"{_now()} {text}")


def _fact(facts: Facts) -> None:
    TERMINAL.show_event({"time": _now(), **facts})
