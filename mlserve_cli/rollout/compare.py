"""`mlserve compare`: two runs, two models on one input, a champion and its challenger, or the arms of a split."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from mlserve_cli.errors import UsageError, shown
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.monitoring.gate import evidence_of, gate_of
from mlserve_cli.rollout.arms import compare_arms
from mlserve_cli.rollout.gate import judged
from mlserve_cli.rollout.paired import compare_pairs, ids_for, labels_for
from mlserve_cli.rollout.request import CompareRequest
from mlserve_cli.rollout.shadow import compare_challenger
from mlserve_cli.rollout.sides import aside, cost_ratio, only_run, side_of, subject_of
from mlserve_cli.rollout.values import Compared, Comparison, Kind
from mlserve_cli.scoring import SILENT, Observer, ScoreRequest
from mlserve_cli.scoring.score_run import score_as


def compare(request: CompareRequest, *, observer: Observer = SILENT) -> Compared:
    """Compare, judge where a gate is named, and record what it said where that is wanted.

    The verdict of a gate that said no stands in the result, whose `exit_code` is 4 then; nothing is raised for it.
    """
    gate = gate_of(request.gate)
    if request.scoring is not None:
        found = Compared((_models(request, request.scoring, observer=observer),))
    elif request.b:
        found = Compared((_runs(request, only_run(request.a), only_run(request.b), kind="runs"),))
    else:
        found = _one_subject(request)
    return found if gate is None else judged(found, gate, request.gate)


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
    """Runs that have both models in them, as the last of them has: beside each other, or each with rows of its own."""
    runs = [run for run in find_runs(request.a) if run.manifest.split is not None or run.manifest.challengers]
    if not runs:
        raise UsageError(
            f"{shown(request.a, limit=400)} has neither a challenger nor a split in it",
            "",
            "name a second run, or two models and an --input",
        )
    if runs[-1].manifest.split is None:
        return Compared((compare_challenger(request, [run for run in runs if run.manifest.challengers]),))
    return Compared(compare_arms(request, [run for run in runs if run.manifest.split is not None]))


def _runs(request: CompareRequest, a: FoundRun, b: FoundRun, *, kind: Kind) -> Comparison:
    labels = labels_for(request, a)
    return compare_pairs(
        request,
        kind,
        (subject_of(a.manifest.model), subject_of(b.manifest.model)),
        [(side_of(a, others=ids_for(labels)), side_of(b))],
        labels=labels,
        ratio=cost_ratio(a.manifest, b.manifest),
        evidence=evidence_of((a, b), labels),
        notes=aside((a, b)),
    )
