"""One column of categories, profiled as its rows pass: every value while there are few, the frequent ones beyond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc
from mlserve_cli.profiles.sketch import DistinctSketch
from mlserve_cli.profiles.values import ColumnProfile

KEPT_VALUES = 1_000
MOST_BINS = 65_536


class CategoryProfiler:
    """Takes the column's values in; `result` is its profile so far."""

    def __init__(self) -> None:
        self._rows = self._nulls = 0
        self._tally = Tally()

    def add(self, values: pa.Array | pa.ChunkedArray | NDArray[np.integer[Any]]) -> None:
        """Rows of any type that has a text; a null is missing."""
        self._rows += len(values)
        if isinstance(values, np.ndarray):
            return self._tally.add(_counted(values))
        counted = pc.value_counts(values)  # before they become texts: a label of a class costs 50 ns a row otherwise
        names, counts = pc.cast(counted.field(0), pa.string()).to_pylist(), counted.field(1).to_pylist()
        tally: dict[str, int] = {}
        for name, count in zip(names, counts, strict=True):
            if name is None:
                self._nulls += count
            else:
                tally[name] = tally.get(name, 0) + count
        return self._tally.add(tally)

    def result(self) -> ColumnProfile:
        """The profile of all that was added."""
        return self._tally.column(rows=self._rows, nulls=self._nulls)


def _counted(values: NDArray[np.integer[Any]]) -> dict[str, int]:
    """Integers, such as labels of classes: a tenth of what Arrow takes, which would have to be loaded first, too."""
    if not len(values):
        return {}
    low = int(values.min())
    if values.dtype != np.uint64 and int(values.max()) - low < MOST_BINS:
        bins = np.bincount(values.astype(np.int64) - low)
        found = np.flatnonzero(bins)
        return {str(low + place): count for place, count in zip(found.tolist(), bins[found].tolist(), strict=True)}
    names, counts = np.unique(values, return_counts=True)
    return {str(name): count for name, count in zip(names.tolist(), counts.tolist(), strict=True)}


class Tally:
    """Counts by value: exact up to KEPT_VALUES values; beyond, a Misra-Gries summary, which merges.

    Where a summary has too many values, the count of the first that is too many is taken from each and what is left
    with nothing goes (Agarwal et al., Mergeable Summaries, 2012). All that was taken, over any number of merges, is
    less than rows / KEPT_VALUES for each value.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._distinct: DistinctSketch | None = None

    def add(self, counts: Mapping[str, int], *, distinct_sketch: bytes = b"") -> None:
        """Take in counts of distinct values; `distinct_sketch` knows them all where they are not all."""
        before = self._counts
        self._counts = {**before, **{value: before.get(value, 0) + count for value, count in counts.items()}}
        if distinct_sketch or self._distinct or len(self._counts) > KEPT_VALUES:
            self._note_distinct(counts, before, distinct_sketch)
        if len(self._counts) > KEPT_VALUES:
            ranked = sorted(self._counts.values(), reverse=True)
            too_many = ranked[KEPT_VALUES]
            self._counts = {value: count - too_many for value, count in self._counts.items() if count > too_many}

    def column(self, *, rows: int, nulls: int) -> ColumnProfile:
        """The profile of the values that were added."""
        frequent = dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))
        return ColumnProfile(
            kind="category",
            rows=rows,
            nulls=nulls,
            distinct=self._distinct.estimate if self._distinct else float(len(frequent)),
            frequent=frequent,
            other=rows - nulls - sum(frequent.values()),
            distinct_sketch=self._distinct.to_bytes() if self._distinct else b"",
        )

    def _note_distinct(self, counts: Iterable[str], before: Iterable[str], distinct_sketch: bytes) -> None:
        if self._distinct is None:
            self._distinct = DistinctSketch()
            self._distinct.add(before)
        if distinct_sketch:
            self._distinct.merge(distinct_sketch)
        self._distinct.add(counts)
