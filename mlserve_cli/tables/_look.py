"""What a file is, told by its first bytes, and what is in it."""

from __future__ import annotations

import os
import stat

from mlserve_cli.errors import CorruptFile, UnsafeInput, shown
from mlserve_cli.tables._csv import look_into_csv
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._names import ending_of, text_of
from mlserve_cli.tables._parquet import ENCRYPTED_MAGIC, MAGIC, look_into_parquet
from mlserve_cli.tables._source import open_source
from mlserve_cli.tables._values import Column, Compression, Dialect, Format, FoundFile, Shard

GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
STANDARD_INPUT = "-"
TEXT_ENDINGS = (".csv", ".tsv")
PARQUET_ENDINGS = (".parquet", ".pq")


def look_into(file: FoundFile, *, index: int, dialect: Dialect, input_format: str | None = None) -> Shard:
    """The file as a shard: a Parquet's footer, or one pass over a CSV. Safe to call from several threads at once."""
    with translated(file.name):
        status = os.stat(file.path)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeInput("it is not a regular file", shown(file.name, limit=400), "pipe it in: --input -")
    if not status.st_size:
        raise CorruptFile(
            "the file is empty (0 bytes)", shown(file.name, limit=400), "an empty CSV still has its header"
        )
    kind, compression = _kind_of(file, input_format=input_format)
    if kind == "parquet":
        facts = look_into_parquet(file.path, name=file.name)
    else:
        facts = look_into_csv(file.path, name=file.name, compression=compression, dialect=dialect)
    _check_keys(file, facts.columns)
    return Shard(
        index=index,
        path=text_of(file.path),
        name=file.name,
        format=kind,
        compression=compression,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        digest=facts.digest,
        rows=facts.rows,
        columns=facts.columns + tuple(Column(key, "text") for key, _ in file.hive),
        hive=file.hive,
        blocks=facts.blocks,
    )


def _kind_of(file: FoundFile, *, input_format: str | None) -> tuple[Format, Compression]:
    """Bytes decide for gzip, zstd and Parquet whatever the ending; the ending or the option for text."""
    with translated(file.name):
        compression = compression_of(file.path)
        with open_source(file.path, compression=compression) as source:
            first = bytearray(len(MAGIC))
            source.readinto(memoryview(first))
    ending = ending_of(file.name)
    says_text = input_format == "csv" or (
        input_format is None and (ending in TEXT_ENDINGS or file.name == STANDARD_INPUT)
    )
    if first in (MAGIC, ENCRYPTED_MAGIC) and not (says_text and not _ends_as_parquet(file.path)):
        if compression != "none":
            raise CorruptFile(
                "a compressed Parquet file cannot be read", shown(file.name, limit=400), "decompress it first"
            )
        return "parquet", compression
    if says_text:
        return "csv", compression
    if input_format == "parquet" or ending in PARQUET_ENDINGS:
        raise CorruptFile(
            "it is not a Parquet file: its first bytes are not PAR1", shown(file.name, limit=400), "write it anew"
        )
    raise CorruptFile("its name does not say what it is", shown(file.name, limit=400), "say so with --input-format csv")


def compression_of(path: str) -> Compression:
    """By the first bytes."""
    with open(path, "rb") as file:
        first = file.read(4)
    if first.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if first == ZSTD_MAGIC else "none"


def _ends_as_parquet(path: str) -> bool:
    """A CSV may begin with the letters PAR1; it does not end with them too."""
    with open(path, "rb") as file:
        file.seek(-len(MAGIC), os.SEEK_END)
        return file.read() in (MAGIC, ENCRYPTED_MAGIC)


def _check_keys(file: FoundFile, columns: tuple[Column, ...]) -> None:
    for key, _ in file.hive:
        if any(column.name == key for column in columns):
            raise UnsafeInput(
                f"{shown(key)} is a column of the file and a key in its path",
                shown(file.name, limit=400),
                "rename one of them: it is not known which is meant",
            )
