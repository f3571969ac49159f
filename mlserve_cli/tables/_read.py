"""Any rows of a shard as chunks of one size, whatever the format: the one way that rows come into the program."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import Faults
from mlserve_cli.errors import CorruptFile, DuplicateColumn, InputChanged, MissingColumn, shown
from mlserve_cli.tables._csv import read_csv
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._parquet import footer_digest, read_parquet
from mlserve_cli.tables._values import Chunk, Dialect, Shard

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def read_chunks(
    shard: Shard, *, columns: Sequence[str], start_row: int, stop_row: int, chunk_rows: int, dialect: Dialect
) -> Iterator[Chunk]:
    """Rows [start_row, stop_row) of a shard, `chunk_rows` at a time (the last chunk may be shorter), in order.

    The tables have `columns` in the order asked for, Hive keys among them. The file must be the one that was looked
    into, before and after, and must give as many rows as it had then.
    """
    positions, hive = _positions(shard, columns)
    check_unchanged(shard)
    if start_row >= stop_row:
        return
    wanted = sorted(set(positions)) or [0]  # a table without a column would forget how many rows it has
    if shard.format == "parquet":
        pieces = read_parquet(shard, columns=wanted, start_row=start_row, stop_row=stop_row, batch_rows=chunk_rows)
    else:
        pieces = read_csv(shard, columns=wanted, start_row=start_row, stop_row=stop_row, dialect=dialect)
    place = {position: index for index, position in enumerate(wanted)}
    places = [place[position] for position in positions]
    rows = start_row
    try:
        with translated(shard.name):
            for chunk in _regrouped(pieces, start_row=start_row, stop_row=stop_row, chunk_rows=chunk_rows):
                rows += chunk.table.num_rows
                yield _as_asked(chunk, columns, places, hive)
        if rows != stop_row:
            raise CorruptFile(f"it ends after row {rows}, {stop_row} were counted", shown(shard.name, limit=400))
    except CorruptFile:
        _check_status(shard)  # what looks like damage is most often a file that is being written
        raise
    _check_status(shard)


def check_unchanged(shard: Shard) -> None:
    """Refuses a file that is not the one that was looked into: by size and time, for Parquet by the footer too."""
    _check_status(shard)
    if shard.digest.startswith("footer-") and footer_digest(shard.os_path, name=shard.name) != shard.digest:
        raise InputChanged(shard.name, "its footer is another")


def _check_status(shard: Shard) -> None:
    with translated(shard.name):
        status = os.stat(shard.os_path)
    if status.st_size != shard.size_bytes:
        raise InputChanged(shard.name, f"it had {shard.size_bytes} bytes and has {status.st_size}")
    if status.st_mtime_ns != shard.mtime_ns:
        raise InputChanged(shard.name, "it was written again")


def _positions(shard: Shard, columns: Sequence[str]) -> tuple[list[int], dict[str, str]]:
    """Where the columns stand in the file, and the Hive keys among them with their values."""
    names = [column.name for column in shard.file_columns]
    counts, place, keys = Counter(names), {name: index for index, name in enumerate(names)}, dict(shard.hive)
    for column in columns:
        if counts[column] > 1:
            raise DuplicateColumn(shard.name, column)
        if column not in keys and (not column or column not in place):
            raise MissingColumn(shard.name, column, tuple(names))
    return [place[column] for column in columns if column not in keys], {c: keys[c] for c in columns if c in keys}


def _regrouped(pieces: Iterable[Chunk], *, start_row: int, stop_row: int, chunk_rows: int) -> Iterator[Chunk]:
    """Chunks that begin at start_row + k × chunk_rows, out of pieces of any size; rows outside the range fall away."""
    held: list[Chunk] = []
    begin = start_row
    for piece in pieces:
        piece_stop = piece.start_row + piece.table.num_rows
        while begin < min(piece_stop, stop_row):
            end = min(begin + chunk_rows, stop_row)
            held.append(_cut(piece, begin, end))
            if piece_stop < end:
                break
            yield _joined(held)
            held, begin = [], end
        if piece_stop >= stop_row:
            return
    if held and (last := _joined(held)).table.num_rows:
        yield last


def _cut(piece: Chunk, start_row: int, stop_row: int) -> Chunk:
    """The part of a piece that lies within the rows."""
    start = max(start_row, piece.start_row)
    stop = min(stop_row, piece.start_row + piece.table.num_rows)
    if stop - start == piece.table.num_rows:
        return piece
    skipped = start - piece.start_row
    table = piece.table.slice(skipped, stop - start)
    return Chunk(start, table, _moved(piece.faults, -skipped, stop=stop - start))


def _joined(parts: Sequence[Chunk]) -> Chunk:
    """Parts that follow each other as one, each column in one piece of memory."""
    if len(parts) == 1:
        return parts[0]
    start = parts[0].start_row
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    faults = [_moved(part.faults, part.start_row - start, stop=table.num_rows) for part in parts if len(part.faults)]
    return Chunk(start, table, Faults.together(faults))


def _moved(faults: Faults, by: int, *, stop: int) -> Faults:
    """The faults with their rows moved, those outside [0, stop) dropped."""
    if not len(faults):
        return faults
    rows = faults.table["row"].to_numpy() + by
    table = faults.table.set_column(0, "row", pa.array(rows, pa.int64()))
    return Faults(table.filter(pa.array((rows >= 0) & (rows < stop))))


def _as_asked(chunk: Chunk, columns: Sequence[str], places: Sequence[int], hive: dict[str, str]) -> Chunk:
    """The columns in the order asked for, under their names, the Hive keys among them."""
    rows, in_table = chunk.table.num_rows, iter(places)
    arrays = [
        _constant(hive[column], rows) if column in hive else chunk.table.column(next(in_table)) for column in columns
    ]
    table = pa.table(arrays, names=list(columns)) if arrays else chunk.table.select([])
    return Chunk(chunk.start_row, table, chunk.faults)


def _constant(value: str, rows: int) -> pa.Array:
    """One text for every row (string, length `rows`); Hive's word for null is null."""
    return pa.repeat(pa.scalar(None if value == HIVE_NULL else value, pa.string()), rows)


def spread_evenly(start_row: int, rows: int, *, wanted: int, total: int) -> NDArray[np.bool_]:
    """Which of `rows` rows from `start_row` on are among `wanted` of all `total`, evenly spread (bool, [rows])."""
    if total <= wanted:
        return np.ones(rows, np.bool_)
    numbers = np.arange(start_row * wanted // total, (start_row + rows) * wanted // total, dtype=np.int64) + 1
    chosen = np.zeros(rows, np.bool_)
    chosen[-(-numbers * total // wanted) - 1 - start_row] = True  # the first row by which so many are due
    return chosen
