"""How far two columns are from one another: PSI and Jensen-Shannon over cells, Kolmogorov-Smirnov over all values.

Cells of numbers come from the base's deciles, those of categories are the most frequent ones. Where rows are few, so
are the cells: at least ten rows of the smaller side for each.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.profiles.sketch import RANK_ERROR, SHARE_ERROR, Distribution, distribution
from mlserve_cli.profiles.values import ColumnProfile

Floats = NDArray[np.float64]

NUMBER_CELLS = 10
CATEGORY_CELLS = 20
ROWS_PER_CELL = 10  # with five, a base of 30 rows raised three alarms for one that was due


class Sample(msgspec.Struct, frozen=True):
    """`count` numbers of a column, as a sketch holds them; its errors are at 99 %, 0 where it kept every number."""

    drawn: Distribution
    count: int

    @property
    def rank_error(self) -> float:
        """Of the share of numbers below a place."""
        return RANK_ERROR if len(self.drawn.values) < self.count else 0.0

    @property
    def share_error(self) -> float:
        """Of the share of numbers between two places."""
        return SHARE_ERROR if len(self.drawn.values) < self.count else 0.0


class Counts(msgspec.Struct, frozen=True):
    """How many rows have each category; `other` have one that is not named here."""

    named: Mapping[str, int]
    other: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.named.values()) + self.other


class Cells(msgspec.Struct, frozen=True):
    """The shares of two sides in the same cells (float64, [cells]), those left out in which neither has a row."""

    base: Floats
    now: Floats
    base_rows: int
    now_rows: int


def sample_of(column: ColumnProfile) -> Sample:
    """The numbers of a column. Raises RunMismatch (65) where its sketch is damaged."""
    return Sample(distribution(column), column.sampled)


def counts_of(column: ColumnProfile) -> Counts:
    """The categories of a column."""
    return Counts(column.frequent, column.other)


def psi(cells: Cells) -> float:
    """Population stability index, of shares with half a row in each cell: an empty cell is a finite step."""
    base, now = _smoothed(cells)
    return float(np.sum((now - base) * np.log(now / base)))


def chi_square(cells: Cells) -> float:
    """Pearson's statistic of the two sides' counts, half a row added to each cell, divided by nm/(n+m).

    For small differences it equals PSI; beside it, since neither an empty cell nor a few rows where hardly any were to
    be expected make it larger than chance allows.
    """
    base, now = _smoothed(cells)
    pooled = base + (now - base) * cells.now_rows / max(cells.base_rows + cells.now_rows, 1)
    return float(np.sum((now - base) ** 2 / pooled))


def jensen_shannon(cells: Cells) -> float:
    """The Jensen-Shannon distance to base 2: 0 where the shares are equal, 1 where no cell has rows of both."""
    if not (cells.base_rows and cells.now_rows):
        return 0.0
    middle = (cells.base + cells.now) / 2
    divergence = (_entropy(cells.base, middle) + _entropy(cells.now, middle)) / 2
    return float(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def kolmogorov_smirnov(base: Sample, now: Sample) -> float:
    """The largest difference between the two distribution functions."""
    if not (base.count and now.count):
        return 0.0
    places = np.concatenate([base.drawn.values, now.drawn.values])
    return float(np.max(np.abs(base.drawn.cdf(places) - now.drawn.cdf(places))))


def number_cells(base: Sample, now: Sample) -> Cells:
    """Cells between the base's quantiles; a value that many rows have is a cell of its own."""
    if not base.count:
        return Cells(np.empty(0), np.empty(0), 0, now.count)
    wanted = _cells_for(base.count, now.count, most=NUMBER_CELLS)
    edges, times = np.unique(base.drawn.quantiles(np.arange(1, wanted) / wanted), return_counts=True)
    edges = np.union1d(edges, np.nextafter(edges[times > 1], -np.inf))
    return _cells(_between(base, edges), _between(now, edges), base.count, now.count)


def category_cells(base: Counts, now: Counts) -> Cells:
    """A cell for each of the most frequent categories of both sides together, and one for all the rest.

    A category that one side does not name, and that may be among its others, goes to the rest.
    """
    wanted = _cells_for(base.rows, now.rows, most=CATEGORY_CELLS)
    names = sorted({name for name in (*base.named, *now.named) if _is_known(name, base) and _is_known(name, now)})
    counts = np.array([[side.named.get(name, 0) for name in names] for side in (base, now)], dtype=np.int64)
    kept = np.argsort(-counts.sum(axis=0), kind="stable")[: wanted - 1]
    rows = np.array([[base.rows], [now.rows]])
    cells = np.concatenate([counts[:, kept], rows - counts[:, kept].sum(axis=1, keepdims=True)], axis=1)
    shares = cells / np.maximum(rows, 1)
    return _cells(shares[0], shares[1], base.rows, now.rows)


def _cells_for(base_rows: int, now_rows: int, *, most: int) -> int:
    return max(2, min(most, min(base_rows, now_rows) // ROWS_PER_CELL))


def _cells(base: Floats, now: Floats, base_rows: int, now_rows: int) -> Cells:
    some = (base > 0) | (now > 0)
    return Cells(base[some], now[some], base_rows, now_rows)


def _between(sample: Sample, edges: Floats) -> Floats:
    """The shares up to the first edge, from each to the next, and above the last."""
    found: Floats = np.diff(sample.drawn.cdf(edges), prepend=0.0, append=1.0 if sample.count else 0.0).clip(0.0)
    return np.where(found < 1e-12, 0.0, found)  # what adding up has left


def _smoothed(cells: Cells) -> tuple[Floats, Floats]:
    """Both sides mixed with as much of equal shares: half a row per cell of the smaller side."""
    rows = min(cells.base_rows, cells.now_rows)
    if len(cells.base) < 2 or not rows:
        return np.ones(1), np.ones(1)
    added, whole = 0.5 / rows, 1 + len(cells.base) * 0.5 / rows
    return (cells.base + added) / whole, (cells.now + added) / whole


def _is_known(name: str, side: Counts) -> bool:
    return not side.other or name in side.named


def _entropy(shares: Floats, middle: Floats) -> float:
    some = shares > 0
    return float(np.sum(shares[some] * np.log2(shares[some] / middle[some])))
