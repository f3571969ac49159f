"""Who is right more often: metrics of two models against labels, on the same rows or each on rows of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.errors import DataError, shown
from mlserve_cli.monitoring import influence
from mlserve_cli.monitoring.join import Keep, holds_numbers, join, label_keys
from mlserve_cli.monitoring.labels import Labels, parse_time
from mlserve_cli.monitoring.metrics import SMALLER_IS_BETTER, measure
from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.monitoring.question import Question, Task, ask, class_texts, predicted_of, truth_of
from mlserve_cli.monitoring.run_rows import matrix_of
from mlserve_cli.rollout.estimates import Estimate, Flags, between_groups, mean
from mlserve_cli.rollout.intervals import Groups, Sureness, known
from mlserve_cli.rollout.shift import measured
from mlserve_cli.rollout.values import Better, Labelled, Measured, MetricComparison

OUTCOME = "outcome"
LEAST_ROWS = 30
NEITHER_IS_BETTER = frozenset(("bias",))  # it may be off to either side


@dataclass(frozen=True, slots=True)
class Asked:
    """How labels are held against scores: as `mlserve evaluate` takes it."""

    task: Task = "auto"
    positive: str | None = None
    score: str | None = None
    threshold: float | None = None
    keep: Keep = "error"
    as_of: str | None = None


def places_of_labels(ids: pa.Table, labels: Labels, *, asked: Asked) -> NDArray[np.int64]:
    """For each row of one run the place of its label, -1 where there is none (int64, shape [rows])."""
    numeric = tuple(
        holds_numbers(one.type) or holds_numbers(other.type)
        for one, other in zip(ids.columns, labels.ids.columns, strict=True)
    )
    moment = None if asked.as_of is None else parse_time(asked.as_of)
    keys = label_keys(labels.ids, labels.values, numeric=numeric, times=labels.times, as_of=moment, keep=asked.keep)
    return join(ids, keys, numeric=numeric).places


def labelled_side(contract: Contract, rows: pa.Table, values: pa.ChunkedArray, *, asked: Asked) -> Outcomes:
    """Rows that all have a label, with `values` their labels."""
    question = ask(contract, task=asked.task, score=asked.score, positive=asked.positive, threshold=asked.threshold)
    question = _with_classes(question, rows, values)
    truth = truth_of(question, values, positive=asked.positive)
    scores = None
    if question.scores:
        matrix = matrix_of(rows, question.scores)
        scores = matrix if question.place < 0 else matrix[:, question.place]
    predicted = predicted_of(question, rows, scores)
    return Outcomes(question.kind, truth, scores, predicted, question.classes)


def _with_classes(question: Question, rows: pa.Table, values: pa.ChunkedArray) -> Question:
    """Of a model that says a class and not which there are: those that it said, and those that came."""
    if question.kind != "multiclass" or question.classes:
        return question
    columns = values, rows[question.columns[0]]
    texts = [class_texts(column, numeric=question.numeric).unique().to_pylist() for column in columns]
    return replace(question, classes=tuple(sorted({text for some in texts for text in some if text is not None})))


def no_label_fits(ids: pa.Table, labels: Labels) -> DataError:
    """What is said where not a single row has a label."""
    ours, theirs = (
        ", ".join(shown(" ".join(map(str, row.values())), limit=40) for row in table.slice(0, 2).to_pylist()) or "none"
        for table in (ids, labels.ids)
    )
    return DataError(
        f"no label belongs to any row: the run has ids as {ours}, the labels {theirs}",
        "--on",
        "name the id, or RUN_COLUMN=LABEL_COLUMN where the files call it otherwise",
    )


def usable(outcomes: Outcomes) -> Flags:
    """The rows with numbers for scores (bool, shape [rows])."""
    if outcomes.scores is None:
        return np.ones(len(outcomes), np.bool_)
    finite = np.isfinite(outcomes.scores)
    return np.asarray(finite if finite.ndim == 1 else finite.all(axis=1))


def on_the_same_rows(a: Outcomes, b: Outcomes, *, label: str, groups: Groups | None, sure: Sureness) -> Labelled | None:
    """Every metric that both have, and its paired difference; None where no row has a label."""
    kept = usable(a) & usable(b)
    ours, theirs = a.where(kept), b.where(kept)
    if not kept.any():
        return None
    units = None if groups is None else groups[kept]
    metrics = []
    for name, first, second in _metrics(ours, theirs):
        metrics.append(_compared(name, first, second, second.minus(first), groups=units, sure=sure))
    rows = int(kept.sum())
    came = _outcome(ours)
    middle = None if came is None else came.value
    number = rows if units is None else len(np.unique(units))
    return Labelled(label, ours.kind, rows, rows, rows, number, None, middle, middle, tuple(metrics))


@dataclass(frozen=True, slots=True)
class Period:
    """Labelled rows of both arms while the shares stayed the same; `units` has a number for each row, A's first."""

    a: Outcomes
    b: Outcomes
    units: Groups


def on_rows_of_their_own(periods: Sequence[Period], *, label: str, sure: Sureness) -> Labelled | None:
    """Each metric of each arm's own rows, compared within each period and put together by the periods' rows.

    So what changed with the weather is not taken for what changed with the shares. A period with
    fewer than 30 rows of either arm says nothing yet; None where all are such.
    """
    found = [period for period in periods if min(len(period.a), len(period.b)) >= LEAST_ROWS]
    if not found:
        return None
    groups = np.concatenate([period.units for period in found])
    each = [dict(_of_period(period)) for period in found]
    whole = {name: _together([one[name] for one in each]) for name in each[0] if all(name in one for one in each)}
    outcome = whole.pop(OUTCOME, None)
    metrics = [
        _compared(name, part.a, part.b, part.difference, groups=groups, sure=sure) for name, part in whole.items()
    ]
    a_rows, b_rows = (sum(len(getattr(period, which)) for period in found) for which in ("a", "b"))
    return Labelled(
        label=label,
        kind=found[0].a.kind,
        rows=a_rows + b_rows,
        a_rows=a_rows,
        b_rows=b_rows,
        units=len(np.unique(groups)),
        outcome=measured(known(outcome.difference, sure=sure, groups=groups)) if outcome else None,
        a_outcome=outcome.a.value if outcome else None,
        b_outcome=outcome.b.value if outcome else None,
        metrics=tuple(metrics),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    a: Estimate
    b: Estimate
    difference: Estimate


def _of_period(period: Period) -> Iterator[tuple[str, _Part]]:
    is_b = np.arange(len(period.units)) >= len(period.a)
    came = _outcome(period.a), _outcome(period.b)
    if came[0] is not None and came[1] is not None:
        yield OUTCOME, _Part(came[0], came[1], between_groups(came[0], came[1], is_second=is_b))
    for name, first, second in _metrics(period.a, period.b):
        yield name, _Part(first, second, between_groups(first, second, is_second=is_b))


def _together(parts: Sequence[_Part]) -> _Part:
    """The means of the periods' figures, by their rows. A row's influence stays: its period's weight cancels out."""
    weights = [len(part.difference.influence) for part in parts]
    return _Part(
        *(
            Estimate(
                float(np.average([getattr(part, which).value for part in parts], weights=weights)),
                np.concatenate([getattr(part, which).influence for part in parts]),
            )
            for which in ("a", "b", "difference")
        )
    )


def _metrics(a: Outcomes, b: Outcomes) -> Iterator[tuple[str, Estimate, Estimate]]:
    """Those metrics that both have, with each row's influence on them."""
    ours, theirs = measure(a), measure(b)
    for name in ours:
        if name in theirs and name not in NEITHER_IS_BETTER:
            first, second = ours[name].value, theirs[name].value
            moved = influence.of_metric(a, name), influence.of_metric(b, name)
            if first is not None and second is not None and moved[0] is not None and moved[1] is not None:
                yield name, Estimate(first, moved[0]), Estimate(second, moved[1])


def _compared(
    name: str, a: Estimate, b: Estimate, apart: Estimate, *, groups: Groups | None, sure: Sureness
) -> MetricComparison:
    gain = measured(known(apart.turned() if name in SMALLER_IS_BETTER else apart, sure=sure, groups=groups))
    return MetricComparison(name, a.value, b.value, gain, _better(gain))


def _better(gain: Measured) -> Better:
    if gain.anytime_low is not None and gain.anytime_low > 0.0:
        return "b"
    return "a" if gain.anytime_high is not None and gain.anytime_high < 0.0 else "open"


def _outcome(outcomes: Outcomes) -> Estimate | None:
    """What came on average: the share of the positive class, or the mean of a number."""
    return None if outcomes.kind == "multiclass" else mean(np.asarray(outcomes.truth, np.float64))
