"""What a file is, told by its bytes; and what is no file to read at all."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from mlserve_cli.errors import CorruptFile, Forbidden, InputMissing, UnsafeInput
from mlserve_cli.tables import FoundFile, look_into
from tests.tables.files import PLAIN, look, packed, read, write_table, write_text

TABLE = pa.table({"a": ["x", "y"]})


def test_parquet_is_told_by_its_bytes_whatever_the_ending(tmp_path: Path) -> None:
    for name in ("t.csv", "t", "t.txt", "t.gz", "t.PARQUET"):
        path = write_table(tmp_path / "t.parquet", TABLE).rename(tmp_path / name)
        assert look(path).format == "parquet"
        assert look(path, input_format="csv").format == "parquet"
        assert read(look(path)) == ([("x",), ("y",)], {})


def test_gzip_and_zstd_are_told_by_their_bytes_whatever_the_ending(tmp_path: Path) -> None:
    for suffix, compression in ((".gz", "gzip"), (".zst", "zstd"), ("", "none")):
        for name in ("t.csv", "t.csv.gz", "t.csv.zst", "t.TSV.GZ"):
            shard = look(write_text(tmp_path / name, packed(b"a\nx\ny\n", suffix)))
            assert (shard.format, shard.compression) == ("csv", compression)
            assert read(shard) == ([("x",), ("y",)], {})


def test_a_text_without_a_known_ending_needs_to_be_called_csv(tmp_path: Path) -> None:
    for name in ("t.dat", "t", "t.gz", "csv"):
        path = write_text(tmp_path / name, "a\nx\n")
        with pytest.raises(CorruptFile, match="--input-format csv"):
            look(path)
        assert look(path, input_format="csv").rows == 1


def test_standard_input_is_csv_unless_its_bytes_say_otherwise(tmp_path: Path) -> None:
    for data, format in ((b"a\nx\n", "csv"), (packed(b"a\nx\n", ".gz"), "csv")):
        shard = look_into(FoundFile(str(write_text(tmp_path / "spool", data)), "-"), index=0, dialect=PLAIN)
        assert (shard.name, shard.format, shard.rows) == ("-", format, 1)
    path = write_table(tmp_path / "t.parquet", TABLE)
    assert look_into(FoundFile(str(path), "-"), index=0, dialect=PLAIN).format == "parquet"


def test_a_csv_whose_first_name_is_par1_is_a_csv(tmp_path: Path) -> None:
    assert look(write_text(tmp_path / "t.csv", "PAR1,b\n1,2\n")).columns[0].name == "PAR1"


def test_a_file_of_no_bytes_is_corrupt_in_every_format(tmp_path: Path) -> None:
    for name in ("t.parquet", "t.csv", "t.csv.gz", "t.dat"):
        with pytest.raises(CorruptFile, match="0 bytes"):
            look(write_text(tmp_path / name, b""))


def test_wrong_magic_is_refused(tmp_path: Path) -> None:
    for data in (b"PAR", b"hello, world", b"\0" * 100, b"PK\x03\x04 a zip"):
        with pytest.raises(CorruptFile, match="not a Parquet file"):
            look(write_text(tmp_path / "t.parquet", data))
        with pytest.raises(CorruptFile, match="not a Parquet file"):
            look(write_text(tmp_path / "t.dat", data), input_format="parquet")


def test_a_compressed_parquet_is_refused_with_what_to_do(tmp_path: Path) -> None:
    data = write_table(tmp_path / "t.parquet", TABLE).read_bytes()
    for suffix in (".gz", ".zst"):
        with pytest.raises(CorruptFile, match="decompress it first"):
            look(write_text(tmp_path / f"t.parquet{suffix}", packed(data, suffix)))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_cut_short_or_damaged_is_refused(tmp_path: Path, suffix: str) -> None:
    whole = packed(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000)), suffix)
    damaged = whole[:3000] + b"\xff" * 20 + whole[3020:]
    kinds = [whole[:2000], whole[:-4], whole[:6], whole + b"garbage"]
    if suffix == ".gz":  # these zstd frames carry no checksum: whether they show damage is chance
        kinds.append(damaged)
    for data in kinds:
        with pytest.raises(CorruptFile):
            look(write_text(tmp_path / f"t.csv{suffix}", data))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_members_in_a_row_are_one_text(tmp_path: Path, suffix: str) -> None:
    data = packed(b'a,b\n1,"x', suffix) + packed(b'\n"\n3,', suffix) + packed(b"4", suffix)
    assert read(look(write_text(tmp_path / f"t.csv{suffix}", data))) == ([("1", "x\n"), ("3", "4")], {})


def test_what_is_no_regular_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", tmp_path, Path("/dev/null")):
        with pytest.raises(UnsafeInput):
            look(path)
    with pytest.raises(InputMissing):
        look(tmp_path / "none.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_77(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "a\n1\n")
    path.chmod(0)
    with pytest.raises(Forbidden):
        look(path)
