"""Quality by slice: the rows with one value of a column, ranked by how surely they are worse than all rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.monitoring import influence
from mlserve_cli.monitoring.evaluation import Figure, SliceEvaluation
from mlserve_cli.monitoring.join import canonical, holds_numbers
from mlserve_cli.monitoring.metrics import SMALLER_IS_BETTER, measure
from mlserve_cli.monitoring.outcomes import Outcomes

MOST_VALUES = 20  # of a column before its rarest become one slice, or its numbers four ranges
RANGES = 4
NULL = "null"
LEAST_ROWS, LEAST_OF_A_CLASS = 30, 10  # below, a standard error is a guess
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Slice:
    """One slice before it is ranked. `deviation` is the standard error of its difference from all rows."""

    column: str
    value: str
    rows: int
    mine: Places
    outcomes: Outcomes
    figures: dict[str, Figure]
    difference: float | None
    deviation: float


def slice_up(
    outcomes: Outcomes, by: pa.Table, labelled: Places, *, ranked_by: str, confidence: float
) -> tuple[SliceEvaluation, ...]:
    """Every slice of every column of `by`, what is most surely worse than all rows first.

    `by` has a row for each row that was scored; `labelled` are the places in it of the rows of `outcomes`.
    """
    if not by.num_columns or not len(outcomes):
        return ()
    whole = measure(outcomes, confidence=confidence).get(ranked_by)
    moved = influence.of_metric(outcomes, ranked_by)
    found = [
        _measured(one, outcomes, whole=whole, moved=moved, ranked_by=ranked_by, confidence=confidence)
        for one in _slices(by, labelled)
    ]
    return _ranked(found, ranked_by=ranked_by, confidence=confidence)


def groups_of(column: pa.ChunkedArray) -> tuple[Places, list[str]]:
    """The slice of each row (int64, shape [rows]), and what the slices are called.

    Each value by itself, in its order; of a column of more than 20, numbers in four ranges of as many rows each, and
    of anything else the 19 most frequent, with the rest as one.
    """
    numbers = _as_numbers(column)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_VALUES:
        return _ranges(numbers)
    texts = canonical(column, "--by", as_number=False)
    encoded = pc.fill_null(texts, NULL).dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    names: list[str] = encoded.dictionary.to_pylist()
    order = _in_order(names)
    if len(names) > MOST_VALUES:
        counts = np.bincount(codes, minlength=len(names))
        frequent = set(np.argsort(-counts, kind="stable")[: MOST_VALUES - 1].tolist())
        order = [code for code in order if code in frequent]
        rest = f"{len(names) - len(order)} others"
        place = np.full(len(names), len(order), np.int64)
        place[order] = np.arange(len(order))
        return place[codes], [*(names[code] for code in order), rest]
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return place[codes], [names[code] for code in order]


@dataclass(frozen=True, slots=True)
class _Group:
    column: str
    value: str
    rows: int
    mine: Places


def _slices(by: pa.Table, labelled: Places) -> Iterator[_Group]:
    for name in by.column_names:
        codes, values = groups_of(by[name])
        counts = np.bincount(codes, minlength=len(values))
        mine = codes[labelled]
        order = np.argsort(mine, kind="stable")
        ends = np.searchsorted(mine[order], np.arange(len(values) + 1))
        for code, value in enumerate(values):
            yield _Group(name, value, int(counts[code]), order[ends[code] : ends[code + 1]])


def _measured(
    group: _Group,
    outcomes: Outcomes,
    *,
    whole: Figure | None,
    moved: NDArray[np.float64] | None,
    ranked_by: str,
    confidence: float,
) -> _Slice:
    own = outcomes.where(group.mine)
    figures = measure(own, confidence=confidence)
    if not _is_enough(own):
        return _Slice(group.column, group.value, group.rows, group.mine, own, figures, None, 0.0)
    value = figures[ranked_by].value if ranked_by in figures else None
    mine = influence.of_metric(own, ranked_by)
    if value is None or mine is None or moved is None or whole is None or whole.value is None:
        return _Slice(group.column, group.value, group.rows, group.mine, own, figures, None, 0.0)
    apart = -moved
    apart[group.mine] += mine * (len(outcomes) / len(own))
    spread = influence.deviation(apart)
    return _Slice(group.column, group.value, group.rows, group.mine, own, figures, value - whole.value, spread)


def _is_enough(outcomes: Outcomes) -> bool:
    if outcomes.kind == "binary":
        positives = int(outcomes.truth.sum())
        if min(positives, len(outcomes) - positives) < LEAST_OF_A_CLASS:
            return False
    return len(outcomes) >= LEAST_ROWS


def _ranked(found: list[_Slice], *, ranked_by: str, confidence: float) -> tuple[SliceEvaluation, ...]:
    from scipy import stats

    sign = 1 if ranked_by in SMALLER_IS_BETTER else -1
    reach = float(stats.norm.ppf((1 + confidence) / 2))
    chances = [
        None if one.difference is None or not one.deviation
        else float(2 * stats.norm.sf(abs(one.difference) / one.deviation))
        for one in found
    ]  # fmt: skip
    corrected = holm(chances)

    def surely_worse(place: int) -> float:
        difference = found[place].difference
        return -np.inf if difference is None else sign * difference - reach * found[place].deviation

    order = sorted(range(len(found)), key=surely_worse, reverse=True)
    return tuple(
        _evaluated(found[place], corrected[place], sign=sign, reach=reach, confidence=confidence) for place in order
    )


def holm(chances: list[float | None]) -> list[float | None]:
    """p-values corrected for how many there are (Holm 1979)."""
    known = [(chance, place) for place, chance in enumerate(chances) if chance is not None]
    corrected: list[float | None] = [None] * len(chances)
    most = 0.0
    for rank, (chance, place) in enumerate(sorted(known)):
        most = max(most, min(1.0, chance * (len(known) - rank)))
        corrected[place] = most
    return corrected


def _evaluated(one: _Slice, chance: float | None, *, sign: int, reach: float, confidence: float) -> SliceEvaluation:
    half = reach * one.deviation
    difference = (
        Figure(None, reason="too few rows to say")
        if one.difference is None
        else Figure(one.difference, one.difference - half, one.difference + half, "influence")
    )
    is_worse = chance is not None and chance < 1 - confidence and sign * (one.difference or 0.0) > 0
    return SliceEvaluation(
        column=one.column,
        value=one.value,
        rows=one.rows,
        labelled=len(one.mine),
        mean_score=mean_score(one.outcomes.scores),
        mean_label=mean_label(one.outcomes),
        figures=one.figures,
        difference=difference,
        p_value=chance,
        worse=is_worse,
    )


def mean_score(scores: NDArray[np.float64] | None) -> float | None:
    """The mean of one score for each row; of several classes there is none."""
    return float(scores.mean()) if scores is not None and scores.ndim == 1 and len(scores) else None


def mean_label(outcomes: Outcomes) -> float | None:
    """The share of positives, or a regressor's mean label; of several classes there is none."""
    return float(outcomes.truth.mean()) if outcomes.kind != "multiclass" and len(outcomes) else None


def _as_numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """The values as float64, NaN where null; None where some value is no number."""
    if not (holds_numbers(column.type) or pa.types.is_string(column.type)):
        return None
    try:
        values = column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(), np.float64)


def _ranges(numbers: NDArray[np.float64]) -> tuple[Places, list[str]]:
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, RANGES + 1)))
    codes = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = [
        f"{low:g} to {'' if last else 'below '}{high:g}"
        for low, high, last in zip(edges[:-1], edges[1:], [False] * (len(edges) - 2) + [True], strict=True)
    ]
    missing = np.isnan(numbers)
    if missing.any():
        codes[missing] = len(names)
        names.append(NULL)
    return codes.astype(np.int64), names


def _in_order(names: list[str]) -> list[int]:
    """The places of the names in their order: as numbers where they are, null last."""

    def key(place: int) -> tuple[bool, bool, float, str]:
        name = names[place]
        try:
            return name == NULL, False, float(name), name
        except ValueError:
            return name == NULL, True, 0.0, name

    return sorted(range(len(names)), key=key)
