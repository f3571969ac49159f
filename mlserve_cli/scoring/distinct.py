"""Rows of a window that have the same features are scored once, and each gets its score.

Two rows are the same where every value that goes to the model has the same bits: 0.0 and -0.0 are two, and so are two
kinds of NaN. Windows begin with the task and are a whole number of batches, so the plan alone says where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Faults, int64_array, text_array
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.batches import Clock, Mapper, Outputs, ScoredRows, score_batches
from mlserve_cli.session import Predictor

Rows = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
# ONNX Runtime multiplies a single row, and may treat the last few, by another kernel than many: no batch of distinct
# rows is shorter than this, and an end that is shorter is scored as it stands.
LEAST_BATCH_ROWS = 16
FILL_ROWS = 4_096  # of a key at once, so that they stay in the cache: 31 ns a row of 28 columns against 41


class Distinct(msgspec.Struct, frozen=True):
    """`first` (positions in the chunk): where each distinct row stands first; `place`: which of them each row is."""

    first: Rows
    place: Rows


def score_rows(
    chunk: features.Features, *, plan: Plan, predictor: Predictor, clock: Clock, mapper: Mapper = map
) -> tuple[ScoredRows, int]:
    """A chunk's rows scored as the plan says, with the number of rows that went through the model."""

    def score(rows: features.Features) -> ScoredRows:
        return score_batches(
            rows,
            contract=plan.contract,
            predictor=predictor,
            batch_rows=plan.batch_rows,
            clock=clock,
            mapper=mapper,
        )

    if not plan.deduplicate_rows:
        return score(chunk), chunk.rows - int(np.count_nonzero(chunk.bad))
    windows, scored_rows = [], 0
    for start, stop in _windows(chunk.rows, window_rows=plan.deduplicate_rows, batch_rows=plan.batch_rows):
        scored, count = _score_window(chunk, start, stop, score, batch_rows=plan.batch_rows, clock=clock)
        windows.append(scored)
        scored_rows += count
    with clock.timing("features"):
        return _joined(windows, chunk.faults), scored_rows


def find_distinct(columns: Columns, rows: Rows) -> Distinct:
    """The distinct rows among `rows` (positions, ascending) of the columns ([rows] or [rows, width]), in that order.

    Arrow's hash table over the rows' bytes: 30 to 70 ns a row, exact, and not numpy's unique(), which sorts.
    """
    key = _keys(columns, rows)
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(key.itemsize), len(key), [None, pa.py_buffer(key)])
    codes = array.dictionary_encode().indices
    place = np.frombuffer(codes.buffers()[1], np.int32, len(codes), codes.offset * 4).astype(np.int64)
    first = np.empty(int(place.max(initial=-1)) + 1, np.int64)
    first[place[::-1]] = rows[::-1]  # of several, the last that is written stands: the first row
    return Distinct(first, place)


def count_distinct(columns: Columns, rows: Rows) -> int:
    """How many of few rows are distinct, without Arrow's functions, which take 40 ms to load."""
    key = _keys(columns, rows)
    return len(set(key.view(f"V{key.itemsize}").tolist()))


def columns_by_name(chunk: features.Features) -> dict[str, NDArray[Any]]:
    """Every column that feeds the model, once."""
    return {name: values for part, columns in chunk.inputs for name, values in zip(part.columns, columns, strict=True)}


def rows_at(chunk: features.Features, rows: Rows) -> features.Features:
    """Those rows of the chunk alone; they must be good ones."""
    inputs = tuple((part, tuple(values[rows] for values in columns)) for part, columns in chunk.inputs)
    return features.Features(len(rows), inputs, Faults.none(), np.zeros(len(rows), np.bool_))


def _windows(rows: int, *, window_rows: int, batch_rows: int) -> Iterator[tuple[int, int]]:
    """Spans of rows; a batch at the end that is too short for the rule is a span of its own."""
    short = rows % batch_rows
    whole = rows - short if short < LEAST_BATCH_ROWS else rows
    for start in range(0, whole, window_rows):
        yield start, min(start + window_rows, whole)
    if whole < rows:
        yield whole, rows


def _score_window(
    chunk: features.Features,
    start: int,
    stop: int,
    score: Callable[[features.Features], ScoredRows],
    *,
    batch_rows: int,
    clock: Clock,
) -> tuple[ScoredRows, int]:
    """The good rows of a window: its distinct ones scored, then every row given the score of its like."""
    if stop - start < min(LEAST_BATCH_ROWS, batch_rows):
        return _plain(chunk, start, stop, score)
    with clock.timing("features"):
        good = np.flatnonzero(~chunk.bad[start:stop]) + start
        if len(good) == 0:
            return ScoredRows({}, good, Faults.none()), 0
        distinct = find_distinct(columns_by_name(chunk), good)
        few = rows_at(chunk, _padded(distinct.first, batch_rows))
    scored = score(few)
    with clock.timing("features"):
        return _spread(scored, distinct, good, rows=few.rows), len(distinct.first)


def _plain(
    chunk: features.Features, start: int, stop: int, score: Callable[[features.Features], ScoredRows]
) -> tuple[ScoredRows, int]:
    """The rows as they stand, bad ones holding their place."""
    inputs = tuple((part, tuple(values[start:stop] for values in columns)) for part, columns in chunk.inputs)
    bad = chunk.bad[start:stop]
    scored = score(features.Features(stop - start, inputs, Faults.none(), bad))
    moved = scored.faults.moved_to(np.arange(start, stop)) if len(scored.faults) else scored.faults
    return ScoredRows(scored.outputs, scored.kept + start, moved), len(bad) - int(np.count_nonzero(bad))


def _padded(first: Rows, batch_rows: int) -> Rows:
    """The rows with the first repeated until the last batch has a size that the proof has tried: a power of two."""
    short = len(first) % batch_rows
    size = min(max(1 << (short - 1).bit_length(), LEAST_BATCH_ROWS), batch_rows) if short else 0
    return np.concatenate([first, np.repeat(first[:1], size - short)]) if short else first


def _spread(scored: ScoredRows, distinct: Distinct, good: Rows, *, rows: int) -> ScoredRows:
    """Outputs and faults of `rows` distinct rows, given to all the rows that are like them."""
    if len(scored.kept) == rows:
        return ScoredRows(
            {name: values[distinct.place] for name, values in scored.outputs.items()}, good, Faults.none()
        )
    at = np.full(rows, -1, np.int64)
    at[scored.kept] = np.arange(len(scored.kept))
    at = at[distinct.place]
    fine = at >= 0
    outputs = {name: values[at[fine]] for name, values in scored.outputs.items()}
    return ScoredRows(outputs, good[fine], _spread_faults(scored.faults, distinct.place[~fine], good[~fine]))


def _spread_faults(faults: Faults, like: Rows, rows: Rows) -> Faults:
    """All faults of distinct row like[i] as faults of rows[i]."""
    of_each = faults.row_of_each
    order = np.argsort(of_each, kind="stable")
    begin, end = (np.searchsorted(of_each[order], like, side=side) for side in ("left", "right"))
    counts = end - begin
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = faults.table.take(int64_array(order[np.repeat(begin, counts) + within]))
    return Faults(taken.set_column(0, taken.schema.field("row"), int64_array(np.repeat(rows, counts))))


def _joined(windows: Sequence[ScoredRows], faults: Faults) -> ScoredRows:
    filled = [one.outputs for one in windows if len(one.kept)]
    outputs: Outputs = {name: np.concatenate([one[name] for one in filled]) for name in filled[0]} if filled else {}
    kept = np.concatenate([np.empty(0, np.int64), *(one.kept for one in windows)])
    return ScoredRows(outputs, kept, Faults.together([faults, *(one.faults for one in windows)]))


def _keys(columns: Columns, rows: Rows) -> NDArray[Any]:
    """The bytes of each row side by side: shape [rows], one opaque value each; texts as numbers of their own."""
    every = {name: _as_numbers(values) for name, values in columns.items()}
    fields = [(f"{place}", values.dtype, values.shape[1:]) for place, values in enumerate(every.values())]
    key = np.empty(len(rows), np.dtype(fields))
    for start in range(0, len(rows), FILL_ROWS):
        block, taken = key[start : start + FILL_ROWS], _span_or_rows(rows[start : start + FILL_ROWS])
        for place, values in enumerate(every.values()):
            block[f"{place}"] = values[taken]
    return key


def _span_or_rows(rows: Rows) -> slice | Rows:
    """Neighbouring rows as a slice, which copies nothing."""
    return slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else rows


def _as_numbers(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "O":
        return values
    codes = text_array(values.ravel().tolist()).dictionary_encode().indices
    return np.frombuffer(codes.buffers()[1], np.int32, len(codes), codes.offset * 4).reshape(values.shape)
