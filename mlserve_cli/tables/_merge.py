"""Output files read back: their rows counted, their tables, and several of them made one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import pyarrow as pa

from mlserve_cli.tables._look import look_into
from mlserve_cli.tables._names import text_of
from mlserve_cli.tables._parquet import opened
from mlserve_cli.tables._part import ROW_GROUP_ROWS, PartCompression, write_part
from mlserve_cli.tables._read import read_chunks
from mlserve_cli.tables._values import Dialect, Format, FoundFile, Shard

MERGE_ROWS = 1 << 16
PART_DIALECT = Dialect(delimiter=",")


def merge_parts(
    paths: Sequence[str],
    file: BinaryIO,
    *,
    schema: pa.Schema,
    format: Format,
    compression: PartCompression = "zstd",
    row_group_rows: int = ROW_GROUP_ROWS,
    metadata: Mapping[str, str] | None = None,
    header: bool = True,
) -> int:
    """The rows of all parts, in order, as one file of `format`; returns how many there are.

    Parts of the same rows cut otherwise give the same bytes. Nothing but a row group is in memory at once.
    """
    tables = (table for path in paths for table in _tables(path))
    return write_part(
        file,
        tables,
        schema=schema,
        format=format,
        compression=compression,
        row_group_rows=row_group_rows,
        metadata=metadata,
        header=header,
    )


def part_rows(path: str) -> int:
    """The rows of a part, read back: from the footer, or counted."""
    return _as_shard(path).rows


def read_part(path: str, *, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole part, or some of its columns, checksums verified; a CSV's columns are text."""
    tables = list(_tables(path, columns=columns))
    if tables:
        return pa.concat_tables(tables)
    shard = _as_shard(path)
    schema = (
        part_schema(path) if shard.format == "parquet" else pa.schema([(c.name, pa.string()) for c in shard.columns])
    )
    return schema.empty_table().select(list(columns) if columns is not None else schema.names)


def part_schema(path: str) -> pa.Schema:
    """The schema of a Parquet part, its metadata included."""
    with opened(path, name=text_of(path)) as file:
        return file.schema_arrow


def _tables(path: str, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    shard = _as_shard(path)
    names = [column.name for column in shard.columns] if columns is None else columns
    for chunk in read_chunks(
        shard, columns=names, start_row=0, stop_row=shard.rows, chunk_rows=MERGE_ROWS, dialect=PART_DIALECT
    ):
        yield chunk.table


def _as_shard(path: str) -> Shard:
    return look_into(FoundFile(path, text_of(path)), index=0, dialect=PART_DIALECT)
