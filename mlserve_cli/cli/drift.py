"""`mlserve drift`: how far rows have moved from those that a model was trained on, once or run after run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlserve_cli.cli import drift_options, gate_options, options, profile
from mlserve_cli.cli.command import option, taking
from mlserve_cli.cli.score import request_of
from mlserve_cli.cli.terminal import STREAM, TERMINAL
from mlserve_cli.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from mlserve_cli.monitoring.gate import GateRequest
    from mlserve_cli.scoring import ScoreRequest

OVER_TIME = "Over time"
WHAT = "a profile.json, a run, a package or a model of the registry with its baseline, or data."
OF_NO_RUN = tuple({*profile.OF_AN_OUTPUT, "drift_profile", "fail_on_drift"} - {"drift_thresholds"})


@taking(request_of, without=OF_NO_RUN)
def drift(
    context: typer.Context,
    base: Annotated[
        str | None, typer.Argument(metavar="BASE", help=f"What it should look like: {WHAT}", show_default=False)
    ] = None,
    now: Annotated[
        str | None, typer.Argument(metavar="NOW", help=f"What it looks like: {WHAT}", show_default=False)
    ] = None,
    history: Annotated[
        str | None,
        option(
            "--history",
            panel=OVER_TIME,
            metavar="RUNS",
            help="In place of NOW every run below this folder, in the order of their start; BASE may be left out then.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        option(
            "--column",
            panel=OVER_TIME,
            metavar="C",
            help="Follow this column over the runs; may be given several times. Default: what moved most.",
        ),
    ] = None,
    model: profile.Model = None,
    drift_thresholds: drift_options.DriftThresholds = None,
    gates: gate_options.Gates = None,
    gate: gate_options.Gate = "",
    record: gate_options.Record = False,
    registry: options.Registry = None,
    why: gate_options.Why = "",
    by: gate_options.By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
    **of_run: Any,
) -> int:
    """Hold rows against others, column by column: PSI, Jensen-Shannon, Kolmogorov-Smirnov, nulls, ranges, categories.

    \b
        mlserve drift churn@champion runs/2026-11-23
        mlserve drift training.json runs/2026-11-23 --drift-thresholds drift.toml
        mlserve drift train/ tomorrow.parquet --model churn@champion
        mlserve drift churn@champion --history runs/ --column age
        mlserve drift churn@champion runs/2026-11-23 --gate skew --record

    Ends with 4 where a column has drifted: where it is over its limit, and by more than chance does between so many
    rows and so many columns. With --history always with 0: there is nothing to stop. Data is profiled first; with a
    model as that takes and scores it, by the options that `mlserve score` has. Without a file --gate passes where no
    column has drifted; --record needs NOW to be a run.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    asked = gate_options.gate_request(gates, gate, record=record, registry=registry, why=why, by=by)
    if history is not None:
        _refuse_gate(asked)
        return _history(history, base, now, column or [], thresholds=drift_thresholds, registry=registry)
    if base is None or now is None:
        raise UsageError("name BASE and NOW, or --history RUNS", "", "see mlserve drift --help")
    if column:
        raise UsageError("--column follows a column over runs", "--column", "name the runs with --history")
    scored = {"registry": registry, **of_run}
    request = request_of(context, model=model, inputs=[], output=STREAM, **scored) if model is not None else None
    return _two(base, now, asked, request=request, thresholds=drift_thresholds, registry=registry, of_run=of_run)


def _two(
    base: str,
    now: str,
    asked: GateRequest,
    *,
    request: ScoreRequest | None,
    thresholds: str | None,
    registry: str | None,
    of_run: dict[str, Any],
) -> int:
    from mlserve_cli.cli.drift_looks import drift_facts, drift_lines
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.monitoring.drift import drift as compared
    from mlserve_cli.monitoring.drift_gate import drift_gate

    gate = drift_gate(now, asked)
    with watching() as observer:
        found = compared(
            base,
            now,
            thresholds=thresholds,
            registry=registry,
            request=request,
            dialect=profile.dialect_of(of_run),
            input_format=of_run["input_format"],
            observer=observer,
        )
    judged = gate.judge(found) if gate is not None else None
    TERMINAL.show_result(drift_lines(found, judged), drift_facts(found, judged, whole=TERMINAL.json))
    passed = judged.verdict.passed if judged is not None else found.passed
    return 0 if passed else GateFailed.exit_code


def _refuse_gate(asked: GateRequest) -> None:
    if asked.gate or asked.record:
        raise UsageError("a gate judges one run, and --history shows many", "--gate", "name BASE and NOW")


def _history(
    runs: str, base: str | None, now: str | None, columns: list[str], *, thresholds: str | None, registry: str | None
) -> int:
    from mlserve_cli.cli.drift_history import history_facts, history_lines
    from mlserve_cli.monitoring.drift import drift_history

    if now is not None:
        raise UsageError("--history stands in place of NOW", f"{now!r}", "name BASE alone, or neither")
    found = drift_history(runs, base=base, columns=columns, thresholds=thresholds, registry=registry)
    TERMINAL.show_result(history_lines(found, columns), history_facts(found, columns))
    return 0
