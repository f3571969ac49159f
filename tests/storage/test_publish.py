"""Files appear complete or not at all."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.errors import Forbidden, Interrupted, IOFailed, OutputError
from mlserve_cli.storage import publish, record_of, replace


def test_a_published_file_holds_what_was_written_and_the_record_says_so(tmp_path: Path) -> None:
    published = publish(tmp_path / "part", lambda file: file.write(b"rows"))

    assert published.is_new
    assert published.value == 4
    assert (tmp_path / "part").read_bytes() == b"rows"
    assert published.record == record_of(tmp_path / "part")
    assert published.record.sha256 == hashlib.sha256(b"rows").hexdigest()
    assert published.record.size_bytes == 4
    assert names(tmp_path) == {"part"}


def test_who_comes_second_loses_quietly(tmp_path: Path) -> None:
    publish(tmp_path / "part", lambda file: file.write(b"first"))

    second = publish(tmp_path / "part", lambda file: file.write(b"second"))

    assert not second.is_new
    assert (tmp_path / "part").read_bytes() == b"first"
    assert names(tmp_path) == {"part"}


def test_of_many_at_once_exactly_one_is_new(tmp_path: Path) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def attempt(number: int) -> None:
        start.wait()
        if publish(tmp_path / "part", lambda file: file.write(b"%d" % number)).is_new:
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "part").read_bytes() == b"%d" % won[0]
    assert len(won) == 1
    assert names(tmp_path) == {"part"}


@pytest.mark.parametrize("error", [ValueError("no"), Interrupted(15), KeyboardInterrupt()], ids=repr)
def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        publish(tmp_path / "part", write)

    assert names(tmp_path) == set()


def test_pyarrow_writes_through_it_and_the_digest_is_the_file_s(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array(range(100_000), pa.int64())})

    published = publish(tmp_path / "part.parquet", lambda file: pq.write_table(table, file, row_group_size=10_000))

    assert pq.read_table(tmp_path / "part.parquet").equals(table)
    assert published.record == record_of(tmp_path / "part.parquet")


def test_a_disk_that_takes_no_more_is_an_io_error_and_the_space_comes_back(tmp_path: Path) -> None:
    with file_size_limit(10_000), pytest.raises(IOFailed, match=r"part.bin") as caught:
        publish(tmp_path / "part.bin", lambda file: file.write(bytes(100_000)))

    assert caught.value.exit_code == 74
    assert names(tmp_path) == set()


def test_it_is_an_io_error_too_where_pyarrow_stands_between(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array(os.urandom(8) for _ in range(100_000))})

    with file_size_limit(10_000), pytest.raises(IOFailed, match=r"part.parquet"):
        publish(tmp_path / "part.parquet", lambda file: pq.write_table(table, file))

    assert names(tmp_path) == set()


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for path in (tmp_path / "missing" / "part", tmp_path / "file" / "part"):
        with pytest.raises(OutputError, match="part") as caught:
            publish(path, lambda file: file.write(b"rows"))
        assert caught.value.exit_code == 73


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_forbidden(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Forbidden):
        publish(tmp_path / "part", lambda file: file.write(b"rows"))


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_file_is_as_readable_as_the_umask_lets_it(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        publish(tmp_path / "part", lambda file: file.write(b"rows"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "part").stat().st_mode) == 0o666 & ~mask


@given(pieces=st.lists(st.binary(max_size=3000), max_size=20))
def test_the_digest_is_that_of_all_pieces_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "part"

    record = publish(path, lambda file: file.writelines(pieces)).record

    assert path.read_bytes() == b"".join(pieces)
    assert record == record_of(path)


def test_a_small_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    replace(tmp_path / "alias", b"1")

    record = replace(tmp_path / "alias", b"2")

    assert (tmp_path / "alias").read_bytes() == b"2"
    assert record == record_of(tmp_path / "alias")
    assert names(tmp_path) == {"alias"}


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


@contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow over it: a write fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
