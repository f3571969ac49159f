"""Labels that came in later: files of an id and what turned out to be true, read as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from mlserve_cli import tables
from mlserve_cli.errors import CorruptFile, DataError, MissingColumn, UsageError, shown
from mlserve_cli.scoring.carried import common_schema
from mlserve_cli.tables import Dialect, Shard

CHUNK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Labels:
    """Rows of label files, in the order of the files.

    `ids` holds the id columns under the run's names, `values` the label, `times` when each became known (None where no
    column says it), `others` further columns of the files. `sources` names each file with its digest.
    """

    ids: pa.Table
    values: pa.ChunkedArray
    times: pa.ChunkedArray | None
    others: pa.Table
    column: str
    sources: dict[str, str]


def read_labels(
    paths: Sequence[str],
    *,
    on: dict[str, str],
    column: str | None = None,
    time: str | None = None,
    others: Sequence[str] = (),
    dialect: Dialect = tables.Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
) -> Labels:
    """The rows of `paths` (files, folders, globs), whose columns `on` identify rows: the run's name to the file's.

    The label is `column`, else the only column that is not spoken for. Of `others` those are read that the files have.

    Raises InputMissing (66) where a path matches nothing, MissingColumn (65), UsageError (2) where it is not clear
    which column is the label, TypeMismatch (65) where two files have types of one column that do not go together.
    """
    files = tables.find_files(tuple(paths), output=None).files
    shards = [
        tables.look_into(file, index=index, dialect=dialect, input_format=input_format)
        for index, file in enumerate(files)
    ]
    label = column or _only_column(shards[0], spoken_for=(*on.values(), *([time] if time else []), *others))
    needed = (*on.values(), label, *([time] if time else []))
    present = set.intersection(*({one.name for one in shard.columns} for shard in shards))
    _check_columns(shards, needed)
    beside = tuple(name for name in others if name in present)
    table = _read(shards, tuple(dict.fromkeys((*needed, *beside))), dialect=dialect)
    return Labels(
        ids=pa.table({run: table[file] for run, file in on.items()}),
        values=table[label],
        times=None if time is None else _times(table[time], time),
        others=table.select(beside),
        column=label,
        sources={shard.name: shard.digest for shard in shards},
    )


def parse_time(text: str) -> pa.Scalar:
    """A moment as people write it: 2026-11-23, 2026-11-23T06:00:00, with an offset or none (UTC then)."""
    try:
        return _as_utc(pa.chunked_array([pa.array([text])]))[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"{shown(text)} is no time", "--as-of", "as in 2026-11-23 or 2026-11-23T06:00:00") from error


def _only_column(shard: Shard, *, spoken_for: Sequence[str]) -> str:
    left = [column.name for column in shard.columns if column.name not in spoken_for]
    if len(left) != 1:
        names = ", ".join(map(shown, left[:12]))
        raise UsageError(
            f"which column is the label? {shown(shard.name, limit=400)} has {len(left)} beside the id",
            "--label",
            f"name one of {names}" if left else "the file holds nothing but ids",
        )
    return left[0]


def _check_columns(shards: Sequence[Shard], names: Sequence[str]) -> None:
    for shard in shards:
        present = tuple(column.name for column in shard.columns)
        for name in names:
            if name not in present:
                raise MissingColumn(shard.name, name, present)


def _read(shards: Sequence[Shard], columns: tuple[str, ...], *, dialect: Dialect) -> pa.Table:
    schema = common_schema(shards, columns)
    pieces = [schema.empty_table()]
    for shard in shards:
        chunks = tables.read_chunks(
            shard, columns=columns, start_row=0, stop_row=shard.rows, chunk_rows=CHUNK_ROWS, dialect=dialect
        )
        for chunk in chunks:
            if len(chunk.faults):
                first = chunk.faults.table.slice(0, 1).to_pylist()[0]
                place = f"{shown(shard.name, limit=400)}, row {chunk.start_row + first['row']}"
                raise CorruptFile(f"{first['reason']}: {first['value']}", place, "mend the row")
            pieces.append(chunk.table.cast(schema))
    return pa.concat_tables(pieces)


def _times(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return _as_utc(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column {shown(name)} holds no times: {' '.join(str(error).split())[:120]}",
            "--label-time",
            "dates or timestamps, as in 2026-11-23 or 2026-11-23T06:00:00",
        ) from error


def _as_utc(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps of microseconds; without an offset they count as UTC."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        zoned = pc.match_substring_regex(column, r"\d(Z|[+-]\d\d:?\d\d)$")
        zoned = pc.and_(zoned, pc.match_substring(column, ":"))  # the end of 2026-11-23 is no offset
        plain = pc.if_else(zoned, None, column).cast(pa.timestamp("us"))
        with_offset = pc.if_else(zoned, column, None).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        return pc.coalesce(plain, with_offset)
    return column.cast(pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None)).cast(pa.timestamp("us"))
