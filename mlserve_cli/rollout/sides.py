"""A finished run as one side of a comparison: its model, its rows, and what proves them."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.errors import InputMissing, UsageError, shown
from mlserve_cli.manifest import ChallengerAccount, FoundRun, Manifest, ModelAccount, find_runs
from mlserve_cli.monitoring.labels import Labels
from mlserve_cli.monitoring.run_rows import id_columns, read_rows
from mlserve_cli.planning import PlannedRival
from mlserve_cli.rollout.pairs import Side, written
from mlserve_cli.rollout.values import Subject
from mlserve_cli.tables import text_of


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


def subject_of(account: ModelAccount, runs: Sequence[FoundRun]) -> Subject:
    """The model of these runs."""
    return Subject(
        spelled=spelled(account),
        name=account.name,
        version=account.version,
        digest=account.digest,
        registry=account.registry,
        evidence={called(run): run.manifest.digest for run in runs},
    )


def evidence_of(a: Subject, b: Subject, labels: Labels | None) -> dict[str, str]:
    """The digest of each run and file that the comparison rests on."""
    told = {} if labels is None else {f"labels {name}": digest for name, digest in labels.sources.items()}
    return {**a.evidence, **b.evidence, **told}


def called(run: FoundRun) -> str:
    """A run's place, as text."""
    return text_of(str(run.path))


def challenger_of(manifest: Manifest, wanted: str) -> tuple[PlannedRival, ChallengerAccount]:
    """The run's challenger of that name, or NAME:VERSION; its only one where nothing is wanted.

    Raises InputMissing (66) where there is no such challenger, UsageError (2) where it is not clear which.
    """
    pairs = list(zip(manifest.plan.challengers, manifest.challengers, strict=True))
    known = ", ".join(shown(spelled(account.model)) for _, account in pairs) or "none"
    found = [(rival, account) for rival, account in pairs if is_called(account.model, wanted)]
    if not found:
        raise InputMissing(f"the run has no challenger {shown(wanted)}", "", f"it has {known}")
    if len(found) > 1:
        raise UsageError("the run has several challengers", "", f"--challenger names one of {known}")
    return found[0]


def is_called(model: ModelAccount, wanted: str) -> bool:
    """Whether people mean this model by NAME, NAME:VERSION, or nothing at all."""
    return wanted in ("", model.name, spelled(model), f"{model.name}@{model.alias}")


def spelled(model: ModelAccount) -> str:
    """NAME:VERSION, or the name alone."""
    return f"{model.name}:{model.version}" if model.version else model.name


def cost_ratio(a: Manifest, b: Manifest) -> float | None:
    """B's inference time for a row over A's; None where machine or circumstances differ."""
    if a.environment.cpu != b.environment.cpu or a.run.reused_tasks or b.run.reused_tasks:
        return None
    first, second = (one.throughput.stages.inference_s / max(one.rows.rows_in, 1) for one in (a, b))
    return second / first if first > 0.0 and second > 0.0 else None
