"""Parquet shards: the footer looked into, row groups read column by column, checksums verified, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.contract import Faults
from mlserve_cli.errors import CorruptFile, shown
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._row_groups import buffer_bytes, goes_group_by_group, read_groups
from mlserve_cli.tables._values import Block, Chunk, Column, Facts, Shard

MAGIC = b"PAR1"
ENCRYPTED_MAGIC = b"PARE"
FOOTER_TAIL = 8  # the footer's length (4 bytes, little endian) and the magic


def look_into_parquet(path: str, *, name: str) -> Facts:
    """The footer alone is read."""
    digest = footer_digest(path, name=name)
    with opened(path, name=name) as file:
        metadata = file.metadata
        columns = tuple(Column(field.name, str(field.type)) for field in file.schema_arrow)
        _leaves(file, name=name)
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        total = metadata.num_rows
    if total and not columns:
        raise _corrupt(name, "it has rows without a column")
    if total != sum(counts) or min(counts, default=0) < 0:
        raise _corrupt(name, f"the footer counts {total} rows, its row groups {sum(counts)}")
    blocks = tuple(Block(rows, group, group + 1) for group, rows in enumerate(counts) if rows)
    return Facts(digest, total, columns, blocks)


def read_parquet(
    shard: Shard, *, columns: Sequence[int], start_row: int, stop_row: int, batch_rows: int
) -> Iterator[Chunk]:
    """Chunks of up to `batch_rows` rows, from the first row group that holds a wanted row to the last.

    `columns` are positions in the file; those of the table keep the file's order.
    """
    ends = np.cumsum([block.rows for block in shard.blocks])
    first, last = (int(np.searchsorted(ends, row, side="right")) for row in (start_row, stop_row - 1))
    row = int(ends[first]) - shard.blocks[first].rows
    with opened(shard.os_path, name=shard.name, width=len(columns)) as file:
        leaves = _leaves(file, name=shard.name)
        groups = [block.start for block in shard.blocks[first : last + 1]]
        read = [leaf for position in sorted(columns) for leaf in leaves[position]]
        if goes_group_by_group([shard.columns[position] for position in columns], shard):
            tables = read_groups(
                file, groups=groups, leaves=read, batch_rows=batch_rows, offset=start_row - row, rows=stop_row - row
            )
        else:
            batches = file.reader.iter_batches(batch_rows, row_groups=groups, column_indices=read, use_threads=False)
            tables = (pa.Table.from_batches([batch]) for batch in batches)
        for table in tables:
            yield Chunk(row, table, Faults.none())
            row += table.num_rows


@contextmanager
def opened(path: str, *, name: str, width: int = 1) -> Iterator[pq.ParquetFile]:
    """The file at `path`, never memory-mapped (a file cut short would be a SIGBUS), page checksums verified."""
    with translated(name), _by_number(path) as reachable, pa.OSFile(reachable) as source:
        yield pq.ParquetFile(
            source,
            memory_map=False,
            pre_buffer=False,
            buffer_size=buffer_bytes(width),
            page_checksum_verification=True,
        )


@contextmanager
def _by_number(path: str) -> Iterator[str]:
    """pyarrow takes no path that is not UTF-8: such a file is opened here and named by its descriptor."""
    if path.isascii() or path == path.encode(errors="replace").decode():
        yield path
        return
    with open(path, "rb", buffering=0) as file:
        yield f"/proc/self/fd/{file.fileno()}"


def footer_digest(path: str, *, name: str) -> str:
    """sha256 over the footer: the counts, sizes and statistics in it change with any rewrite of the file."""
    with translated(name), open(path, "rb") as file:
        return f"footer-sha256:{hashlib.sha256(_footer(file, name=name)).hexdigest()}"


def _footer(file: BinaryIO, *, name: str) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if size < FOOTER_TAIL + len(MAGIC):
        raise _corrupt(name, f"{size} bytes are no Parquet file")
    file.seek(size - FOOTER_TAIL)
    tail = file.read(FOOTER_TAIL)
    if tail[4:] == ENCRYPTED_MAGIC:
        raise CorruptFile("its footer is encrypted", shown(name, limit=400), "decrypt the file first")
    if tail[4:] != MAGIC:
        raise _corrupt(name, "its end is missing")
    length = int.from_bytes(tail[:4], "little")
    if length > size - FOOTER_TAIL - len(MAGIC):
        raise _corrupt(name, f"its footer would be {length} bytes long, the file has {size}")
    file.seek(size - FOOTER_TAIL - length)
    return file.read(length + FOOTER_TAIL)


def _leaves(file: pq.ParquetFile, *, name: str) -> list[range]:
    """For each column of the file, the leaves that hold it. By position: names may hold dots and stand twice."""
    leaves, start = [], 0
    for field in file.schema_arrow:
        count = _leaf_count(field.type)
        leaves.append(range(start, start + count))
        start += count
    if start != file.metadata.num_columns:
        raise _corrupt(name, f"its schema has {start} leaves, its footer {file.metadata.num_columns}")
    return leaves


def _leaf_count(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _leaf_count(kind.storage_type)
    if pa.types.is_dictionary(kind) or not pa.types.is_nested(kind):
        return 1
    return sum(_leaf_count(kind.field(index).type) for index in range(kind.num_fields))


def _corrupt(name: str, detail: str) -> CorruptFile:
    return CorruptFile(f"it is not a whole Parquet file: {detail}", shown(name, limit=400), "write it anew")
