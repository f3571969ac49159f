"""Small real files of every format, and the rows that come out of them again."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.contract import Faults
from mlserve_cli.tables import Dialect, FoundFile, Shard, look_into, read_chunks, text_of

Row = tuple[object, ...]
PLAIN = Dialect()
_NULL = "\ue000null\ue000"  # csv can write no null: it is written as this, in quotes, and taken out again


def look(path: Path, *, dialect: Dialect = PLAIN, input_format: str | None = None) -> Shard:
    """The file at `path` as a shard."""
    file = FoundFile(str(path), text_of(path.name))
    return look_into(file, index=0, dialect=dialect, input_format=input_format)


def read(
    shard: Shard,
    *,
    columns: Sequence[str] | None = None,
    start: int = 0,
    stop: int | None = None,
    chunk_rows: int = 1000,
    dialect: Dialect = PLAIN,
) -> tuple[list[Row], dict[int, str]]:
    """The rows [start, stop) as tuples, and the reason of each bad row by its place in the shard."""
    names = [column.name for column in shard.columns] if columns is None else columns
    stop = shard.rows if stop is None else stop
    rows: list[Row] = []
    bad: dict[int, str] = {}
    expected = start
    for chunk in read_chunks(
        shard, columns=names, start_row=start, stop_row=stop, chunk_rows=chunk_rows, dialect=dialect
    ):
        assert chunk.start_row == expected
        assert chunk.table.num_rows == min(chunk_rows, stop - expected)
        assert chunk.table.column_names == list(names)
        expected += chunk.table.num_rows
        rows += rows_of(chunk.table)
        bad |= {chunk.start_row + row: reason for row, reason in faults_of(chunk.faults)}
    return rows, bad


def rows_of(table: pa.Table) -> list[Row]:
    """A table's rows as tuples."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def faults_of(faults: Faults) -> list[tuple[int, str]]:
    """Row and reason of each fault."""
    return list(zip(faults.table["row"].to_pylist(), faults.table["reason"].to_pylist(), strict=True))


def write_text(path: Path, text: str | bytes) -> Path:
    """A file of exactly these bytes."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def write_table(path: Path, table: pa.Table, *, row_group_rows: int = 3) -> Path:
    """The table as what the ending says: Parquet with checksums, or CSV by Python's own writer, compressed or not."""
    if path.suffix in (".parquet", ".pq"):
        pq.write_table(table, path, row_group_size=row_group_rows, write_page_checksum=True)
        return path
    delimiter = "\t" if ".tsv" in path.name else ","
    return write_text(path, packed(python_csv(table, delimiter=delimiter).encode(), path.suffix))


def python_csv(table: pa.Table, *, delimiter: str = ",", end: str = "\n") -> str:
    """CSV as Python's csv module writes it: texts in quotes, so that an empty one is not the null that nothing is."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(table.column_names)
    columns = [[_NULL if value is None else value for value in column.to_pylist()] for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().replace(f'"{_NULL}"', "")


def packed(data: bytes, suffix: str) -> bytes:
    """The bytes compressed as the ending says."""
    if suffix == ".gz":
        return gzip.compress(data, mtime=0)
    return bytes(pa.compress(data, codec="zstd", asbytes=True)) if suffix == ".zst" else data
