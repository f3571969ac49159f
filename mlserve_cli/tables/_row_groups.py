"""The two ways through a Parquet file's row groups, and what each holds in memory.

Side by side, every column keeps a page open, as it stands in the file and decoded, and chunks of any size come out: the
quicker way for tens of columns. Of 2,000 columns in row groups of 50,000 rows that is 1,000 MiB (measured); the same
row group decoded whole, a few columns at a time, is 400.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.contract import int64_array
from mlserve_cli.tables._values import Column, Shard

MIB = 1 << 20
PAGE_BYTES = MIB
COPIES_OF_A_PAGE = 2.0  # of one in use Arrow's allocator keeps as much again: 94 MiB for 53 in use (measured)
# For all columns together: each column being read holds a buffer of the file. With 32 MiB no file was read faster, cold
# or warm, and 30 MiB more were held (28 columns, measured).
BUFFERS_BYTES = 4 * MIB
SIDE_BY_SIDE_BYTES = 128 * MIB  # what may be held for the quicker way
COLUMNS_AT_ONCE = 16  # of 2,000 columns, 64 at once held 63 MiB more, 8 held 6 less (measured)
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
    file: pq.ParquetFile, *, groups: Iterable[int], leaves: Sequence[int], batch_rows: int, offset: int, rows: int
) -> Iterator[pa.Table]:
    """The first `rows` of the row groups' rows, cut at `offset`, every `batch_rows` after it, and where a group ends.

    The columns must have a fixed width. Whoever reads may hold the last `batch_rows` rows that he was given, and
    single columns of all others for as long as he likes: one group stands in memory, and a few of each one's columns.
    """
    begin = 0
    for group in groups:
        end = min(begin + file.metadata.row_group(group).num_rows, rows)
        whole = _decoded(file, group, leaves)
        first = begin + (offset - begin) % batch_rows
        cuts = sorted({begin, *range(first, end, batch_rows), end})
        for start, stop in pairwise(cuts):
            piece = whole.slice(start - begin, stop - start)
            # A slice keeps its group: of the two that may still be held when the next one is decoded, a copy is given.
            yield piece if stop in cuts[:-2] else piece.take(int64_array(np.arange(stop - start)))
            del piece
        del whole
        begin = end


def _decoded(file: pq.ParquetFile, group: int, leaves: Sequence[int]) -> pa.Table:
    parts = [
        _moved(
            file.reader.read_row_group(group, column_indices=leaves[start : start + COLUMNS_AT_ONCE], use_threads=False)
        )
        for start in range(0, len(leaves), COLUMNS_AT_ONCE)
    ]
    fields = [field for part in parts for field in part.schema]
    return pa.Table.from_arrays([column for part in parts for column in part.columns], schema=pa.schema(fields))


def _moved(table: pa.Table) -> pa.Table:
    """The same in one piece of memory of its own.

    Between pages that come and go, what stays would keep as much again from use.
    """
    columns = [each.chunk(0) if each.num_chunks == 1 else pa.concat_arrays(each.chunks) for each in table.columns]
    sizes = [_aligned(buffer.size) for column in columns for buffer in column.buffers() if buffer is not None]
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    block = np.frombuffer(mmap.mmap(-1, max(sum(sizes), 1), flags=kind), np.uint8)
    end = 0

    def moved(buffer: pa.Buffer | None) -> pa.Buffer | None:
        nonlocal end
        if buffer is None:
            return None
        start, end = end, end + _aligned(buffer.size)
        kept = block[start : start + buffer.size]
        kept[:] = np.frombuffer(buffer, np.uint8)
        return pa.py_buffer(kept)

    arrays = [
        pa.Array.from_buffers(column.type, len(column), [*map(moved, column.buffers())], offset=column.offset)
        for column in columns
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _held(columns: Sequence[Column], rows: int) -> int:
    side_by_side, widths = _side_by_side(columns, rows), [_WIDTHS.get(column.type) for column in columns]
    if side_by_side <= SIDE_BY_SIDE_BYTES or None in widths:
        return side_by_side
    one_slice = _side_by_side(columns[:COLUMNS_AT_ONCE], rows, of=len(columns))
    group = rows * sum(width for width in widths if width is not None)
    return min(side_by_side, one_slice + group)


def _side_by_side(columns: Sequence[Column], rows: int, *, of: int = 0) -> int:
    """Pages and buffers of these columns, `of` so many that are read of the file."""
    sizes = [rows * _WIDTHS.get(column.type, 8) for column in columns]
    buffer = buffer_bytes(of or len(columns))
    return int(COPIES_OF_A_PAGE * sum(min(size, PAGE_BYTES) + min(size, buffer) for size in sizes))


def buffer_bytes(columns: int) -> int:
    """The buffer of each of so many columns that are read of a file."""
    return min(max(BUFFERS_BYTES // max(columns, 1), 1 << 14), 1 << 20)


def _most_rows(shard: Shard) -> int:
    return max((block.rows for block in shard.blocks), default=0)
