"""How far two columns of the same rows are from each other: scores by value, anything else by being the same.

For golden rows, and for a replay on another machine. Nothing is like NaN but NaN, nor like an infinity but itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc

Floats = NDArray[np.float64]


def distances(one: pa.ChunkedArray, other: pa.ChunkedArray) -> Floats:
    """For each row the largest absolute difference of its values, float64, shape [rows]; infinite where there is none.

    Floats, lists of them, and what a CSV makes of either have differences. All other columns are the same or not.
    """
    if one.equals(other):
        return np.zeros(len(one))
    left, right = _lists_of_floats(one), _lists_of_floats(other)
    if left is None or right is None or not left.offsets.equals(right.offsets):
        return _all_or_nothing(one, other)
    apart = _apart(_floats(left.values), _floats(right.values))
    starts = np.frombuffer(left.offsets.buffers()[1], np.int32, len(one), left.offsets.offset * 4)
    return np.maximum.reduceat(apart, starts) if len(apart) else np.zeros(len(one))


def _all_or_nothing(one: pa.ChunkedArray, other: pa.ChunkedArray) -> Floats:
    """0 where two columns that hold no floats are equal, or both null; infinite elsewhere and where none can be."""
    try:
        same = pc.or_(pc.fill_null(pc.equal(one, other), False), pc.and_(one.is_null(), other.is_null()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # lists, or two kinds of values
        return np.full(len(one), np.inf)
    apart = np.zeros(len(one))
    rows = pc.indices_nonzero(pc.invert(same))
    if len(rows):
        apart[np.frombuffer(rows.buffers()[1], np.uint64, len(rows), rows.offset * 8)] = np.inf
    return apart


def _apart(left: Floats, right: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
    apart[np.isnan(apart)] = np.inf
    apart[(left == right) | (np.isnan(left) & np.isnan(right))] = 0.0
    return apart


def _lists_of_floats(column: pa.ChunkedArray) -> pa.ListArray | None:
    """The column's floats, those of each row together; None where it holds no floats, or none in some row."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    lists = _as_lists(array)
    if lists is None or lists.null_count or not pc.all(pc.greater(pc.list_value_length(lists), 0)).as_py():
        return None
    try:
        return lists.cast(pa.list_(pa.float64()))
    except pa.ArrowInvalid:  # text that is no number
        return None


def _as_lists(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if pa.types.is_string(kind):
        return pc.split_pattern(pc.utf8_trim(array, "[]"), ",")  # a number is a list of one
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return array.cast(pa.list_(kind.value_type)) if pa.types.is_floating(kind.value_type) else None
    if pa.types.is_floating(kind):
        ends = np.arange(len(array) + 1, dtype=np.int32)
        offsets = pa.Array.from_buffers(pa.int32(), len(ends), [None, pa.py_buffer(ends)])
        return pa.ListArray.from_arrays(offsets, array)
    return None


def _floats(values: pa.Array) -> Floats:
    """The values as float64, NaN at nulls; over buffers, since to_numpy() imports pandas."""
    whole = pc.fill_null(values, float("nan"))
    return np.frombuffer(whole.buffers()[1], np.float64, len(whole), whole.offset * 8)
