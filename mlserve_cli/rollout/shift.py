"""How far two models are apart on the same rows, without knowing who is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.monitoring.run_rows import matrix_of
from mlserve_cli.rollout.estimates import Floats, mean
from mlserve_cli.rollout.intervals import Groups, Known, Sureness, known, rank_interval, wilson
from mlserve_cli.rollout.pairs import Likes
from mlserve_cli.rollout.values import ColumnComparison, Decisions, Measured, Move, MovedRow
from mlserve_cli.scoring.agreement import rank_correlation

MOVES_SHOWN = 10


def compare_columns(
    a: pa.Table, b: pa.Table, pairs: Likes, *, sure: Sureness, groups: Groups | None
) -> tuple[ColumnComparison, ...]:
    """Each pair of score columns, over the rows where both are finite."""
    found = [_column(a, b, pair, sure=sure, groups=groups) for pair in pairs.scores]
    return tuple(one for one in found if one is not None)


def compare_decisions(a: pa.Table, b: pa.Table, pairs: Likes, *, sure: Sureness) -> Decisions | None:
    """How many rows are decided otherwise, and how."""
    if pairs.decisions is None:
        return None
    ours, theirs = (_texts(table[name]) for table, name in zip((a, b), pairs.decisions, strict=True))
    rows = len(ours)
    counted = pa.table({"a": ours, "b": theirs}).group_by(["a", "b"]).aggregate([([], "count_all")]).to_pylist()
    changed = sorted((one for one in counted if one["a"] != one["b"]), key=lambda one: -one["count_all"])
    flips = sum(one["count_all"] for one in changed)
    low, high = wilson(rows - flips, rows, sure=sure)
    moves = tuple(Move(str(one["a"]), str(one["b"]), one["count_all"]) for one in changed[:MOVES_SHOWN])
    return Decisions(rows, flips, Measured((rows - flips) / rows if rows else 1.0, low, high), moves)


def moved_most(ids: pa.Table, a: pa.Table, b: pa.Table, pairs: Likes, *, most: int) -> tuple[MovedRow, ...]:
    """The rows whose scores are farthest apart, in the last pair of columns: of a classifier the positive class."""
    if not pairs.scores or not most:
        return ()
    ours, theirs = pairs.scores[-1]
    left, right = matrix_of(a, [ours]), matrix_of(b, [theirs])
    if left.shape[1] != 1 or right.shape[1] != 1 or not len(left):
        return ()
    apart = np.abs(right - left)[:, 0]
    apart[~np.isfinite(apart)] = -1.0
    taken = np.argpartition(-apart, min(most, len(apart)) - 1)[:most]
    taken = taken[np.argsort(-apart[taken], kind="stable")]
    rows = ids.take(pa.array(taken)).to_pylist()
    return tuple(
        MovedRow({name: str(value) for name, value in row.items()}, ours, float(left[place, 0]), float(right[place, 0]))
        for row, place in zip(rows, taken, strict=True)
        if apart[place] > 0.0
    )


def measured(found: Known) -> Measured:
    """As it is written down: what cannot be said is null."""
    low, high = (None if np.isnan(end) else end for end in (found.low, found.high))
    return Measured(found.value, low, high, *(found.anytime or (None, None)))


def _column(
    a: pa.Table, b: pa.Table, pair: tuple[str, str], *, sure: Sureness, groups: Groups | None
) -> ColumnComparison | None:
    left, right = matrix_of(a, [pair[0]]), matrix_of(b, [pair[1]])
    if left.shape != right.shape:
        return None
    finite = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    left, right = left[finite], right[finite]
    if not len(left):
        return None
    apart = right - left
    shift = mean(apart.mean(axis=1))
    distances = np.abs(apart).max(axis=1)
    median, p99 = np.quantile(distances, [0.5, 0.99])
    return ColumnComparison(
        a=pair[0],
        b=pair[1],
        rows=len(left),
        a_mean=float(left.mean()),
        b_mean=float(right.mean()),
        shift=measured(known(shift, sure=sure, groups=None if groups is None else groups[finite])),
        mean_absolute=float(distances.mean()),
        median_absolute=float(median),
        p99_absolute=float(p99),
        largest_absolute=float(distances.max()),
        rank_correlation=_ranked(left, right, sure=sure) if left.shape[1] == 1 else None,
    )


def _ranked(left: Floats, right: Floats, *, sure: Sureness) -> Measured | None:
    found = rank_correlation(left[:, 0], right[:, 0])
    return None if found is None else Measured(found, *rank_interval(found, len(left), sure=sure))


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(column.cast(pa.string()), "null")


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of several runs under each other; a type that differs among them becomes the wider one."""
    return pa.concat_tables(tables, promote_options="permissive")


def stacked(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Numbers of several runs one after the other."""
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
