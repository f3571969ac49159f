"""Quality over many runs, as far as their labels have come in: metrics with their intervals, one place for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlserve_cli.errors import UsageError
from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.monitoring.evaluation import Figure
from mlserve_cli.monitoring.metrics import RANKABLE
from mlserve_cli.reporting.blocks import Cell, Column, Row, Table, number, table
from mlserve_cli.reporting.evaluations import Judged
from mlserve_cli.reporting.labels import RUNS_SHOWN, places_of, run_cell
from mlserve_cli.reporting.quality import failed_in, interval_text, metric_name, question_of, with_interval
from mlserve_cli.reporting.trend import Trend, trend
from mlserve_cli.reporting.verdict import Finding
from mlserve_cli.reporting.wording import chance, count, figure, listed, share

METRICS_DRAWN = 4


@dataclass(frozen=True, slots=True)
class QualityTrend:
    """What the page says of a model's quality over time, and the line of it in the verdict."""

    intro: str
    trends: tuple[Trend, ...]
    table: Table
    finding: Finding


def quality_trend(
    runs: Sequence[FoundRun], judged: Mapping[str, Judged], *, section: str, name: str = ""
) -> QualityTrend | None:
    """Of one model's runs, in the order of their start; None where no evaluation is of any. `name` tells several apart.

    Raises UsageError (2) where the evaluations ask different things of them: one line would mix two questions.
    """
    each = [judged.get(run.manifest.run.id) for run in runs]
    known = [one for one in each if one is not None]
    if not known:
        return None
    questions = {question_of(one.evaluation): None for one in known}
    if len(questions) > 1:
        asked = listed(list(questions), most=3)
        raise UsageError(f"the evaluations ask different things: {asked}", "--evaluation", "name those of one question")
    metrics = _metrics(known[-1])
    return QualityTrend(
        intro=_intro(runs, known),
        trends=tuple(_trend(metric, runs, each) for metric in metrics),
        table=_table(metrics, runs, each),
        finding=_finding(known, name=name, section=section),
    )


def _metrics(last: Judged) -> list[str]:
    """What runs are ranked by, then what else they could be, the usual first."""
    ranked = (last.evaluation.ranked_by, *RANKABLE[last.evaluation.kind])
    return list(dict.fromkeys(metric for metric in ranked if metric in last.run.figures))[:METRICS_DRAWN]


def _intro(runs: Sequence[FoundRun], known: Sequence[Judged]) -> str:
    last = known[-1].evaluation
    rows, labelled = sum(one.run.join.rows for one in known), sum(one.run.labelled for one in known)
    told = (
        f"What was scored beside what came: {question_of(last)}. {count(len(known))} of {count(len(runs), 'run')} "
        f"{'has' if len(known) == 1 else 'have'} labels, {count(labelled)} for {count(rows)} rows "
        f"({share(labelled, of=rows)})."
    )
    if {one.evaluation.confidence for one in known} == {last.confidence}:
        told += f" Intervals hold the true value in {share(last.confidence)} of cases."
    if last.steady_p_value is not None and all(one.evaluation is last for one in known):
        p_value = chance(last.steady_p_value)
        told += f" That {metric_name(last.ranked_by)} differs so much from run to run by chance alone: p {p_value}."
    return told


def _trend(metric: str, runs: Sequence[FoundRun], each: Sequence[Judged | None]) -> Trend:
    found = [_figure(metric, one) for one in each]
    values = [one.value for one in found]
    known = [value for value in values if value is not None]
    said = f"{figure(min(known))} to {figure(max(known))}, last {figure(known[-1])}" if known else "not known"
    name = metric_name(metric)
    return trend(
        f"{name[0].upper()}{name[1:]}, and its interval",
        values,
        at=places_of(runs),
        text=f"{name}: {said}.",
        band=[None if one.low is None or one.high is None else (one.low, one.high) for one in found],
    )


def _table(metrics: Sequence[str], runs: Sequence[FoundRun], each: Sequence[Judged | None]) -> Table:
    columns = [Column("run"), number("rows with label"), number("label"), number("score")]
    columns += [number(metric_name(metric)) for metric in metrics]
    rows: list[Row] = [
        [
            run_cell(run),
            Cell(count(one.run.labelled), note=share(one.run.labelled, of=one.run.join.rows)),
            figure(one.run.mean_label),
            figure(one.run.mean_score),
            *(Cell(figure(found.value), note=interval_text(found)) for found in (_figure(m, one) for m in metrics)),
        ]
        for run, one in zip(runs, each, strict=True)
        if one is not None
    ]
    return table("Quality by run; label and score are means", columns, rows[::-1], most=RUNS_SHOWN)


def _finding(known: Sequence[Judged], *, name: str, section: str) -> Finding:
    """The last run that has labels, and between what the figure lay in all of them; under the model's name, if any."""
    last = known[-1]
    metric = last.evaluation.ranked_by
    values = [value for one in known if (value := _figure(metric, one).value) is not None]
    what = f"{metric_name(metric)} {with_interval(_figure(metric, last))} on {count(last.run.labelled)} rows"
    if len(known) > 1 and values:
        over_all = f"{figure(min(values))} to {figure(max(values))}"
        what = f"the last of {len(known)} runs with labels has {what}, all of them {over_all}"
    what = f"{name}: {what}" if name else what[0].upper() + what[1:]
    failed = failed_in(last.evaluation)
    if failed:
        return Finding("bad", f"{what}: {failed}.", section)
    judged = last.evaluation.limits or last.evaluation.verdict is not None
    return Finding("good" if judged else "note", f"{what}.", section)


def _figure(metric: str, one: Judged | None) -> Figure:
    return Figure(None) if one is None else one.run.figures.get(metric, Figure(None))
