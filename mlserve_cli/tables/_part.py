"""Writing one output file: the same bytes for the same rows, however they arrive.

Rows are held back until a row group is full, so that neither chunk sizes nor the way a table is cut into pieces show
in the file. The stream belongs to the caller; files appear through `storage` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.contract import in_types_of
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.tables._csv_text import SLICE_ROWS, csv_text, header_text
from mlserve_cli.tables._values import Format

ROW_GROUP_ROWS = 1 << 17
PARQUET_COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
CSV_COMPRESSIONS = ("zstd", "gzip", "none")


def write_part(
    file: BinaryIO,
    tables: Iterable[pa.Table],
    *,
    schema: pa.Schema,
    format: Format,
    compression: str = "zstd",
    row_group_rows: int = ROW_GROUP_ROWS,
    metadata: Mapping[str, str] | None = None,
    header: bool = True,
) -> int:
    """All of `tables` as one file; returns the number of rows in it."""
    with PartWriter(
        file,
        schema=schema,
        format=format,
        compression=compression,
        row_group_rows=row_group_rows,
        metadata=metadata,
        header=header,
    ) as part:
        for table in tables:
            part.write(table)
    return part.rows


class PartWriter:
    """An output file being written. `rows` is complete once the writer is closed; the stream stays open."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        schema: pa.Schema,
        format: Format,
        compression: str = "zstd",
        row_group_rows: int = ROW_GROUP_ROWS,
        metadata: Mapping[str, str] | None = None,
        header: bool = True,
    ) -> None:
        self.rows = 0
        self._schema = _plain(schema, metadata or {})
        self._row_group_rows = row_group_rows
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._stream = Stream(file)
        self._sink: _Sink = (
            _ParquetSink(self._stream, self._schema, compression=compression, row_group_rows=row_group_rows)
            if format == "parquet"
            else CsvSink(self._stream, self._schema, compression=compression, header=header)
        )

    def write(self, table: pa.Table) -> None:
        """Rows of the schema's columns, by name; losslessly cast where the type is another."""
        table = in_types_of(table.select(self._schema.names), self._schema)
        self.rows += table.num_rows
        while self._held_rows + table.num_rows >= self._row_group_rows:
            room = self._row_group_rows - self._held_rows
            self._held.append(table.slice(0, room))
            self._flush()
            table = table.slice(room)
        if table.num_rows:
            self._held.append(table)
            self._held_rows += table.num_rows

    def close(self) -> None:
        """Writes what is held back and the end of the file."""
        if self._held:
            self._flush()
        self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.is_deaf = True  # whatever pyarrow's destructors still want to say

    def _flush(self) -> None:
        self._sink.write(pa.concat_tables(self._held).combine_chunks())
        self._held, self._held_rows = [], 0


class _Sink(Protocol):
    """One format's way to the stream."""

    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class _ParquetSink:
    """zstd, page checksums, dictionaries for texts alone: scores hardly repeat, and trying costs time.

    Whole numbers as differences: ids and row numbers mostly grow evenly, and that is written in half the time.
    """

    def __init__(self, stream: Stream, schema: pa.Schema, *, compression: str, row_group_rows: int) -> None:
        _check_compression(compression, PARQUET_COMPRESSIONS, format="Parquet")
        self._row_group_rows = row_group_rows
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression=compression,
            version="2.6",
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            column_encoding={field.name: "DELTA_BINARY_PACKED" for field in schema if pa.types.is_integer(field.type)},
            write_statistics=True,
            write_page_checksum=True,
            store_schema=True,
        )

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=self._row_group_rows)

    def close(self) -> None:
        self._writer.close()


class CsvSink:
    """UTF-8, LF, compressed as a stream where asked for."""

    def __init__(self, stream: Stream, schema: pa.Schema, *, compression: str, header: bool) -> None:
        _check_compression(compression, CSV_COMPRESSIONS, format="CSV")
        self._file = stream if compression == "none" else pa.CompressedOutputStream(stream, compression)
        if header:
            self._file.write(header_text(schema.names))

    def write(self, table: pa.Table) -> None:
        for start in range(0, table.num_rows, SLICE_ROWS):
            self._file.write(csv_text(table.slice(start, SLICE_ROWS)))

    def write_text(self, lines: memoryview) -> None:
        """Whole lines as they are."""
        self._file.write(lines)

    def close(self) -> None:
        self._file.close()


def _check_compression(compression: str, known: tuple[str, ...], *, format: str) -> None:
    if compression not in known:
        what = f"{format} cannot be compressed with {shown(compression)}"
        raise UsageError(what, "--compression", f"one of {', '.join(known)}")


class Stream:
    """The caller's stream: pyarrow may not close it, nor write to it any more once the file was given up."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_deaf = False

    def write(self, data: bytes | memoryview) -> int:
        return len(data) if self.is_deaf else self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.is_deaf = kind is not None

    def flush(self) -> None:
        """The caller flushes."""

    def close(self) -> None:
        """The caller closes."""


def _plain(schema: pa.Schema, metadata: Mapping[str, str]) -> pa.Schema:
    """The schema without dictionaries, whose codes would depend on the chunks, and with our metadata alone."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema
    ]
    return pa.schema([field.remove_metadata() for field in fields], metadata=dict(metadata) or None)
