"""Profiles rows as they pass: every feature and every score, a chunk at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.profiles.categories import CategoryProfiler
from mlserve_cli.profiles.numbers import Mask, NumberProfiler, Rows
from mlserve_cli.profiles.values import PROFILE_FORMAT, ColumnProfile, Profile


class Numbers(msgspec.Struct, frozen=True):
    """A column of numbers: `values` of any number type, [n]; `missing` (bool, [n]) where there is none."""

    values: NDArray[Any]
    missing: Mask | None = None


class Categories(msgspec.Struct, frozen=True):
    """A column of categories, [n]: integers, or an Arrow array of any type that has a text; a null is missing."""

    values: pa.Array | pa.ChunkedArray | NDArray[np.integer[Any]]


Column = Numbers | Categories


class Profiler:
    """Adds up what passes. Columns come to be known by the first rows: number or category they stay."""

    def __init__(self) -> None:
        self._rows = self._sampled = 0
        self._features: dict[str, NumberProfiler | CategoryProfiler] = {}
        self._scores: dict[str, NumberProfiler | CategoryProfiler] = {}

    def add(
        self,
        features: Mapping[str, Column],
        scores: Mapping[str, Column],
        *,
        rows: int,
        sample: Rows | None = None,
    ) -> None:
        """Take in `rows` rows, as many in each column; `sample` (positions, all where None) goes to the quantiles."""
        self._rows += rows
        self._sampled += rows if sample is None else len(sample)
        for known, columns in ((self._features, features), (self._scores, scores)):
            for name, column in columns.items():
                _add(known, name, column, sample)

    def result(self, *, source: str, model: str, left_out: tuple[str, ...] = ()) -> Profile:
        """The profile of all that was added."""
        return Profile(
            format=PROFILE_FORMAT,
            rows=self._rows,
            quantile_rows=self._sampled,
            source=source,
            model=model,
            features=_results(self._features),
            scores=_results(self._scores),
            left_out=left_out,
        )


def sampled_rows(start_row: int, stop_row: int, *, every: int, shard: int = 0) -> Rows | None:
    """The rows of [start_row, stop_row) of a shard that go to the quantiles, int64, ascending; None where all do.

    One of each `every` rows, at a place that a hash of the shard's number and theirs picks: evenly spread, the same
    however the shard is cut into tasks and chunks, and blind to anything that repeats in the data, such as the hours of
    a day. Of many shards with fewer rows than that, one in so many has a row among them.
    """
    if every <= 1:
        return None
    groups = np.arange(start_row // every, -(-stop_row // every), dtype=np.int64)
    places = _mixed(groups + np.int64(shard << 32)) % np.uint64(every)
    rows = groups * every + places.astype(np.int64)
    found: Rows = rows[(rows >= start_row) & (rows < stop_row)]
    return found


def _mixed(numbers: Rows) -> NDArray[np.uint64]:
    """Each number's bits, well mixed: the finaliser of splitmix64."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _add(known: dict[str, NumberProfiler | CategoryProfiler], name: str, column: Column, sample: Rows | None) -> None:
    profiler = known.get(name)
    if profiler is None:
        profiler = known[name] = NumberProfiler() if isinstance(column, Numbers) else CategoryProfiler()
    if isinstance(profiler, NumberProfiler) and isinstance(column, Numbers):
        profiler.add(column.values, sample=sample, missing=column.missing)
    elif isinstance(profiler, CategoryProfiler) and isinstance(column, Categories):
        profiler.add(column.values)
    else:
        raise TypeError(f"column {name!r} is a number in some rows and a category in others")


def _results(known: Mapping[str, NumberProfiler | CategoryProfiler]) -> dict[str, ColumnProfile]:
    return {name: profiler.result() for name, profiler in known.items()}
