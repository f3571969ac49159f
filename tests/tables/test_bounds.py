"""Memory stays bounded whatever a file holds: measured in a process of its own, from what it held before."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from mlserve_cli.errors import CorruptFile
from tests.tables.files import look, read, write_text

GROWTH = """
import resource, sys
from pathlib import Path
import pyarrow.csv
from mlserve_cli.errors import CorruptFile
from mlserve_cli.tables import read_chunks
from tests.tables.files import PLAIN, look
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    shard = look(Path(sys.argv[1]))
    for chunk in read_chunks(shard, columns=["a"], start_row=0, stop_row=shard.rows, chunk_rows=8192, dialect=PLAIN):
        pass
    print(shard.rows, peak() - before)
except CorruptFile as error:
    print(error.where.split("line ")[1], peak() - before)
"""


def rows_and_growth(path: Path) -> tuple[int, int]:
    """Rows (or the line of the error) and KiB of memory over what the libraries took."""
    done = subprocess.run([sys.executable, "-c", GROWTH, path], check=True, capture_output=True, text=True, timeout=300)
    rows, growth = done.stdout.split()
    return int(rows), int(growth)


def bomb(path: Path, start: bytes, again: bytes, times: int) -> Path:
    """A gzip of a text that no memory should hold, made piece by piece."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(start))
        for _ in range(times):
            file.write(packer.compress(again))
        file.write(packer.flush())
    return path


@pytest.mark.slow
def test_a_gigabyte_of_rows_out_of_a_megabyte_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "t.csv.gz", b"a,b\n", (b"1," + b"x" * 997 + b"\n") * 1000, 500)
    assert path.stat().st_size < 2_000_000
    rows, growth = rows_and_growth(path)
    assert rows == 500_000
    assert growth < 64 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("again", [b"x", b'"', b",", b"\n"], ids=["one field", "quotes", "delimiters", "blank lines"])
def test_a_gigabyte_of_one_byte_ends_early_or_costs_no_memory(tmp_path: Path, again: bytes) -> None:
    path = bomb(tmp_path / "t.csv.gz", b'a,b\n1,"' if again == b'"' else b"a,b\n1,", again * 1_000_000, 400)
    line, growth = rows_and_growth(path)
    assert line == (1 if again == b"\n" else 2)
    assert growth < 400 * 1024


def test_the_digest_is_that_of_the_raw_bytes_in_small_files_and_large(tmp_path: Path) -> None:
    for rows in (10, 1_500_000):
        text = b"a,b\n" + b"1,2345\n" * rows
        for data, name in ((text, "t.csv"), (zlib.compress(text, wbits=31), "t.csv.gz")):
            shard = look(write_text(tmp_path / name, data))
            assert shard.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
            assert shard.rows == rows


def test_a_fault_in_a_large_file_is_found_by_its_line(tmp_path: Path) -> None:
    text = b"a,b\n" + b"1,2345\n" * 1_500_000 + b'1,2"\n'
    with pytest.raises(CorruptFile, match="line 1500002"):
        look(write_text(tmp_path / "t.csv", text))


def test_a_wide_table_of_long_rows_comes_in_chunks_of_the_size_asked_for(tmp_path: Path) -> None:
    text = "a,b\n" + "".join(f"{i},{'x' * 100_000}\n" for i in range(100))
    shard = look(write_text(tmp_path / "t.csv", text))
    assert read(shard, columns=["a"], chunk_rows=64) == ([(str(i),) for i in range(100)], {})
