"""What holds for a shard of any format."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from mlserve_cli.errors import DuplicateColumn, InputChanged, InputMissing, MissingColumn, UnsafeInput
from mlserve_cli.tables import FoundFile, check_unchanged, look_into, read_chunks
from tests.tables.conftest import ShardOf
from tests.tables.files import PLAIN, look, read, rows_of, write_table

TEN = pa.table({"a": [f"a{i}" for i in range(10)], "b": [None if i == 3 else f"b {i}" for i in range(10)]})
NONE = pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.string())})


def test_the_rows_are_counted_and_the_columns_named_in_the_files_order(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    assert shard.rows == sum(block.rows for block in shard.blocks) == 10
    assert [column.name for column in shard.columns] == ["a", "b"]
    assert shard.size_bytes == os.stat(shard.os_path).st_size
    assert shard.digest.startswith("footer-sha256:" if shard.format == "parquet" else "sha256:")


def test_all_rows_come_back_in_order_whatever_the_chunks(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    for chunk_rows in (1, 2, 3, 7, 10, 11):
        assert read(shard, chunk_rows=chunk_rows) == (rows_of(TEN), {})


def test_any_range_of_rows_is_what_stands_there(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    for start in range(11):
        for stop in range(start, 11):
            assert read(shard, start=start, stop=stop, chunk_rows=3) == (rows_of(TEN)[start:stop], {})


def test_columns_come_in_the_order_asked_for_and_no_others(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    assert read(shard, columns=["b", "a"]) == ([(b, a) for a, b in rows_of(TEN)], {})
    assert read(shard, columns=["b"]) == ([(b,) for _, b in rows_of(TEN)], {})


def test_without_columns_the_rows_are_still_counted(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    chunks = list(read_chunks(shard, columns=[], start_row=1, stop_row=10, chunk_rows=4, dialect=PLAIN))
    assert [(chunk.start_row, chunk.table.num_rows) for chunk in chunks] == [(1, 4), (5, 4), (9, 1)]


def test_no_rows_are_a_success_with_no_rows(shard_of: ShardOf) -> None:
    shard = shard_of(NONE)
    assert (shard.rows, shard.blocks) == (0, ())
    assert [column.name for column in shard.columns] == ["a", "b"]
    assert read(shard) == ([], {})


def test_a_missing_column_is_named_with_the_nearest(shard_of: ShardOf) -> None:
    with pytest.raises(MissingColumn, match="did you mean a"):
        read(shard_of(TEN), columns=["A "])


def test_hive_keys_are_text_columns_and_their_null_is_null(shard_of: ShardOf) -> None:
    path = shard_of(TEN).os_path
    hive = (("day", "2026-11-23"), ("hour", "__HIVE_DEFAULT_PARTITION__"))
    shard = look_into(FoundFile(path, path, hive), index=4, dialect=PLAIN)
    assert [(column.name, column.type) for column in shard.columns[2:]] == [("day", "text"), ("hour", "text")]
    assert shard.index == 4
    wanted = [("2026-11-23", b, None) for _, b in rows_of(TEN)]
    assert read(shard, columns=["day", "b", "hour"], chunk_rows=4) == (wanted, {})
    assert read(shard, columns=["hour", "day"]) == ([(None, "2026-11-23")] * 10, {})


def test_a_hive_key_that_is_also_a_column_is_refused(shard_of: ShardOf) -> None:
    path = shard_of(TEN).os_path
    with pytest.raises(UnsafeInput, match="key in its path"):
        look_into(FoundFile(path, path, (("a", "1"),)), index=0, dialect=PLAIN)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_duplicate_name_matters_only_where_it_is_used(tmp_path: Path, ending: str) -> None:
    table = pa.table([pa.array(["1"]), pa.array(["2"]), pa.array(["3"])], names=["a", "b", "a"])
    shard = look(write_table(tmp_path / f"t.{ending}", table))
    assert [column.name for column in shard.columns] == ["a", "b", "a"]
    assert read(shard, columns=["b"]) == ([("2",)], {})
    with pytest.raises(DuplicateColumn):
        read(shard, columns=["b", "a"])


def test_a_file_that_changed_since_it_was_looked_into_is_75(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    check_unchanged(shard)
    status = os.stat(shard.os_path)
    os.utime(shard.os_path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    for attempt in (lambda: check_unchanged(shard), lambda: read(shard)):
        with pytest.raises(InputChanged) as refused:
            attempt()
        assert refused.value.exit_code == 75


def test_a_file_that_grew_or_shrank_is_75(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    with open(shard.os_path, "ab") as file:
        file.write(b"x")
    with pytest.raises(InputChanged, match="bytes"):
        read(shard)
    os.truncate(shard.os_path, 5)
    with pytest.raises(InputChanged, match="bytes"):
        read(shard)


def test_a_file_that_changes_while_it_is_read_is_75_after_the_last_row(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    chunks = read_chunks(shard, columns=["a"], start_row=0, stop_row=10, chunk_rows=10, dialect=PLAIN)
    next(chunks)
    os.utime(shard.os_path)
    with pytest.raises(InputChanged):
        next(chunks)


def test_a_file_that_went_away_is_66(shard_of: ShardOf) -> None:
    shard = shard_of(TEN)
    os.unlink(shard.os_path)
    with pytest.raises(InputMissing):
        read(shard)


def test_a_changed_footer_of_the_same_size_and_time_is_75(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pa.table({"a": ["x"]}))
    shard, status = look(path), path.stat()
    write_table(path, pa.table({"b": ["x"]}))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    with pytest.raises(InputChanged, match="footer"):
        read(shard)


def test_a_name_that_is_not_utf8_is_read_like_any_other(shard_of: ShardOf) -> None:
    path = os.fsencode(shard_of(TEN).os_path)
    odd = os.path.join(os.path.dirname(path), b"caf\xe9 \n" + os.path.basename(path))
    os.rename(path, odd)
    shard = look_into(
        FoundFile(os.fsdecode(odd), "caf\\xe9 \n" + os.path.basename(path).decode()), index=0, dialect=PLAIN
    )
    assert shard.path.encode("utf-8")
    assert os.fsencode(shard.os_path) == odd
    assert read(shard) == (rows_of(TEN), {})
