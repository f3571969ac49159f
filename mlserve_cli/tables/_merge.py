"""Output files read back: their rows counted, their tables, and several of them made one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import pyarrow as pa

from mlserve_cli.errors import CorruptFile, shown
from mlserve_cli.tables._csv import without_head
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._look import compression_of, look_into
from mlserve_cli.tables._names import text_of
from mlserve_cli.tables._parquet import opened
from mlserve_cli.tables._part import ROW_GROUP_ROWS, CsvSink, Stream, write_part
from mlserve_cli.tables._read import read_chunks
from mlserve_cli.tables._records import Piece, Rules, whole_records
from mlserve_cli.tables._source import open_source
from mlserve_cli.tables._values import Dialect, Format, FoundFile, Shard

MERGE_ROWS = 1 << 16
PART_DIALECT = Dialect(delimiter=",")
Path = str | os.PathLike[str]


def merge_parts(
    paths: Sequence[Path],
    file: BinaryIO,
    *,
    schema: pa.Schema,
    format: Format,
    compression: str = "zstd",
    row_group_rows: int = ROW_GROUP_ROWS,
    metadata: Mapping[str, str] | None = None,
    header: bool = True,
) -> int:
    """The rows of all parts, in order, as one file of `format`; returns how many there are.

    Parts of the same rows cut otherwise give the same bytes. No more than a row group is in memory at once.
    """
    if format == "csv":
        return _joined_text(paths, file, schema=schema, compression=compression, header=header)
    return write_part(
        file,
        (table for path in paths for table in _tables(path)),
        schema=schema,
        format=format,
        compression=compression,
        row_group_rows=row_group_rows,
        metadata=metadata,
    )


def part_rows(path: Path) -> int:
    """The rows of a part, read back: from the footer, or counted."""
    return _as_shard(path).rows


def part_schema(path: Path) -> pa.Schema:
    """The schema of a part, its metadata included; a CSV's columns are text."""
    shard = _as_shard(path)
    if shard.format == "csv":
        return pa.schema([(column.name, pa.string()) for column in shard.columns])
    with opened(shard.os_path, name=shard.name) as file:
        return file.schema_arrow


def read_part(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole part, or some of its columns, checksums verified; a CSV's columns are text."""
    schema = part_schema(path)
    if columns is not None:
        schema = pa.schema([schema.field(column) for column in columns], schema.metadata)
    return pa.concat_tables([schema.empty_table(), *_tables(path, columns=columns)])


def _joined_text(paths: Sequence[Path], file: BinaryIO, *, schema: pa.Schema, compression: str, header: bool) -> int:
    """Lines copied as they stand, counted on the way: nothing is parsed."""
    rows = 0
    with Stream(file) as stream:
        sink = CsvSink(stream, schema, compression=compression, header=header)
        for path in paths:
            for piece in _lines(os.fspath(path)):
                rows += piece.rows(one_column=len(schema) == 1)
                sink.write_text(piece.data.data)
        sink.close()
    return rows


def _lines(path: str) -> Iterator[Piece]:
    name = text_of(path)
    with translated(name), open_source(path, compression=compression_of(path)) as source:
        yield from without_head(whole_records(source, Rules(name=name, delimiter=",", dialect=PART_DIALECT)))


def _tables(path: Path, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    shard = _as_shard(path)
    names = [column.name for column in shard.columns] if columns is None else columns
    for chunk in read_chunks(
        shard, columns=names, start_row=0, stop_row=shard.rows, chunk_rows=MERGE_ROWS, dialect=PART_DIALECT
    ):
        if len(chunk.faults):
            raise CorruptFile("a row has too few or too many fields", shown(shard.name, limit=400), "score it anew")
        yield chunk.table


def _as_shard(path: Path) -> Shard:
    text = os.fspath(path)
    return look_into(FoundFile(text, text_of(text)), index=0, dialect=PART_DIALECT)
