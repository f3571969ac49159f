"""Quality against labels that came in later: metrics with their intervals, limits, calibration, slices."""

from __future__ import annotations

from dataclasses import dataclass

from mlserve_cli.monitoring.evaluation import Calibration, Evaluation, Figure, RunEvaluation, SliceEvaluation
from mlserve_cli.reporting.blocks import Cell, Column, Row, Table, number, table
from mlserve_cli.reporting.shapes import Tick, round_ticks
from mlserve_cli.reporting.verdict import Finding
from mlserve_cli.reporting.wording import chance, count, figure, listed, share, signed, visible

SLICES_SHOWN = 40
NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f1": "F1",
    "mae": "mean absolute error",
    "rmse": "RMSE",
    "r2": "R²",
    "ece": "calibration error (ECE)",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One bin of the calibration, in hundredths: what was said, what came, and the interval of that."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Scores beside outcomes."""

    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    text: str
    table: Table


@dataclass(frozen=True, slots=True)
class QualityPart:
    """What the page says of quality."""

    intro: str
    metrics: Table
    limits: Table | None
    reliability: Reliability | None
    slices: Table | None
    confusion: Table | None


def quality_of(evaluation: Evaluation, one: RunEvaluation) -> QualityPart:
    """From one run of an evaluation."""
    return QualityPart(
        intro=_intro(evaluation, one),
        metrics=_metrics(evaluation, one),
        limits=_limits(evaluation) if evaluation.limits or evaluation.verdict is not None else None,
        reliability=_reliability(one.calibration) if one.calibration is not None else None,
        slices=_slices(evaluation, one) if one.slices else None,
        confusion=_confusion(one) if one.confusion else None,
    )


def quality_finding(evaluation: Evaluation, one: RunEvaluation) -> Finding:
    """Quality as one line of the verdict."""
    ranked = one.figures.get(evaluation.ranked_by)
    said = f"{metric_name(evaluation.ranked_by)} {with_interval(ranked)}" if ranked is not None else "Quality"
    what = f"{said} on {count(one.labelled)} rows with labels"
    worse = [f"{visible(slice.column)} {visible(slice.value)}" for slice in one.slices if slice.worse]
    told = f"; worse than the rest where {listed(worse, most=3)}" if worse else ""
    failed = failed_in(evaluation)
    if failed:
        return Finding("bad", f"{what}: {failed}{told}.", "quality")
    judged = evaluation.limits or evaluation.verdict is not None
    return Finding("attention" if worse else "good" if judged else "note", f"{what}{told}.", "quality")


def failed_in(evaluation: Evaluation) -> str:
    """What was asked for and does not hold, "" where all does: by the evaluation's own limits, or by a gate's."""
    limits = [
        f"{metric_name(limit.metric)} {limit.bound} {figure(limit.limit)}"
        for limit in evaluation.limits
        if not limit.passed
    ]
    verdict = evaluation.verdict
    if limits or verdict is None or verdict.passed:
        return f"{listed(limits)} was asked for" if limits else ""
    return f"gate {visible(verdict.gate)} said no, since {visible('; '.join(verdict.reasons))}"


def question_of(evaluation: Evaluation) -> str:
    """What was held against what: column late is 1."""
    column = f"column {visible(evaluation.label)}"
    return f"{column} is {visible(evaluation.positive)}" if evaluation.kind == "binary" else column


def _intro(evaluation: Evaluation, one: RunEvaluation) -> str:
    join = one.join
    late = f" as of {visible(evaluation.as_of)}" if evaluation.as_of else ""
    return (
        f"What was scored beside what came: {question_of(evaluation)}{late}. Of {count(join.rows)} rows "
        f"{count(join.matched)} ({share(join.matched, of=join.rows)}) have their label, each matched once; "
        f"{count(join.unlabelled)} wait for theirs. "
        f"Intervals hold the true value in {share(evaluation.confidence)} of cases."
    )


def _metrics(evaluation: Evaluation, one: RunEvaluation) -> Table:
    rows = [
        [
            Cell(
                metric_name(name), note="slices are ranked by it" if name == evaluation.ranked_by and one.slices else ""
            ),
            figure(found.value) if found.value is not None else Cell("–", note=visible(found.reason)),
            interval_text(found),
            visible(found.method) or "–",
        ]
        for name, found in one.figures.items()
    ]
    columns = [Column("metric"), number("value"), number("interval"), Column("how the interval was made")]
    return table("Metrics", columns, rows)


def _limits(evaluation: Evaluation) -> Table:
    rows = [
        [
            Cell(metric_name(limit.metric), mark="good" if limit.passed else "bad"),
            f"{limit.bound} {figure(limit.limit)}",
            figure(limit.found.value),
            "holds" if limit.passed else "does not hold",
        ]
        for limit in evaluation.limits
    ]
    if (verdict := evaluation.verdict) is not None:
        gate = Cell(f"gate {visible(verdict.gate)}", mark="good" if verdict.passed else "bad")
        rows.append([gate, "–", "–", "passed" if verdict.passed else visible("; ".join(verdict.reasons))])
    return table("Limits", [Column("metric"), Column("asked for"), number("found"), Column("verdict")], rows)


def _reliability(found: Calibration) -> Reliability:
    ends = [edge for each in found.bins for edge in (each.low, each.high, each.observed.low, each.observed.high)]
    known = [value for value in ends if value is not None] or [0.0, 1.0]
    low, high = (0.0, 1.0) if min(known) >= 0 and max(known) <= 1 else (min(known), max(known))
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    points = tuple(
        Point(at(each.mean_score), at(value), *(at(value if end is None else end) for end in (came.low, came.high)))
        for each in found.bins
        if (value := (came := each.observed).value) is not None
    )
    rows: list[Row] = [
        [
            figure(each.mean_score),
            Cell(figure(each.observed.value), note=interval_text(each.observed)),
            count(each.rows),
        ]
        for each in found.bins
    ]
    text = (
        f"Scores and outcomes differ by {figure(found.ece, digits=3)} on average (ECE); a perfect model of so many "
        f"rows would show about {figure(found.ece_by_chance, digits=3)}. Slope {with_interval(found.slope)}, "
        "1 where calibrated."
    )
    columns = [number("mean score"), number("what came"), number("rows")]
    return Reliability(points, round_ticks(low, high), text, table("Calibration", columns, rows))


def _slices(evaluation: Evaluation, one: RunEvaluation) -> Table:
    metric = evaluation.ranked_by
    rows = [_slice(each, metric) for each in one.slices]
    columns = [
        Column("slice"),
        number("rows with label"),
        number(metric_name(metric)),
        number("less all rows"),
        number("p"),
    ]
    return table("Slices, in the order of the evaluation", columns, rows, most=SLICES_SHOWN, where="the evaluation")


def _slice(each: SliceEvaluation, metric: str) -> Row:
    found = each.figures.get(metric)
    return [
        Cell(
            f"{visible(each.column)} {visible(each.value)}",
            note="worse than the rest" if each.worse else "",
            mark="bad" if each.worse else None,
        ),
        count(each.labelled),
        Cell(figure(found.value if found else None), note=interval_text(found) if found else ""),
        "–" if each.difference.value is None else signed(each.difference.value),
        "–" if each.p_value is None else chance(each.p_value),
    ]


def _confusion(one: RunEvaluation) -> Table:
    columns = [Column("what came"), *(number(f"predicted {visible(name)}") for name in one.classes)]
    rows = [[visible(name), *map(count, seen)] for name, seen in zip(one.classes, one.confusion, strict=True)]
    return table("Predictions beside what came, in rows", columns, rows)


def metric_name(metric: str) -> str:
    """A metric as the page calls it."""
    return NAMES.get(metric, visible(metric.replace("_", " ")))


def interval_text(found: Figure) -> str:
    """0.712 to 0.783; a dash where there is none."""
    return "–" if found.low is None or found.high is None else f"{figure(found.low)} to {figure(found.high)}"


def with_interval(found: Figure) -> str:
    """0.749 (0.712 to 0.783)."""
    interval = interval_text(found)
    return figure(found.value) + (f" ({interval})" if interval != "–" else "")
