"""One column of numbers, profiled as its rows pass."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.profiles import one_pass
from mlserve_cli.profiles.sketch import Floats, QuantileSketch
from mlserve_cli.profiles.values import ColumnProfile

BLOCK_VALUES = 65_536  # as float64 they stay in the cache: 1.2 ns a value; of 8,192 the calls cost more, 1.9 ns
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
_of_thread = threading.local()


class NumberProfiler:
    """Takes the column's values in, any number type; `result` is its profile so far."""

    def __init__(self) -> None:
        self._rows = self._nulls = self._nans = self._infinities = 0
        self._low, self._high = math.inf, -math.inf
        self._count, self._mean, self._squares = 0, 0.0, 0.0
        self._sketch = QuantileSketch()
        self._waiting: list[NDArray[Any]] = []  # for the sketch, which takes many at once in a third of the time

    def add(self, values: NDArray[Any], *, sample: Rows | None = None, missing: Mask | None = None) -> None:
        """Rows of shape [n]: `sample` (positions, all where None) goes to the quantiles, `missing` marks nulls."""
        self._rows += len(values)
        present = values if missing is None else values[~missing]
        self._nulls += len(values) - len(present)
        for start, stop in _blocks(len(present)):
            self._add_block(present[start:stop])
        if sample is None:
            self._into_sketch(present)
            return
        sampled = values[sample]
        self._waiting.append(sampled if missing is None else sampled[~missing[sample]])
        if sum(map(len, self._waiting)) >= BLOCK_VALUES:
            self._sketch_waiting()

    def result(self) -> ColumnProfile:
        """The profile of all that was added."""
        self._sketch_waiting()
        some = self._count > 0
        return ColumnProfile(
            kind="number",
            rows=self._rows,
            nulls=self._nulls,
            nans=self._nans,
            infinities=self._infinities,
            minimum=self._low if some else None,
            maximum=self._high if some else None,
            mean=bounded(self._mean) if some else None,
            sum_of_squares=bounded(self._squares),
            sampled=self._sketch.count,
            quantiles=self._sketch.to_bytes(),
        )

    def _sketch_waiting(self) -> None:
        if self._waiting:
            self._into_sketch(np.concatenate(self._waiting))
            self._waiting.clear()

    def _into_sketch(self, values: NDArray[Any]) -> None:
        fine = values[np.isfinite(values)]
        if len(fine):
            self._sketch.add(fine.astype(np.float64))

    def _add_block(self, block: NDArray[Any]) -> None:
        """Counts, extremes and moments of a block that the cache holds."""
        shift = self._mean if self._count else _finite_or_zero(float(block[0]))
        taken = (one_pass.take if one_pass.takes(block) else _taken)(block, shift=shift)
        if taken.finite < len(block):
            nans = int(np.count_nonzero(np.isnan(block)))
            self._nans += nans
            self._infinities += len(block) - taken.finite - nans
        if taken.finite:
            self._low, self._high = min(self._low, taken.low), max(self._high, taken.high)
            off = taken.total / taken.finite
            self._count, self._mean, self._squares = combined(
                (self._count, self._mean, self._squares),
                (taken.finite, shift + off, max(taken.squares - taken.total * off, 0.0)),
            )


def _taken(block: NDArray[Any], *, shift: float) -> one_pass.Taken:
    """The same in numpy, pass by pass."""
    low, high = float(block.min()), float(block.max())  # a NaN comes through both
    if not (math.isfinite(low) and math.isfinite(high)):
        fine = block[np.isfinite(block)]
        if not len(fine):
            return one_pass.Taken(0, math.inf, -math.inf, 0.0, 0.0)
        return _taken(fine, shift=shift)
    apart = _room()[: len(block)]
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(apart, block)
        apart -= shift
        total = float(apart.sum())
        np.multiply(apart, apart, out=apart)  # not a dot product: BLAS starts threads of its own for one
        return one_pass.Taken(len(block), low, high, total, float(apart.sum()))


def _finite_or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _room() -> Floats:
    """Memory of this thread's own for a block: of a task's many threads none waits for fresh pages."""
    found: Floats | None = getattr(_of_thread, "room", None)
    if found is None:
        found = _of_thread.room = np.empty(BLOCK_VALUES)
    return found


def _blocks(rows: int) -> Iterator[tuple[int, int]]:
    """Spans of rows, the few at the end that fill no machine register for themselves."""
    whole = rows - rows % one_pass.LANES
    for start in range(0, whole, BLOCK_VALUES):
        yield start, min(start + BLOCK_VALUES, whole)
    if whole < rows:
        yield whole, rows


Moments = tuple[int, float, float]


def combined(one: Moments, other: Moments) -> Moments:
    """Count, mean and squared deviations of two sets of values together (Chan, Golub and LeVeque 1979)."""
    (n, mean, squares), (m, other_mean, other_squares) = one, other
    if not n or not m:
        return one if n else other
    total, apart = n + m, other_mean - mean
    return total, mean + apart * (m / total), squares + other_squares + apart * apart * (n * m / total)


def bounded(value: float) -> float:
    """The value, or the largest double where a sum ran over: JSON has no infinity."""
    if math.isnan(value):
        return 0.0
    return max(-sys.float_info.max, min(value, sys.float_info.max))
