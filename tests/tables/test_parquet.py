"""Parquet: what is in the footer, damaged files, unusual shapes, and types that must pass through as they are."""

from __future__ import annotations

import datetime
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli.errors import CorruptFile, MlserveError
from mlserve_cli.tables import read_chunks
from mlserve_cli.tables._row_groups import goes_group_by_group
from tests.tables.files import PLAIN, look, read, rows_of, write_table, write_text

NUMBERS = pa.table({"i": pa.array(range(100), pa.int64()), "s": [f"text {n}" for n in range(100)]})


def test_each_row_group_with_rows_is_a_block(tmp_path: Path) -> None:
    with pq.ParquetWriter(tmp_path / "t.parquet", NUMBERS.schema) as writer:
        for rows in (30, 0, 70):
            writer.write_table(NUMBERS.slice(0, rows))
    shard = look(tmp_path / "t.parquet")
    assert [(block.rows, block.start, block.stop) for block in shard.blocks] == [(30, 0, 1), (70, 2, 3)]
    assert read(shard, start=25, stop=40) == ((rows_of(NUMBERS)[25:30] + rows_of(NUMBERS)[:10]), {})


def test_types_are_named_as_arrow_names_them_and_values_pass_unchanged(tmp_path: Path) -> None:
    moment = datetime.datetime(2013, 1, 1, 5, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "f": pa.array([1.5, None], pa.float32()),
            "d": pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)),
            "t": pa.array([moment, None], pa.timestamp("us", tz="UTC")),
            "c": pa.array(["x", None]).dictionary_encode(),
            "l": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
            "s": pa.array([{"x": 1, "y": [True]}, None]),
            "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
            "a.b": pa.array([True, None]),
            "a": pa.array([{"b": 7}, None]),
        }
    )
    shard = look(write_table(tmp_path / "t.parquet", table))
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert [(column.name, column.type) for column in shard.columns] == [
        (field.name, str(field.type)) for field in schema
    ]
    assert read(shard) == (rows_of(table), {})
    for name in table.column_names:
        assert read(shard, columns=[name]) == (rows_of(table.select([name])), {})
    assert read(shard, columns=["a", "a.b", "f"]) == (rows_of(table.select(["a", "a.b", "f"])), {})


def test_int96_timestamps_pass_through(tmp_path: Path) -> None:
    table = pa.table({"t": pa.array([0, 1_356_998_400_000_000_123], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    (chunk,) = read_chunks(
        look(tmp_path / "t.parquet"), columns=["t"], start_row=0, stop_row=2, chunk_rows=9, dialect=PLAIN
    )
    assert chunk.table["t"].cast(pa.int64()).to_pylist() == table["t"].cast(pa.int64()).to_pylist()


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "t.parquet", NUMBERS, row_group_rows=30).read_bytes()
    for size in (1, 4, 8, 11, 12, 20, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        with pytest.raises(CorruptFile) as refused:
            look(write_text(tmp_path / "t.parquet", whole[:size]))
        assert refused.value.where == "t.parquet"


def test_a_footer_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "t.parquet", NUMBERS).read_bytes()
    for length in (0, 1, 2**31 - 1, 2**32 - 1, len(whole)):
        with pytest.raises(CorruptFile):
            look(write_text(tmp_path / "t.parquet", whole[:-8] + length.to_bytes(4, "little") + b"PAR1"))


def test_an_encrypted_file_is_refused_as_such(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "t.parquet", NUMBERS).read_bytes()
    with pytest.raises(CorruptFile, match="encrypted"):
        look(write_text(tmp_path / "t.parquet", b"PARE" + whole[4:-4] + b"PARE"))


def test_a_page_whose_checksum_is_wrong_is_refused_and_never_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(NUMBERS, path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    at = data.find(b"text 50")
    data[at] ^= 1
    shard = look(write_text(path, bytes(data)))
    with pytest.raises(CorruptFile, match="CRC"):
        read(shard)
    assert read(shard, columns=["i"])[0] == [(n,) for n in range(100)]


def test_a_footer_that_counts_other_rows_than_its_row_groups_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pq.ParquetWriter(path, NUMBERS.schema, store_schema=False) as writer:
        writer.write_table(NUMBERS)
    data = path.read_bytes()
    footer = data.rindex(b"\x16\xc8\x01\x19", 0, -8)  # num_rows = zigzag(100) and then the list of row groups
    with pytest.raises(CorruptFile, match="counts 101 rows"):
        look(write_text(path, data[:footer] + b"\x16\xca\x01\x19" + data[footer + 4 :]))


def test_ten_thousand_columns_are_read_in_bounded_memory(tmp_path: Path) -> None:
    table = pa.table({f"c{n}": pa.array([n], pa.int32()) for n in range(10_000)})
    shard = look(write_table(tmp_path / "t.parquet", table))
    assert read(shard, columns=["c9999", "c0"]) == ([(9999, 0)], {})
    assert read(shard)[0] == [tuple(range(10_000))]


def test_ten_thousand_row_groups_of_ten_rows_are_chunks_like_any_other(tmp_path: Path) -> None:
    table = pa.table({"i": pa.array(np.arange(100_000))})
    shard = look(write_table(tmp_path / "t.parquet", table, row_group_rows=10))
    assert len(shard.blocks) == 10_000
    assert read(shard, chunk_rows=4096) == ([(n,) for n in range(100_000)], {})
    assert read(shard, start=99_985, chunk_rows=4) == ([(n,) for n in range(99_985, 100_000)], {})


READ_ALL = """
import resource, sys
from pathlib import Path
from tests.tables.files import PLAIN, look
from mlserve_cli.tables import read_chunks
from mlserve_cli.tables._row_groups import goes_group_by_group
shard = look(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for chunk in read_chunks(shard, columns=["a", "b"], start_row=0, stop_row=shard.rows, chunk_rows=8192, dialect=PLAIN):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def in_a_process(script: str, *arguments: object) -> str:
    """The script's output; it fails where the process does, by a signal too."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout


def test_one_large_row_group_is_read_in_bounded_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random(4_000_000)
    table = pa.table({"a": pa.array(values), "b": pa.array(values)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=len(values), use_dictionary=False, compression="none")
    assert look(tmp_path / "t.parquet").size_bytes > 60_000_000
    assert int(in_a_process(READ_ALL, tmp_path / "t.parquet")) < 24_000  # KiB


def test_an_extension_type_in_the_schema_is_read_as_its_storage_and_runs_nothing(tmp_path: Path) -> None:
    field = pa.field(
        "a",
        pa.int32(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.",
        },
    )
    pq.write_table(pa.table([pa.array([1], pa.int32())], schema=pa.schema([field])), tmp_path / "t.parquet")
    assert read(look(tmp_path / "t.parquet")) == ([(1,)], {})


FLIP = """
import sys
from pathlib import Path
from mlserve_cli.errors import MlserveError
from tests.tables.files import look, read
path, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
whole = path.read_bytes()
right = read(look(path))
names = [column.name for column in look(path).columns]
outcomes = dict(refused=0, right=0, wrong=[])
for at in range(first, last):
    data = bytearray(whole)
    data[at] ^= 1 << (at % 8)
    path.write_bytes(data)
    try:
        shard = look(path)
        found = read(shard, columns=names)
    except MlserveError:
        outcomes["refused"] += 1
    else:
        if found == right:
            outcomes["right"] += 1
        else:
            outcomes["wrong"].append(at)
print(repr(outcomes))
"""


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_any_flipped_byte_of_the_pages_is_refused_or_harmless(tmp_path: Path, compression: str) -> None:
    table = pa.table({"f": pa.array([0.5, None, 3.25] * 5), "s": ["x", "", None, "ü", "y"] * 3})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=7, compression=compression, write_page_checksum=True)
    size = path.stat().st_size
    pages = size - 8 - int.from_bytes(path.read_bytes()[-8:-4], "little")
    outcomes = eval(in_a_process(FLIP, path, 0, pages))
    assert outcomes["wrong"] == []
    assert outcomes["refused"] > outcomes["right"]


@pytest.mark.slow
def test_any_flipped_byte_of_the_footer_ends_in_rows_or_an_error_of_ours(tmp_path: Path) -> None:
    """A footer carries no checksum: a flipped type or name can't be known from one file. Nothing may crash or hang."""
    path = write_table(tmp_path / "t.parquet", pa.table({"f": [0.5, None, 3.25], "s": ["x", "", None]}))
    size = path.stat().st_size
    pages = size - 8 - int.from_bytes(path.read_bytes()[-8:-4], "little")
    outcomes = eval(in_a_process(FLIP, path, pages, size))
    assert outcomes["refused"] > 100


@pytest.mark.slow
def test_random_bytes_between_the_magics_are_refused(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        body = draw.bytes(int(draw.integers(0, 400)))
        with pytest.raises(MlserveError):
            look(write_text(tmp_path / "t.parquet", b"PAR1" + body + (len(body) // 2).to_bytes(4, "little") + b"PAR1"))


@pytest.mark.slow
def test_a_wide_table_is_read_row_group_by_row_group_and_any_rows_are_the_same(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(30_001, 1_000)).astype(np.float32)
    table = pa.table({f"c{place}": values[:, place] for place in range(1_000)})
    pq.write_table(table, tmp_path / "wide.parquet", row_group_size=14_000, compression="none")
    shard = look(tmp_path / "wide.parquet")
    assert goes_group_by_group(shard.columns, shard)
    assert not goes_group_by_group(shard.columns[:10], shard)
    names = [f"c{place}" for place in (999, 0, *range(1, 998))]
    for start, stop, chunk_rows in ((0, 30_001, 4_096), (13_999, 28_001, 14_000), (29_999, 30_001, 5)):
        chunks = list(
            read_chunks(shard, columns=names, start_row=start, stop_row=stop, chunk_rows=chunk_rows, dialect=PLAIN)
        )
        assert [chunk.table.num_rows for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
        assert pa.concat_tables([chunk.table for chunk in chunks]).equals(
            table.slice(start, stop - start).select(names)
        )


READ_HOLDING = """
import sys
from pathlib import Path
from tests.tables.files import PLAIN, look
from mlserve_cli.scoring.machine import process_peak_bytes
from mlserve_cli.tables import read_chunks
shard = look(Path(sys.argv[1]))
names = [column.name for column in shard.columns]
kept, before = [], process_peak_bytes()
for chunk in read_chunks(shard, columns=names, start_row=0, stop_row=shard.rows, chunk_rows=512, dialect=PLAIN):
    kept.append(chunk.table.column(0))  # as a writer keeps ids until its row group is full
print(process_peak_bytes() - before)
"""


@pytest.mark.slow
def test_of_a_wide_table_one_row_group_stands_in_memory_whoever_holds_the_last_rows(tmp_path: Path) -> None:
    group_rows, width = 20_000, 1_000
    values = np.random.default_rng(1).random((width, 4 * group_rows), np.float32)
    table = pa.table({f"c{place}": values[place] for place in range(width)})
    pq.write_table(table, tmp_path / "wide.parquet", row_group_size=group_rows, use_dictionary=False)
    group_bytes = group_rows * width * 4
    assert group_bytes < int(in_a_process(READ_HOLDING, tmp_path / "wide.parquet")) < 1.6 * group_bytes
