"""Laws: whatever the rows, the writer and the cuts, the same rows come back, each once and in its place."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli.errors import CorruptFile
from mlserve_cli.tables import Dialect, spread_evenly, write_part
from mlserve_cli.tables._records import Rules, whole_records
from tests.tables.files import Row, look, python_csv, read, rows_of

CHARACTERS = st.sampled_from(
    ["a", "b", "0", " ", ",", ";", '"', "'", "\n", "\r", "\r\n", "é", "😀", "\ufeff", "NA", "\t", "|"]
)
TEXTS = st.none() | st.lists(CHARACTERS, max_size=6).map("".join)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of texts: 1 to 4 columns, up to 30 rows, with everything in them that CSV finds hard."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[TEXTS] * width), max_size=30))
    columns = zip(*rows, strict=True) if rows else [()] * width
    return pa.table({f"c{n}": pa.array(column, pa.string()) for n, column in enumerate(columns)})


@st.composite
def cuts(draw: st.DrawFn, rows: int) -> Sequence[int]:
    """Where tasks begin and end: 0, some rows in between, the last."""
    return [0, *sorted(draw(st.lists(st.integers(0, rows), max_size=4))), rows]


class Slow(io.BytesIO):
    """A stream that gives a few bytes at a time, as decompressors do."""

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # a buffer, as BytesIO says in its own words
        return super().readinto(view[: 1 + len(view) // 3])


def records_by_python(text: str, *, one_column: bool) -> int:
    """How many records Python's own reader finds."""
    return sum(1 for record in csv.reader(io.StringIO(text, newline="")) if record or one_column)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(tables(), st.sampled_from(["ours", "python"]), st.sampled_from(["", ".gz", ".zst"]), st.data())
def test_csv_rows_come_back_over_any_split(table: pa.Table, writer: str, ending: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t.csv{ending}")
        _write_csv(path, table, writer=writer)
        shard = look(path)
        assert shard.rows == table.num_rows
        stops = data.draw(cuts(table.num_rows))
        chunk_rows = data.draw(st.integers(1, 40))
        found: list[Row] = []
        for start, stop in itertools.pairwise(stops):
            rows, bad = read(shard, start=start, stop=stop, chunk_rows=chunk_rows)
            assert not bad
            found += rows
    assert found == rows_of(table)


@settings(max_examples=300, deadline=None)
@given(tables(), st.integers(3, 200), st.sampled_from(["\n", "\r\n", "\r"]))
def test_pieces_of_any_size_are_whole_records_that_join_to_the_file(
    table: pa.Table, piece_bytes: int, end: str
) -> None:
    text = python_csv(table, end=end)
    raw = text.encode()
    rules = Rules(name="t", delimiter=",", dialect=Dialect(), piece_bytes=piece_bytes)
    joined, one_column = b"", table.num_columns == 1
    total = 0
    for piece in whole_records(Slow(raw), rules):
        assert piece.start == len(joined)
        assert piece.line == 1 + len(joined.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        part = piece.data.tobytes()
        joined += part
        total += piece.rows(one_column=one_column)
        assert piece.rows(one_column=one_column) == records_by_python(part.decode(), one_column=one_column)
    assert joined == raw
    assert total == table.num_rows + 1


@settings(max_examples=300, deadline=None)
@given(st.lists(CHARACTERS, max_size=40).map("".join), st.integers(3, 64))
def test_any_text_is_read_as_python_reads_it_strictly_or_refused(text: str, piece_bytes: int) -> None:
    """Python's reader in strict mode lets a quote stand within an unquoted field; the rest it refuses as we do."""
    rules = Rules(name="t", delimiter=",", dialect=Dialect(), piece_bytes=piece_bytes)
    raw = text.removeprefix("\ufeff").encode()
    try:
        found = sum(piece.rows(one_column=False) for piece in whole_records(Slow(text.encode()), rules))
    except CorruptFile:
        assert '"' in text
        return
    assert found == sum(1 for record in csv.reader(io.StringIO(raw.decode(), newline=""), strict=True) if record)


@settings(max_examples=100, deadline=None)
@given(tables(), st.integers(1, 12), st.data())
def test_parquet_rows_come_back_over_any_split(table: pa.Table, row_group_rows: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.parquet")
        pq.write_table(table, path, row_group_size=row_group_rows)
        shard = look(path)
        stops = data.draw(cuts(table.num_rows))
        chunk_rows = data.draw(st.integers(1, 40))
        found: list[Row] = []
        for start, stop in itertools.pairwise(stops):
            found += read(shard, start=start, stop=stop, chunk_rows=chunk_rows)[0]
    assert found == rows_of(table)


def _write_csv(path: Path, table: pa.Table, *, writer: str) -> None:
    file = io.BytesIO()
    if writer == "ours":
        compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix, "none")
        write_part(file, [table], schema=table.schema, format="csv", compression=compression)
        path.write_bytes(file.getvalue())
    else:
        data = python_csv(table).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@given(st.data(), st.integers(1, 400), st.integers(1, 500))
def test_rows_spread_evenly_are_so_many_and_equally_far_apart_however_the_rows_are_cut(
    data: st.DataObject, total: int, wanted: int
) -> None:
    chosen = [
        start + row
        for start, stop in itertools.pairwise(data.draw(cuts(total)))
        for row in spread_evenly(start, stop - start, wanted=wanted, total=total).nonzero()[0].tolist()
    ]

    assert len(chosen) == min(wanted, total)
    apart = {after - before for before, after in itertools.pairwise(chosen)}
    assert max(apart, default=0) - min(apart, default=0) <= 1
