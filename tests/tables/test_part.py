"""Output parts: the same bytes for the same rows, read back as they were written, joined without a trace."""

from __future__ import annotations

import csv
import gc
import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli.errors import DataError, UsageError
from mlserve_cli.tables import Format, PartWriter, merge_parts, part_rows, part_schema, read_part, write_part
from tests.tables.files import rows_of

SCORES = pa.table(
    {
        "source_file": pa.repeat("day=1/a.csv", 1000),
        "source_row": pa.array(range(1000), pa.int64()),
        "score": pa.array(np.random.default_rng(0).random(1000), pa.float32()),
        "text": pa.array(
            [None if i % 7 == 0 else f'"{i}",\n' if i % 5 == 0 else "" if i % 3 == 0 else f"t{i}" for i in range(1000)]
        ),
        "vector": pa.array([[i / 3, i] for i in range(1000)], pa.list_(pa.float32(), 2)),
    }
)
FORMATS = ("parquet", "csv")


def written(*tables: pa.Table, format: Format, schema: pa.Schema = SCORES.schema, **options: object) -> bytes:
    file = io.BytesIO()
    rows = write_part(file, tables, schema=schema, format=format, **options)  # type: ignore[arg-type]
    assert rows == sum(table.num_rows for table in tables)
    assert not file.closed
    return file.getvalue()


def texts(table: pa.Table, **options: object) -> str:
    return written(table, format="csv", schema=table.schema, compression="none", **options).decode()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_bytes_do_not_depend_on_how_the_rows_arrive(format: Format, compression: str) -> None:
    whole = written(SCORES, format=format, compression=compression, row_group_rows=128)
    for sizes in ([1000], [1, 999], [127, 1, 128, 129, 615], [10] * 100, [0, 500, 0, 500]):
        stops = np.cumsum(sizes)
        cuts = [SCORES.slice(stop - size, size) for size, stop in zip(sizes, stops, strict=True)]
        assert written(*cuts, format=format, compression=compression, row_group_rows=128) == whole
        chunked = pa.concat_tables(cuts)
        assert written(chunked, format=format, compression=compression, row_group_rows=128) == whole


def test_columns_are_taken_by_name_and_dictionaries_as_what_they_stand_for() -> None:
    other = SCORES.select(SCORES.column_names[::-1])
    coded = SCORES.set_column(0, "source_file", SCORES["source_file"].combine_chunks().dictionary_encode())
    whole = written(SCORES, format="parquet")
    assert written(other, format="parquet") == written(coded, format="parquet") == whole
    assert written(coded, format="parquet", schema=coded.schema) == whole


def test_parquet_parts_have_row_groups_checksums_and_our_metadata_alone(tmp_path: Path) -> None:
    noisy = SCORES.replace_schema_metadata({"pandas": "{}"})
    path = tmp_path / "p.parquet"
    path.write_bytes(written(noisy, format="parquet", schema=noisy.schema, row_group_rows=300, metadata={"k": "v"}))
    footer = pq.read_metadata(path)
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [300, 300, 300, 100]
    assert footer.row_group(0).column(0).compression == "ZSTD"
    assert part_schema(path).metadata == {b"k": b"v"}
    data = bytearray(path.read_bytes())
    data[footer.row_group(2).column(2).data_page_offset + 60] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match="CRC"):
        read_part(path)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none"])
def test_parquet_in_every_compression_is_read_back(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(written(SCORES, format="parquet", compression=compression))
    assert part_rows(path) == 1000
    assert read_part(path).equals(SCORES)
    assert read_part(path, columns=["score", "source_row"]).equals(SCORES.select(["score", "source_row"]))


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_csv_in_every_compression_is_read_back_as_text(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(written(SCORES, format="csv", compression=compression))
    back = read_part(path)
    assert part_rows(path) == 1000
    assert part_schema(path) == pa.schema([(name, pa.string()) for name in SCORES.column_names])
    assert back["text"].to_pylist() == SCORES["text"].to_pylist()
    assert np.array_equal(np.array(back["score"].to_pylist()).astype(np.float32), SCORES["score"].to_numpy())


def test_csv_parts_read_the_same_in_pythons_own_reader() -> None:
    rows = list(csv.reader(io.StringIO(texts(SCORES), newline="")))
    assert rows[0] == SCORES.column_names
    assert [row[3] for row in rows[1:]] == [text or "" for text in SCORES["text"].to_pylist()]


def test_compressions_that_a_format_has_not_are_a_usage_error() -> None:
    for format, compression in (("csv", "snappy"), ("csv", "lz4"), ("parquet", "brotli")):
        with pytest.raises(UsageError, match="--compression"):
            PartWriter(io.BytesIO(), schema=SCORES.schema, format=format, compression=compression)  # type: ignore[arg-type]


def test_csv_spells_values_plainly() -> None:
    table = pa.table(
        {
            "f": pa.array([0.1, math.nan, None, math.inf], pa.float32()),
            "d": pa.array([0.1, 1e300, -0.0, 5e-324], pa.float64()),
            "b": [True, False, None, True],
            "s": ["plain", "", None, 'a "b", c'],
            "line": ["x\ny", "x\ry", " x ", "\ufeff"],
            "d,1": pa.array([1, 2, None, -3], pa.int8()),
        }
    )
    assert texts(table) == (
        'f,d,b,s,line,"d,1"\n'
        '0.1,0.1,true,plain,"x\ny",1\n'
        'nan,1e+300,false,"","x\ry",2\n'
        ",-0,,, x ,\n"
        'inf,5e-324,true,"a ""b"", c","\ufeff",-3\n'
    )


def test_csv_vectors_are_json() -> None:
    table = pa.table(
        {
            "v": pa.array([[0.5, math.nan], None, [-math.inf, 2]], pa.list_(pa.float32(), 2)),
            "t": pa.array([['a"\\\n', None], [], None], pa.list_(pa.string())),
            "n": pa.array([[[1], []], [None], None], pa.list_(pa.list_(pa.int8()))),
            "o": pa.array([[True], None, []], pa.large_list(pa.bool_())),
        }
    )
    assert texts(table.slice(0)) == (
        'v,t,n,o\n"[0.5,NaN]","[""a\\""\\\\\\n"",null]","[[1],[]]",[true]\n,[],[null],\n"[-Infinity,2]",,,[]\n'
    )
    assert texts(table.slice(1, 1)) == "v,t,n,o\n,[],[null],\n"


def test_what_csv_cannot_carry_is_refused_naming_the_column() -> None:
    for table in (pa.table({"s": [{"x": 1}]}), pa.table({"s": pa.array([b"\xff"])})):
        with pytest.raises(DataError, match="column s"):
            texts(table)
    with pytest.raises(DataError, match="NUL"):
        texts(pa.table({"s": ["a\0b"]}))


def test_one_column_of_nulls_and_empty_texts_keeps_its_rows(tmp_path: Path) -> None:
    table = pa.table({"": ["x", None, "", None]})
    (tmp_path / "p.csv").write_bytes(written(table, format="csv", schema=table.schema, compression="none"))
    assert part_rows(tmp_path / "p.csv") == 4


@pytest.mark.parametrize("format", FORMATS)
def test_a_part_without_rows_is_a_whole_file(tmp_path: Path, format: Format) -> None:
    path = tmp_path / f"p.{format}"
    path.write_bytes(written(format=format, compression="none"))
    assert part_rows(path) == 0
    assert read_part(path).column_names == SCORES.column_names
    if format == "csv":
        assert path.read_bytes() == b"source_file,source_row,score,text,vector\n"
        assert written(format="csv", compression="none", header=False) == b""


@pytest.mark.parametrize("format", FORMATS)
def test_parts_joined_are_the_same_bytes_however_they_were_cut(tmp_path: Path, format: Format) -> None:
    whole = written(SCORES, format=format, row_group_rows=128, metadata={"k": "v"})
    for number, sizes in enumerate(([1000], [1, 0, 499, 500], [300, 300, 400])):
        paths: list[Path] = []
        start = 0
        for size in sizes:
            paths.append(tmp_path / f"{number}-{len(paths)}.{format}")
            paths[-1].write_bytes(written(SCORES.slice(start, size), format=format, row_group_rows=64))
            start += size
        merged = io.BytesIO()
        rows = merge_parts(paths, merged, schema=SCORES.schema, format=format, row_group_rows=128, metadata={"k": "v"})
        assert rows == 1000
        assert rows_of(read_part(_saved(tmp_path / f"m.{format}", merged))) == rows_of(
            read_part(_saved(tmp_path / f"w.{format}", io.BytesIO(whole)))
        )
        assert merged.getvalue() == whole


@pytest.mark.parametrize("format", FORMATS)
def test_no_parts_at_all_join_to_a_file_without_rows(format: Format) -> None:
    merged = io.BytesIO()
    assert merge_parts([], merged, schema=SCORES.schema, format=format) == 0
    assert merged.getvalue() == written(format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_the_systems_own_error_for_the_caller_to_name(format: Format) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        write_part(full, [SCORES], schema=SCORES.schema, format=format)


def test_a_writer_that_is_given_up_writes_no_footer() -> None:
    file = io.BytesIO()
    no_numbers = SCORES.set_column(2, "score", pa.array(["no number"] * 1000))
    with pytest.raises(pa.ArrowInvalid):
        write_part(file, [SCORES, no_numbers], schema=SCORES.schema, format="parquet", row_group_rows=100)
    gc.collect()
    assert len(file.getvalue()) > 1000
    assert not file.getvalue().endswith(b"PAR1")


def _saved(path: Path, file: io.BytesIO) -> Path:
    path.write_bytes(file.getvalue())
    return path
