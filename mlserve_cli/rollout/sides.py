"""A finished run as one side of a comparison: its model, its rows, and what proves them."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.errors import UsageError, shown
from mlserve_cli.manifest import FoundRun, Manifest, ModelAccount, find_runs
from mlserve_cli.monitoring.gate import called, spelled
from mlserve_cli.monitoring.run_rows import id_columns, read_rows
from mlserve_cli.planning import PlannedRival
from mlserve_cli.rollout.pairs import Side, written
from mlserve_cli.rollout.values import Subject


def only_run(named: str) -> FoundRun:
    """The one run that is named. UsageError (2) where several stand below it."""
    found = find_runs(named)
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} runs stand below {shown(named, limit=400)}, one is compared with one",
            "",
            f"name one of them, as in {shown(str(found[-1].path), limit=200)}",
        )
    return found[0]


def side_of(run: FoundRun, *, rival: PlannedRival | None = None, others: Sequence[str] = ()) -> Side:
    """The rows as the run's own model scored them, or `rival`, its challenger; with `others`, further columns."""
    contract = run.manifest.plan.contract if rival is None else rival.contract
    ids, scores = id_columns(run.manifest), written(contract)
    columns = tuple(dict.fromkeys((*ids, *scores, *others)))
    table = read_rows(run, columns, challenger="" if rival is None else rival.name)
    return Side(called(run), contract, table.select(ids), table.select(scores), table.select(others))


def subject_of(account: ModelAccount) -> Subject:
    """The model of a run."""
    return Subject(spelled(account), account.name, account.version, account.digest, account.registry)


def aside(runs: Sequence[FoundRun]) -> tuple[str, ...]:
    """Rows that one of the models could not score."""
    return tuple(
        f"{run.manifest.rows.rows_quarantined:,} rows of {spelled(run.manifest.model)} are in quarantine"
        for run in runs
        if run.manifest.rows.rows_quarantined
    )


def is_called(model: ModelAccount, wanted: str) -> bool:
    """Whether people mean this model by NAME, NAME:VERSION, or nothing at all."""
    return wanted in ("", model.name, spelled(model), f"{model.name}@{model.alias}")


def cost_ratio(a: Manifest, b: Manifest) -> float | None:
    """B's inference time for a row over A's; None where machine or circumstances differ."""
    if a.environment.cpu != b.environment.cpu or a.run.reused_tasks or b.run.reused_tasks:
        return None
    first, second = (one.throughput.stages.inference_s / max(one.rows.rows_in, 1) for one in (a, b))
    return second / first if first > 0.0 and second > 0.0 else None
