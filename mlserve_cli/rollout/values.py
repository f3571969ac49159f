"""What a comparison comes to, as values: all that is shown, printed as JSON, and held against a gate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from mlserve_cli.contract import Value
from mlserve_cli.registry import Verdict

Kind = Literal["runs", "models", "challenger", "arms"]
Better = Literal["a", "b", "open"]


class Measured(Value, frozen=True):
    """A figure, the interval for one look at it, and the one that holds at all looks (None while it is too early)."""

    value: float
    low: float | None = None
    high: float | None = None
    anytime_low: float | None = None
    anytime_high: float | None = None


class Subject(Value, frozen=True):
    """One of the two models.

    `spelled` is NAME:VERSION or the name alone, `digest` the package's, `registry` the registry's folder or "".
    """

    spelled: str
    name: str
    version: str
    digest: str
    registry: str


class ColumnComparison(Value, frozen=True):
    """One score column of A beside its like of B, over `rows` where both are numbers. Shift is B minus A.

    Of a list column a row's shift is the mean of its elements' and its distance the largest of them, without a rank
    correlation.
    """

    a: str
    b: str
    rows: int
    a_mean: float
    b_mean: float
    shift: Measured
    mean_absolute: float
    median_absolute: float
    p99_absolute: float
    largest_absolute: float
    rank_correlation: Measured | None


class Move(Value, frozen=True):
    """So many rows that A decides as `a` and B as `b`."""

    a: str
    b: str
    rows: int


class Decisions(Value, frozen=True):
    """What the two decide for the same rows; `flips` are decided otherwise, `moves` how, the most frequent first."""

    rows: int
    flips: int
    agreement: Measured
    moves: tuple[Move, ...]


class MovedRow(Value, frozen=True):
    """A row, by its id, whose score is among those that moved most."""

    row: dict[str, str]
    column: str
    a: float
    b: float


class MetricComparison(Value, frozen=True):
    """A metric of both against the labels. `gain` is how much better B is, whichever way is better for the metric.

    `better` is who is, as far as the anytime interval says it; "open" where zero is inside of it.
    """

    metric: str
    a: float
    b: float
    gain: Measured
    better: Better


class Labelled(Value, frozen=True):
    """The rows of which it is known what came. `outcome` is B's mean label minus A's where each had its own rows."""

    label: str
    kind: str
    rows: int
    a_rows: int
    b_rows: int
    units: int
    outcome: Measured | None
    a_outcome: float | None
    b_outcome: float | None
    metrics: tuple[MetricComparison, ...]


class Arms(Value, frozen=True):
    """A split's two arms: rows, units of the split's key, and whether those fell as the shares say.

    `mismatch_p_value` is the chance of such counts under the shares; where it is tiny, something lost rows of one arm,
    and no other figure counts. `periods` are the runs with the same shares, each compared by itself. `shift` has for
    each score column B's mean minus A's.
    """

    key: str
    salt: str
    a_share: float
    b_share: float
    a_rows: int
    b_rows: int
    a_units: int
    b_units: int
    mismatch_p_value: float
    periods: int
    shift: dict[str, Measured]


class Comparison(Value, frozen=True):
    """A and B. `rows` are those of both; `only_a` and `only_b` those that stand in one alone.

    `evidence` has the digest of each run's manifest and each file of labels that it rests on.
    `cost_ratio` is B's inference time for a row over A's, None where the runs do not say it.
    """

    kind: Kind
    a: Subject
    b: Subject
    runs: int
    rows: int
    only_a: int
    only_b: int
    confidence: float
    expected_rows: int
    columns: tuple[ColumnComparison, ...]
    decisions: Decisions | None
    moved: tuple[MovedRow, ...]
    arms: Arms | None
    labelled: Labelled | None
    cost_ratio: float | None
    evidence: dict[str, str]
    notes: tuple[str, ...]


class Compared(Value, frozen=True):
    """All comparisons that were asked for, and what a gate said of the only one, None where none was asked."""

    comparisons: tuple[Comparison, ...]
    verdict: Verdict | None = None
    recorded: str = ""

    @property
    def exit_code(self) -> int:
        """4 where the gate said no."""
        return 0 if self.verdict is None or self.verdict.passed else 4


def figures_of(found: Comparison) -> dict[str, float]:
    """Every figure that a gate can name, by its name."""
    named = {"rows": found.rows, "only_a": found.only_a, "only_b": found.only_b, "cost_ratio": found.cost_ratio}
    parts = (*named.items(), *_of_columns(found), *_of_decisions(found), *_of_arms(found), *_of_labels(found))
    return {name: float(value) for name, value in parts if value is not None and math.isfinite(value)}


def _of_columns(found: Comparison) -> Iterator[tuple[str, float | None]]:
    """Each column's, and the worst of all."""
    for one in found.columns:
        yield from _ends("shift", one.shift, of=f".{one.a}")
        yield f"mean_difference.{one.a}", one.mean_absolute
        yield f"max_difference.{one.a}", one.largest_absolute
        if one.rank_correlation is not None:
            yield from _ends("rank_correlation", one.rank_correlation, of=f".{one.a}")
    if found.columns:
        yield "shift_low", min((one.shift.low for one in found.columns if one.shift.low is not None), default=None)
        yield "shift_high", max((one.shift.high for one in found.columns if one.shift.high is not None), default=None)
        yield "mean_difference", max(one.mean_absolute for one in found.columns)
        yield "max_difference", max(one.largest_absolute for one in found.columns)
        ranked = [one.rank_correlation.value for one in found.columns if one.rank_correlation is not None]
        yield "rank_correlation", min(ranked, default=None)


def _of_decisions(found: Comparison) -> Iterator[tuple[str, float | None]]:
    if found.decisions is not None:
        agreement = found.decisions.agreement
        yield from _ends("agreement", agreement)
        yield "label_flips", found.decisions.flips
        yield "flip_share", 1.0 - agreement.value
        yield "flip_share_low", None if agreement.high is None else 1.0 - agreement.high
        yield "flip_share_high", None if agreement.low is None else 1.0 - agreement.low


def _of_arms(found: Comparison) -> Iterator[tuple[str, float | None]]:
    if found.arms is not None:
        yield "mismatch_p_value", found.arms.mismatch_p_value
        for column, shift in found.arms.shift.items():
            yield from _ends("shift", shift, of=f".{column}")
        yield from (("rows_a", found.arms.a_rows), ("rows_b", found.arms.b_rows))
        yield from (("units_a", found.arms.a_units), ("units_b", found.arms.b_units))


def _of_labels(found: Comparison) -> Iterator[tuple[str, float | None]]:
    labelled = found.labelled
    if labelled is not None:
        yield "coverage", labelled.rows / found.rows if found.rows else None
        yield from (("labelled_rows", labelled.rows), ("labelled_units", labelled.units))
        yield from (("labelled_rows_a", labelled.a_rows), ("labelled_rows_b", labelled.b_rows))
        yield from (("outcome.a", labelled.a_outcome), ("outcome.b", labelled.b_outcome))
        if labelled.outcome is not None:
            yield from _ends("outcome.difference", labelled.outcome)
        for one in labelled.metrics:
            yield from ((f"{one.metric}.a", one.a), (f"{one.metric}.b", one.b))
            yield from _ends(f"{one.metric}.gain", one.gain)


def _ends(name: str, measured: Measured, *, of: str = "") -> Iterator[tuple[str, float | None]]:
    yield f"{name}{of}", measured.value
    yield f"{name}_low{of}", measured.low
    yield f"{name}_high{of}", measured.high
    yield f"{name}_anytime_low{of}", measured.anytime_low
    yield f"{name}_anytime_high{of}", measured.anytime_high
