"""Arrow columns as numpy arrays over their buffers.

Not `Array.to_numpy()`: it imports pandas where that is installed, 220 ms of every start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_DTYPES = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint8(): np.uint8,
    pa.uint16(): np.uint16,
    pa.uint32(): np.uint32,
    pa.uint64(): np.uint64,
    pa.float16(): np.float16,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
}

# numpy name of a number type -> its Arrow type
ARROW_TYPES = {np.dtype(kind).name: arrow for arrow, kind in _DTYPES.items()}


def list_width(kind: pa.DataType) -> int:
    """How many values a fixed-size list holds; 0 for what is none."""
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else 0


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as one array: no copy where it is one already."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def values_of(array: pa.Array) -> NDArray[Any]:
    """The values of a number or bool array, shape [n], read-only over its buffer; at nulls stands anything."""
    if pa.types.is_boolean(array.type):
        return _bits(array.buffers()[1], array.offset, len(array))
    dtype = np.dtype(_DTYPES[array.type])
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * dtype.itemsize)


def null_mask(array: pa.Array) -> Mask | None:
    """True where the array is null, shape [n]; None where nothing is."""
    if array.null_count == 0:
        return None
    if pa.types.is_null(array.type):
        return np.ones(len(array), np.bool_)
    return ~_bits(array.buffers()[0], array.offset, len(array))


def rows_where(mask: Mask) -> NDArray[np.int64]:
    """The positions where `mask` is true, int64, ascending."""
    return np.flatnonzero(mask).astype(np.int64, copy=False)


def as_arrow(values: NDArray[Any], *, nulls: Mask | None = None) -> pa.Array:
    """A numeric or bool numpy array, shape [n], as an Arrow array over the same memory where the dtype allows it."""
    validity = None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))
    if values.dtype == np.bool_:
        data = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [validity, data])
    arrow = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(arrow, len(values), [validity, pa.py_buffer(np.ascontiguousarray(values))])


def _bits(bitmap: pa.Buffer | None, offset: int, count: int) -> Mask:
    if bitmap is None or count == 0:
        return np.zeros(count, np.bool_)
    first, last = offset // 8, (offset + count + 7) // 8
    packed = np.frombuffer(bitmap, np.uint8, count=last - first, offset=first)
    bits = np.unpackbits(packed, count=offset % 8 + count, bitorder="little")
    return bits[offset % 8 :].view(np.bool_)
