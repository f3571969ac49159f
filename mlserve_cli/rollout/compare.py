"""`mlserve compare`: two runs, two models on one input, a champion and its challenger, or the arms of a split."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from mlserve_cli.contract import Contract
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.monitoring.labels import Labels, read_labels
from mlserve_cli.monitoring.metrics import libraries
from mlserve_cli.monitoring.run_rows import id_columns
from mlserve_cli.rollout.arms import compare_arms
from mlserve_cli.rollout.gate import gate_of, judged
from mlserve_cli.rollout.intervals import CONFIDENCE, EXPECTED_ROWS, Groups, Sureness
from mlserve_cli.rollout.pairs import Pairs, Side, likes, pair, units_of
from mlserve_cli.rollout.quality import Asked, labelled_side, no_label_fits, on_the_same_rows, places_of_labels
from mlserve_cli.rollout.shift import compare_columns, compare_decisions, joined, moved_most
from mlserve_cli.rollout.sides import challenger_of, cost_ratio, evidence_of, only_run, side_of, spelled, subject_of
from mlserve_cli.rollout.values import Compared, Comparison, Labelled, Subject
from mlserve_cli.scoring import SILENT, Observer, ScoreRequest
from mlserve_cli.scoring.score_run import score_as
from mlserve_cli.tables import Dialect

Kind = Literal["runs", "models", "challenger"]
MOST_MOVED = 5
AS_IT_IS = Asked()


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What is compared. `a` and `b` are runs, or with `scoring` (a run's request, whose model is left open) models.

    Without `b`, `a` is a run or a folder of runs with a challenger or a split, and `challenger` says which of several.
    `labels` are files with what came, joined by `on` (the run's column to the file's). `confidence` and `expected_rows`
    belong to the question, not to the answer: they stay the same from look to look.
    """

    a: str
    b: str = ""
    scoring: ScoreRequest | None = None
    challenger: str = ""
    labels: tuple[str, ...] = ()
    on: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    label_time: str | None = None
    asked: Asked = AS_IT_IS
    dialect: Dialect = Dialect()
    confidence: float = CONFIDENCE
    expected_rows: int = EXPECTED_ROWS
    moved: int = MOST_MOVED
    gates: str | None = None
    gate: str = ""
    record: bool = False
    registry: str | None = None
    why: str = ""
    by: str = ""

    @property
    def sure(self) -> Sureness:
        """How sure is wanted."""
        return Sureness(self.confidence, self.expected_rows)


def compare(request: CompareRequest, *, observer: Observer = SILENT) -> Compared:
    """Compare, judge where a gate is named, and record what it said where that is wanted.

    The verdict of a gate that said no stands in the result, whose `exit_code` is 4 then; nothing is raised for it.
    """
    gate = gate_of(request.gates, request.gate, record=request.record)
    if request.scoring is not None:
        found = Compared((_models(request, request.scoring, observer=observer),))
    elif request.b:
        found = Compared((_runs(request, only_run(request.a), only_run(request.b), kind="runs"),))
    else:
        found = _one_subject(request)
    if gate is None:
        return found
    return judged(found, gate, record=request.record, registry=request.registry, why=request.why, by=request.by)


def _models(request: CompareRequest, scoring: ScoreRequest, *, observer: Observer) -> Comparison:
    """Both models over the same input, each as a run at a place that goes again."""
    if not request.b:
        raise UsageError("two models are compared", "", "name the other one, too")
    with tempfile.TemporaryDirectory(prefix="mlserve-compare-") as folder:
        runs = []
        for which, model in (("a", request.a), ("b", request.b)):
            place = str(Path(folder) / which)
            score_as(replace(scoring, model=model, output=place), observer=observer, told="mlserve compare")
            runs.append(only_run(place))
        return _runs(request, runs[0], runs[1], kind="models")


def _one_subject(request: CompareRequest) -> Compared:
    """Runs that have both models in them."""
    runs = find_runs(request.a)
    split = [run for run in runs if run.manifest.split is not None]
    if split:
        found = compare_arms(
            split, wanted=request.challenger, labels=_labels(request, split[0]), asked=request.asked, sure=request.sure
        )
        return Compared(found)
    beside = [run for run in runs if run.manifest.challengers]
    if beside:
        return Compared((_challenger(request, beside),))
    raise UsageError(
        f"{shown(request.a, limit=400)} has neither a challenger nor a split in it",
        "",
        "name a second run, or two models and an --input",
    )


def _runs(request: CompareRequest, a: FoundRun, b: FoundRun, *, kind: Kind) -> Comparison:
    labels = _labels(request, a)
    on = _of_run(labels)
    ours, theirs = side_of(a, others=on), side_of(b)
    subjects = subject_of(a.manifest.model, [a]), subject_of(b.manifest.model, [b])
    ratio = cost_ratio(a.manifest, b.manifest)
    return _paired(request, kind, subjects, [(ours, theirs)], labels=labels, ratio=ratio, notes=_aside((a, b)))


def _challenger(request: CompareRequest, runs: Sequence[FoundRun]) -> Comparison:
    """The champion's rows beside those of its challenger, over all runs that have both."""
    labels = _labels(request, runs[0])
    on = _of_run(labels)
    found = [challenger_of(run.manifest, request.challenger) for run in runs]
    accounts = [account for _, account in found]
    models = [(run.manifest.model.digest, one.model.digest) for run, one in zip(runs, accounts, strict=True)]
    _refuse_changes(runs, models)
    subjects = subject_of(runs[0].manifest.model, runs), subject_of(accounts[0].model, runs)
    sides = [(side_of(run, others=on), side_of(run, rival=rival)) for run, (rival, _) in zip(runs, found, strict=True)]
    ratios = [one.cost_ratio for one in accounts if one.cost_ratio is not None]
    failed = tuple(f"the challenger failed: {shown(one.error, limit=200)}" for one in accounts if one.error)
    ratio = float(np.median(ratios)) if ratios else None
    return _paired(request, "challenger", subjects, sides, labels=labels, ratio=ratio, notes=failed)


def _paired(
    request: CompareRequest,
    kind: Kind,
    subjects: tuple[Subject, Subject],
    sides: Sequence[tuple[Side, Side]],
    *,
    labels: Labels | None,
    ratio: float | None,
    notes: tuple[str, ...],
) -> Comparison:
    """All figures of two models over the same rows. Rows of one id in several runs belong together."""
    pairs = [pair(ours, theirs) for ours, theirs in sides]
    contracts = sides[0][0].contract, sides[0][1].contract
    alike = likes(*contracts)
    a, b = (joined([getattr(one, which) for one in pairs]) for which in ("a", "b"))
    groups = units_of([one.ids for one in pairs]) if len(pairs) > 1 else None
    ids = joined([one.ids for one in pairs])
    return Comparison(
        kind=kind,
        a=subjects[0],
        b=subjects[1],
        runs=len(pairs),
        rows=a.num_rows,
        only_a=sum(one.only_a for one in pairs),
        only_b=sum(one.only_b for one in pairs),
        confidence=request.confidence,
        expected_rows=request.expected_rows,
        columns=compare_columns(a, b, alike, sure=request.sure, groups=groups),
        decisions=compare_decisions(a, b, alike, sure=request.sure),
        moved=moved_most(ids, a, b, alike, most=request.moved),
        arms=None,
        labelled=None if labels is None else _labelled(request, pairs, a, b, contracts, labels=labels, groups=groups),
        cost_ratio=ratio,
        evidence=evidence_of(*subjects, labels),
        notes=notes,
    )


def _labelled(
    request: CompareRequest,
    pairs: Sequence[Pairs],
    a: pa.Table,
    b: pa.Table,
    contracts: tuple[Contract, Contract],
    *,
    labels: Labels,
    groups: Groups | None,
) -> Labelled | None:
    """Each run's rows find their labels by themselves, so that one label may belong to a row of each."""
    found = [places_of_labels(one.others, labels, asked=request.asked) for one in pairs]
    places = np.concatenate(found)
    chosen = np.flatnonzero(places >= 0)
    if not len(chosen):
        raise no_label_fits(pairs[0].others, labels)
    values, taken = labels.values.take(pa.array(places[chosen])), pa.array(chosen)
    sides = [
        labelled_side(contract, rows.take(taken), values, asked=request.asked)
        for contract, rows in zip(contracts, (a, b), strict=True)
    ]
    units = None if groups is None else groups[chosen]
    return on_the_same_rows(*sides, label=labels.column, groups=units, sure=request.sure)


def _labels(request: CompareRequest, run: FoundRun) -> Labels | None:
    """The files of labels, by the columns that identify the run's rows."""
    if not request.labels:
        return None
    with libraries():
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    if request.asked.as_of is not None and request.label_time is None:
        raise UsageError("--as-of needs to know when a label became known", "--as-of", "name the column: --label-time")
    on = dict(request.on) or {name: name for name in id_columns(run.manifest)}
    return read_labels(
        request.labels,
        on=on,
        column=request.label,
        time=request.label_time,
        dialect=request.dialect,
    )


def _of_run(labels: Labels | None) -> tuple[str, ...]:
    return () if labels is None else tuple(labels.ids.column_names)


def _aside(runs: Sequence[FoundRun]) -> tuple[str, ...]:
    """Rows that one of the models could not score."""
    return tuple(
        f"{run.manifest.rows.rows_quarantined:,} rows of {spelled(run.manifest.model)} are in quarantine"
        for run in runs
        if run.manifest.rows.rows_quarantined
    )


def _refuse_changes(runs: Sequence[FoundRun], models: Sequence[tuple[str, str]]) -> None:
    """Runs of several pairs of models are several comparisons."""
    other = next((run for run, model in zip(runs, models, strict=True) if model != models[0]), None)
    if other is not None:
        raise UsageError(
            "these runs are not all of the same two models",
            f"{shown(str(runs[0].path), limit=200)} and {shown(str(other.path), limit=200)}",
            "name a folder with the runs of one comparison",
        )
