"""List columns: how many values a row holds, lists in lists counted to their innermost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc
from mlserve_cli.features._buffers import Mask, null_mask, values_of


def flattened(array: pa.Array) -> pa.Array:
    """The innermost values, row after row; the array holds no null."""
    while is_list(array.type):
        array = array.flatten()
    return array


def has_wrong_length(array: pa.Array, width: int) -> Mask:
    """Rows that are lists, but not of `width` values in all."""
    lengths = _total_lengths(array)
    nulls = null_mask(array)
    wrong: Mask = lengths != width
    return wrong if nulls is None else wrong & ~nulls


def _total_lengths(array: pa.Array) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = values_of(pc.cast(pc.list_value_length(array), pa.int64())).copy()
    nulls = null_mask(array)
    if nulls is not None:
        lengths[nulls] = 0
    if not is_list(array.type.value_type):
        return lengths
    inner = _total_lengths(array.flatten())
    ends = np.concatenate([[0], np.cumsum(inner)])
    stops = np.cumsum(lengths)
    totals: NDArray[np.int64] = ends[stops] - ends[stops - lengths]
    return totals


def fixed_width(kind: pa.DataType) -> int:
    """Values per row of a list type whose sizes are all fixed."""
    width = 1
    while is_list(kind):
        width, kind = width * kind.list_size, kind.value_type
    return width


def is_list(kind: pa.DataType) -> bool:
    """Whether the type is a list of any kind."""
    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind))
