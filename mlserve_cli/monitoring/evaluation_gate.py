"""What a gate says of an evaluation: a verdict on the version that made the scores, by labels and beside no other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mlserve_cli.manifest import FoundRun
from mlserve_cli.monitoring.evaluation import Evaluation, Limit, RunEvaluation
from mlserve_cli.monitoring.gate import GateRequest, evidence_of, only_version, record
from mlserve_cli.monitoring.labels import Labels
from mlserve_cli.monitoring.limits import Judge, figures_of
from mlserve_cli.registry import Gate


def judged(
    found: Evaluation, gate: Gate, asked: GateRequest, *, runs: Sequence[FoundRun], labels: Labels, judge: Judge
) -> Evaluation:
    """The evaluation with the gate's verdict on `runs`, recorded in their version's history where that is wanted.

    The evaluation's own limits are limits of the gate too.
    """
    one = found.overall or found.runs[-1]
    limited = limited_by(gate, found.limits, judge=judge)
    verdict = limited.judge(gate_figures(found, one), by="evaluate", rows=one.labelled)
    verdict = msgspec.structs.replace(verdict, evidence=evidence_of(runs, labels))
    recorded = record(verdict, asked, version=only_version(runs)) if asked.record else ""
    return msgspec.structs.replace(found, passed=found.passed and verdict.passed, verdict=verdict, recorded=recorded)


def gate_figures(found: Evaluation, one: RunEvaluation) -> dict[str, float]:
    """Every figure that a gate can name: METRIC, with the ends of its interval as METRIC_low and METRIC_high."""
    named: dict[str, float | None] = {"rows": one.join.rows, "labelled_rows": one.labelled}
    named |= {"steady_p_value": found.steady_p_value, "worse_slices": sum(part.worse for part in one.slices)}
    for name, figure in figures_of(one):
        named |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return {name: float(value) for name, value in named.items() if value is not None}


def limited_by(gate: Gate, limits: Sequence[Limit], *, judge: Judge) -> Gate:
    """With these limits too: on the end of the interval that may still reach them, where that is enough."""
    least, most = {}, {}
    for one in limits:
        reaches = judge == "interval" and one.found.low is not None
        if one.bound == "at least":
            least[f"{one.metric}_high" if reaches else one.metric] = one.limit
        else:
            most[f"{one.metric}_low" if reaches else one.metric] = one.limit
    return gate.tightened(least=least, most=most)
