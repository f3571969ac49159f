"""What `evaluate` shows: tables of figures with their intervals for people, the figures as one line of JSON."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli.gate_looks import verdict_error, verdict_lines
from mlserve_cli.cli.summary import count_text
from mlserve_cli.errors import shown
from mlserve_cli.monitoring.evaluation import Calibration, Evaluation, Figure, Limit, RunEvaluation, SliceEvaluation

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts

WIDTH = 80
SLICES_SHOWN = 15
FAR_APART = 0.05  # of the mean scores of rows with and without a label, before a person should know


def evaluated_lines(found: Evaluation) -> list[str]:
    """Lines for people."""
    judged = found.overall or found.runs[-1]
    many = len(found.runs) > 1
    lines = [_head(found, judged), *_labels(judged)]
    if many:
        lines += ["", *_over_time(found)]
    if found.overall is not None or not many:
        lines += ["", *_figures(judged, confidence=found.confidence), *_calibration(judged.calibration)]
        lines += _slices(judged.slices, ranked_by=found.ranked_by)
    else:
        lines.append(
            "  note      a label belongs to rows of several runs: there are no figures of all of them together"
        )
    notes = [f"  no labels {shown(path, limit=400)}" for path in found.without_labels]
    limits = [_limit_line(limit, found.judged) for limit in found.limits]
    return [*lines, *notes, *limits, *verdict_lines(found.verdict, recorded=found.recorded)]


def evaluated_facts(found: Evaluation) -> Facts:
    """The main figures for machines; all of them stand in --output."""
    judged = found.overall or found.runs[-1]
    facts: dict[str, object] = {
        "status": "complete" if found.passed else "failed",
        "exit_code": 0 if found.passed else 4,
        "kind": found.kind,
        "runs": len(found.runs),
        "without_labels": list(found.without_labels),
        "judged": found.judged,
        "rows": judged.join.rows,
        "labelled": judged.labelled,
        "join": msgspec.to_builtins(judged.join),
        "mean_score": judged.mean_score,
        "mean_label": judged.mean_label,
        "figures": msgspec.to_builtins(judged.figures),
        "ece": judged.calibration.ece if judged.calibration is not None else None,
        "worse_slices": [f"{one.column}={one.value}" for one in judged.slices if one.worse],
        "steady_p_value": found.steady_p_value,
        "limits": msgspec.to_builtins(found.limits),
        "verdict": msgspec.to_builtins(found.verdict),
        "recorded": found.recorded,
    }
    broken = [limit for limit in found.limits if not limit.passed]
    if broken:
        what = "; ".join(_limit_text(limit) for limit in broken)
        hint = "look at the slices: --by COLUMN"
        facts["error"] = {"type": "GateFailed", "what": what, "where": found.judged, "hint": hint}
    elif found.verdict is not None and not found.verdict.passed:
        facts["error"] = verdict_error(found.verdict)
    return facts


def _head(found: Evaluation, judged: RunEvaluation) -> str:
    share = judged.labelled / judged.join.rows if judged.join.rows else 0.0
    runs = f" of {count_text(len(found.runs), 'run')}" if len(found.runs) > 1 else ""
    return f"evaluated: {judged.labelled:,} of {judged.join.rows:,} rows{runs} have a label ({share:.1%})"


def _labels(judged: RunEvaluation) -> Iterator[str]:
    join = judged.join
    told = {
        "not known yet": join.labels_without_value,
        "after --as-of": join.labels_too_late,
        "without an id": join.labels_without_id,
        "said again": join.labels_repeated,
        "of no row here": join.labels_elsewhere,
    }
    rest = "".join(f" + {number:,} {what}" for what, number in told.items() if number)
    yield f"  model     {shown(judged.model)}, {judged.model_digest[:19]}"
    yield f"  labels    {join.label_rows:,} = {join.matched:,} of a row each{rest}"
    if judged.rows_without_score:
        yield f"  note      {count_text(judged.rows_without_score, 'row')} whose score is no number, not judged"
    yield from _means(judged)


def _means(judged: RunEvaluation) -> Iterator[str]:
    if judged.mean_score is None or judged.mean_label is None:
        return
    yield f"  means     score {judged.mean_score:.4g}, label {judged.mean_label:.4g}"
    rest = judged.mean_score_unlabelled
    if rest is not None and abs(rest - judged.mean_score) > FAR_APART * max(1.0, abs(judged.mean_score)):
        yield f"  note      rows without a label score {rest:.4g} on average, unlike those with one"


def _over_time(found: Evaluation) -> list[str]:
    shown_metrics = _columns_of(found)
    rows = [
        (
            run.started_at[:10],
            shown(run.path.rpartition("/")[2], limit=20),
            f"{run.labelled:,}",
            _number(run.mean_label),
            _number(run.mean_score),
            _with_interval(run.figures.get(shown_metrics[0])),
            *(_value(run.figures.get(name)) for name in shown_metrics[1:]),
        )
        for run in found.runs
    ]
    lines = _table(("started", "run", "rows", "label", "score", *shown_metrics), rows, left=2)
    if found.steady_p_value is not None:
        lines.append(
            f"  steady    {_chance(found.steady_p_value)} that {found.ranked_by} differs so much by chance alone"
        )
    return lines


def _columns_of(found: Evaluation) -> tuple[str, ...]:
    beside = {"binary": "log_loss", "multiclass": "log_loss", "regression": "bias"}[found.kind]
    return (found.ranked_by, *([beside] if beside in found.runs[-1].figures and beside != found.ranked_by else []))


def _figures(judged: RunEvaluation, *, confidence: float) -> list[str]:
    head = ("", "value", f"{confidence:.0%} interval".replace(".0%", "%"))
    rows = [
        (name, _number(figure.value), _interval(figure) or figure.reason) for name, figure in judged.figures.items()
    ]
    return _table(head, rows, left=1)


def _calibration(found: Calibration | None) -> list[str]:
    if found is None:
        return []
    rows = [
        (
            f"{one.low:.3g} to {one.high:.3g}",
            f"{one.rows:,}",
            _number(one.mean_score),
            _number(one.observed.value),
            _interval(one.observed),
        )
        for one in found.bins
    ]
    return [
        "",
        *_table(("scores", "rows", "mean score", "observed", "interval"), rows, left=1),
        f"  off by    {found.ece:.4g} on average; by chance alone {found.ece_by_chance:.4g}",
        f"  slope     {_with_interval(found.slope)}, 1 is right",
        f"  intercept {_with_interval(found.intercept)}, 0 is right",
    ]


def _slices(slices: Sequence[SliceEvaluation], *, ranked_by: str) -> list[str]:
    if not slices:
        return []
    rows = [
        (
            shown(f"{one.column}={one.value}", limit=30),
            f"{one.rows:,}",
            f"{one.labelled:,}",
            _number(one.mean_label),
            _number(one.mean_score),
            _with_interval(one.figures.get(ranked_by)),
            "worse" if one.worse else "",
        )
        for one in slices[:SLICES_SHOWN]
    ]
    more = len(slices) - SLICES_SHOWN
    return [
        "",
        *_table(("slice", "rows", "labelled", "label", "score", ranked_by, ""), rows, left=1),
        *([f"  … and {more:,} more, in --output"] if more > 0 else []),
    ]


def _limit_line(limit: Limit, judged: str) -> str:
    return f"  {'holds' if limit.passed else 'FAILS':<9} {_limit_text(limit)} ({shown(judged, limit=400)})"


def _limit_text(limit: Limit) -> str:
    found = _with_interval(limit.found) if limit.found.value is not None else f"cannot be said, {limit.found.reason}"
    return f"{limit.metric} {found}, {limit.bound} {limit.limit:g}"


def _with_interval(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "-"
    return f"{_number(figure.value)} ({_interval(figure)})" if figure.low is not None else _number(figure.value)


def _value(figure: Figure | None) -> str:
    return _number(None if figure is None else figure.value)


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f"{_number(figure.low)} to {_number(figure.high)}"


def _number(value: float | None) -> str:
    """Three figures after the point of what is about 1; large ones with fewer."""
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _chance(value: float) -> str:
    return "less than 0.001" if value < 0.001 else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """`left` columns of text, the rest numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    page = io.StringIO()
    Console(file=page, width=200, color_system=None, force_terminal=False).print(table)
    return [f"  {line.rstrip()}" for line in page.getvalue().splitlines() if line.strip()]
