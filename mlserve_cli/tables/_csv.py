"""CSV shards: looked into once from end to end, then read task by task, all columns as text.

Looking in counts the records, marks every few megabytes a record start where a task may begin, takes the digest of the
bytes as they pass, and refuses what is not sound CSV, so that a later read of any part meets no surprise.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from mlserve_cli.contract import Faults, compute
from mlserve_cli.errors import CorruptFile, shown
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._names import ending_of
from mlserve_cli.tables._records import BOM, Piece, Rules, whole_records
from mlserve_cli.tables._source import HashedAside, can_be_entered, encoding_kind, open_source
from mlserve_cli.tables._values import Block, Chunk, Column, Compression, Dialect, Facts, Shard

BLOCK_BYTES = 8 << 20
READ_PIECE_BYTES = 2 << 20  # larger than for looking in: each piece costs pyarrow a fixed price per column


def look_into_csv(path: str, *, name: str, compression: Compression, dialect: Dialect) -> Facts:
    """One pass over the whole file at about the speed of sha256."""
    rules = Rules(name=name, delimiter=delimiter_for(name, dialect), dialect=dialect)
    with translated(name), ThreadPoolExecutor(1) as pool:  # which starts its thread only if it is given something
        digest = HashedAside(pool) if os.stat(path).st_size > BLOCK_BYTES else hashlib.sha256()
        with open_source(path, compression=compression, encoding=dialect.encoding, digest=digest) as source:
            pieces = whole_records(source, rules)
            columns, first = _head(next(pieces, None), rules)
            blocks = tuple(_blocks(first, pieces, one_column=len(columns) == 1))
    if not can_be_entered(compression, dialect.encoding):
        blocks = _as_one(blocks)
    return Facts(f"sha256:{digest.hexdigest()}", sum(block.rows for block in blocks), columns, blocks)


def read_csv(
    shard: Shard, *, columns: Sequence[int], start_row: int, stop_row: int, dialect: Dialect
) -> Iterator[Chunk]:
    """Chunks as they fall out of the pieces, from the first block that holds a wanted row to the last.

    `columns` are positions in the file. The rows must be as many as the plan counted.
    """
    blocks, first_row = _blocks_with(shard, start_row, stop_row)
    width = len(shard.file_columns)
    rules = Rules(
        name=shard.name,
        delimiter=delimiter_for(shard.name, dialect),
        dialect=dialect,
        line=0 if blocks[0].start else 1,
        piece_bytes=READ_PIECE_BYTES,
    )
    enterable = can_be_entered(shard.compression, dialect.encoding)
    start, stop = (blocks[0].start, blocks[-1].stop) if enterable else (0, None)
    with open_source(
        shard.os_path, compression=shard.compression, encoding=dialect.encoding, start=start, stop=stop
    ) as source:
        row, end = first_row, first_row + sum(block.rows for block in blocks)
        pieces = whole_records(source, rules)
        for piece in without_head(pieces) if dialect.header and not enterable else pieces:
            count = piece.rows(one_column=width == 1)
            if not count:
                continue
            chunk = _parsed(piece, row, width=width, columns=columns, rules=rules)
            row += count
            if chunk.table.num_rows != count or row > end:
                raise _miscounted(shard.name, chunk.table.num_rows, count, row, end)
            yield chunk


def delimiter_for(name: str, dialect: Dialect) -> str:
    """The dialect's delimiter, or the one that goes with the ending."""
    return dialect.delimiter or ("\t" if ending_of(name) == ".tsv" else ",")


def without_head(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces of a whole file without its header line."""
    for number, piece in enumerate(pieces):
        yield piece if number else piece.after(piece.first_record()[2])


def _head(piece: Piece | None, rules: Rules) -> tuple[tuple[Column, ...], Piece]:
    """The columns by the first record, and the rest of its piece (all of it where there is no header)."""
    start, stop, after = piece.first_record() if piece is not None else (0, 0, 0)
    if piece is None or start == stop:
        raise rules.fail("there is no line in it", line=1, hint="an empty table still has its header line")
    fields = _fields(piece.data[start:stop], rules)
    if rules.dialect.header:
        return tuple(Column(field, "text") for field in fields), piece.after(after)
    return tuple(Column(f"#{position}", "text") for position in range(1, len(fields) + 1)), piece


def _fields(record: NDArray[np.uint8], rules: Rules) -> list[str]:
    """The fields of one record (uint8, shape [n]) as they stand, by the same parser that reads the rows."""
    line = pa.py_buffer(_as_utf8(record, rules).to_pybytes() + b"\n")
    width = 1

    def count(bad: csv.InvalidRow) -> str:
        nonlocal width
        width = bad.actual_columns
        return "skip"

    def parsed(width: int, note: object = None) -> pa.Table:
        names = [str(position) for position in range(width)]
        return csv.read_csv(
            pa.BufferReader(line),
            read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=len(line) + 64),
            parse_options=_parse_options(rules, quoted=True, one_column=False, note=note),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )

    parsed(1, count)  # how many fields there are is told by a parse that expects one
    return [str(column[0]) for column in parsed(width).columns]


def _blocks(first: Piece, rest: Iterator[Piece], *, one_column: bool) -> Iterator[Block]:
    """Blocks of about BLOCK_BYTES; blocks without a row (blank lines) are left out."""
    start, rows, stop = first.start, first.rows(one_column=one_column), first.start + len(first.data)
    for piece in rest:
        if stop - start >= BLOCK_BYTES and rows:
            yield Block(rows, start, stop)
            start, rows = stop, 0
        rows += piece.rows(one_column=one_column)
        stop = piece.start + len(piece.data)
    if rows:
        yield Block(rows, start, stop)


def _as_one(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """One block for all rows, for a file that can only be read from its start; the offsets mean nothing there."""
    rows = sum(block.rows for block in blocks)
    return (Block(rows, 0, blocks[-1].stop),) if rows else ()


def _blocks_with(shard: Shard, start_row: int, stop_row: int) -> tuple[tuple[Block, ...], int]:
    """The blocks that hold the rows, and the row that the first of them begins with."""
    ends = np.cumsum([block.rows for block in shard.blocks])
    first, last = (int(np.searchsorted(ends, row, side="right")) for row in (start_row, stop_row - 1))
    return shard.blocks[first : last + 1], int(ends[first]) - shard.blocks[first].rows


def _parsed(piece: Piece, row: int, *, width: int, columns: Sequence[int], rules: Rules) -> Chunk:
    """One piece as text columns, in order of the file and named by position; ragged rows hold their place as nulls."""
    wanted = [str(position) for position in columns]
    ragged: list[tuple[int, int]] = []

    def note(bad: csv.InvalidRow) -> str:
        ragged.append((bad.number - 1, bad.actual_columns))
        return "skip"

    text = _as_utf8(piece.data, rules)
    table = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(
            use_threads=False, column_names=[str(n) for n in range(width)], block_size=len(text) + 64
        ),
        parse_options=_parse_options(rules, quoted=piece.quoted, one_column=width == 1, note=note),
        convert_options=csv.ConvertOptions(
            check_utf8=False,  # proved when the piece was cut
            column_types=dict.fromkeys(wanted, pa.string()),
            include_columns=wanted,
            null_values=list(dict.fromkeys(("", *rules.dialect.null_values))),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    if not ragged:
        return Chunk(row, table, Faults.none())
    return Chunk(row, *_with_places_held(table, ragged, width=width))


def _with_places_held(table: pa.Table, ragged: list[tuple[int, int]], *, width: int) -> tuple[pa.Table, Faults]:
    """Null rows where pyarrow left rows out, and why."""
    rows, counts = np.array(ragged, np.int64).T
    total = table.num_rows + len(rows)
    good = np.ones(total, np.bool_)
    good[rows] = False
    source = pa.array(np.cumsum(good, dtype=np.int64) - 1, pa.int64(), mask=~good)
    reasons = ((counts < width, "too few fields"), (counts > width, "too many fields"))
    faults = [
        Faults.at(rows[which], column="", reason=reason, values=_counted(counts[which], width))
        for which, reason in reasons
    ]
    return table.take(source), Faults.together(faults)


def _counted(counts: NDArray[np.int64], width: int) -> pa.Array:
    """How many fields there were (int64, shape [n]), for people."""
    numbers = pa.array(counts, pa.int64()).cast(pa.string())
    return compute.binary_join_element_wise(numbers, pa.scalar(f" instead of {width}"), pa.scalar(""))


def _parse_options(rules: Rules, *, quoted: bool, one_column: bool, note: object = None) -> csv.ParseOptions:
    quote = rules.dialect.quote if quoted else ""
    return csv.ParseOptions(
        delimiter=rules.delimiter,
        quote_char=quote or False,
        double_quote=bool(quote),
        escape_char=False,
        newlines_in_values=bool(quote),
        ignore_empty_lines=not one_column,
        invalid_row_handler=note,
    )


def _as_utf8(data: NDArray[np.uint8], rules: Rules) -> pa.Buffer:
    """What pyarrow is to parse: text in a one-byte encoding made UTF-8; all else is that already.

    pyarrow takes a byte order mark off whatever it is given. In the middle of a file one is text, so it stands twice.
    """
    if encoding_kind(rules.dialect.encoding) == "single":
        text = str(data.data, rules.dialect.encoding).encode()
        return pa.py_buffer(BOM + text if text.startswith(BOM) else text)
    return pa.py_buffer(BOM + data.tobytes() if data[: len(BOM)].tobytes() == BOM else data.data)


def _miscounted(name: str, parsed: int, cut: int, row: int, end: int) -> CorruptFile:
    """Two counts of the same bytes differ: never a guess which of them is right."""
    detail = f"{parsed} rows were read where {cut} records were found" if parsed != cut else f"row {row} of {end}"
    return CorruptFile(f"its rows are not those that were counted: {detail}", shown(name, limit=400), "run it again")
