"""The two ways through a Parquet file's row groups, and what each holds in memory.

Side by side, every column keeps a page open, as it stands in the file and decoded, and chunks of any size come out: the
quicker way for tens of columns. Of 2,000 columns in row groups of 50,000 rows that is 1,000 MiB (measured); the same
row group decoded whole, a few columns at a time, is 400.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.contract import int64_array
from mlserve_cli.tables._values import Column, Shard

MIB = 1 << 20
PAGE_BYTES = MIB
COPIES_OF_A_PAGE = 2.5  # 33 MiB for 28 columns
SIDE_BY_SIDE_BYTES = 128 * MIB  # what may be held for the quicker way
COLUMNS_AT_ONCE = 64
COPIES_OF_A_GROUP = 1.7  # with what the allocator keeps of pages: 690 MiB for one of 393 (measured)
ALIGNMENT = 64  # what Arrow asks of buffers

_WIDTHS = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "halffloat": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "float": 4,
    "double": 8,
}


def reader_bytes(columns: Iterable[Column], shards: Iterable[Shard]) -> int:
    """Bytes that a reader holds for these columns of the shards beside the chunk that it gives."""
    read = tuple(columns)
    return max((_held(read, _most_rows(shard)) for shard in shards if shard.format == "parquet"), default=0)


def goes_group_by_group(columns: Sequence[Column], shard: Shard) -> bool:
    """Whether row groups are decoded whole: where side by side would hold much, and whole ones are less."""
    return _held(columns, _most_rows(shard)) < _side_by_side(columns, _most_rows(shard))


def read_groups(
    file: pq.ParquetFile, *, groups: Iterable[int], leaves: Sequence[int], batch_rows: int, rows: int
) -> Iterator[pa.Table]:
    """The first `rows` of the row groups' rows, up to `batch_rows` at a time; no table reaches over the end of a group.

    The columns must have a fixed width.
    """
    left = rows
    for group in groups:
        rows = min(file.metadata.row_group(group).num_rows, left)
        left -= rows
        whole = _decoded(file, group, leaves)
        for start in range(0, rows - batch_rows, batch_rows):
            yield whole.slice(start, batch_rows)
        # A slice keeps its whole group: the last one is copied, or several groups would stand side by side.
        start = max(rows - 1, 0) // batch_rows * batch_rows
        last = whole.slice(start).take(int64_array(np.arange(rows - start)))
        del whole
        if last.num_rows:
            yield last


def _decoded(file: pq.ParquetFile, group: int, leaves: Sequence[int]) -> pa.Table:
    parts = [
        _packed(
            file.reader.read_row_group(group, column_indices=leaves[start : start + COLUMNS_AT_ONCE], use_threads=False)
        )
        for start in range(0, len(leaves), COLUMNS_AT_ONCE)
    ]
    fields = [field for part in parts for field in part.schema]
    return pa.Table.from_arrays([column for part in parts for column in part.columns], schema=pa.schema(fields))


def _packed(table: pa.Table) -> pa.Table:
    """The same in memory of its own. Between pages that come and go, what stays would keep as much again from use."""
    arrays = [column.combine_chunks() for column in table.columns]
    arrays = [pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array for array in arrays]
    sizes = [buffer.size for array in arrays for buffer in array.buffers() if buffer is not None]
    block = np.frombuffer(mmap.mmap(-1, max(sum(map(_aligned, sizes)), 1)), np.uint8)
    end = 0

    def moved(buffer: pa.Buffer | None) -> pa.Buffer | None:
        nonlocal end
        if buffer is None:
            return None
        start, end = end, end + _aligned(buffer.size)
        kept = block[start : start + buffer.size]
        kept[:] = np.frombuffer(buffer, np.uint8)
        return pa.py_buffer(kept)

    packed = []
    for array in arrays:
        buffers = [moved(buffer) for buffer in array.buffers()]
        packed.append(pa.Array.from_buffers(array.type, len(array), buffers, offset=array.offset))
    return pa.Table.from_arrays(packed, schema=table.schema)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _held(columns: Sequence[Column], rows: int) -> int:
    side_by_side, widths = _side_by_side(columns, rows), [_WIDTHS.get(column.type) for column in columns]
    if side_by_side <= SIDE_BY_SIDE_BYTES or None in widths:
        return side_by_side
    one_slice = _side_by_side(columns[:COLUMNS_AT_ONCE], rows)
    group = rows * sum(width for width in widths if width is not None)
    return min(side_by_side, one_slice + int(COPIES_OF_A_GROUP * group))


def _side_by_side(columns: Sequence[Column], rows: int) -> int:
    widths = (_WIDTHS.get(column.type, 8) for column in columns)
    return int(COPIES_OF_A_PAGE * sum(min(rows * width, PAGE_BYTES) for width in widths))


def _most_rows(shard: Shard) -> int:
    return max((block.rows for block in shard.blocks), default=0)
