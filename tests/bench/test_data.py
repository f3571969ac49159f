"""The benchmark's rows: any number of them, always the same, made with nothing but numpy and pyarrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.scoring.runs import SAMPLES, contents


def make(output: Path, *, rows: int, shards: int) -> Path:
    command = [sys.executable, str(SAMPLES / "make.py"), "bench", "--rows", str(rows), "--shards", str(shards)]
    subprocess.run([*command, "--output", str(output), "--models"], check=True, capture_output=True)
    return output / f"rows-{rows}-{shards}"


def test_rows_are_as_many_as_asked_for_each_with_its_own_id(tmp_path: Path) -> None:
    folder = make(tmp_path, rows=1_001, shards=3)

    paths = sorted(folder.iterdir())
    table = pa.concat_tables(pq.read_table(path) for path in paths)
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert table["id"].to_pylist() == list(range(1_001))
    assert table.column_names == ["id", *(f"f{number}" for number in range(28))]
    assert set(map(str, table.schema.types[1:])) == {"float"}
    assert len(set(table["f0"].to_pylist())) == 1_001


def test_the_same_rows_come_again(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one", rows=500, shards=2), make(tmp_path / "other", rows=500, shards=2)
    assert contents(one) == contents(other)


def test_what_stands_there_is_kept(tmp_path: Path) -> None:
    folder = make(tmp_path, rows=100, shards=1)
    (folder / "mine").touch()

    assert make(tmp_path, rows=100, shards=1) == folder
    assert (folder / "mine").exists()
    assert make(tmp_path, rows=200, shards=1).name == "rows-200-1"
