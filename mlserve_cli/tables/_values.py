"""What this layer speaks in: dialects, shards and the blocks inside them, chunks of decoded rows."""

from __future__ import annotations

import codecs
from typing import Literal

import msgspec
import pyarrow as pa

from mlserve_cli.contract import Faults, Value
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.tables._names import os_path

Format = Literal["parquet", "csv"]
Compression = Literal["none", "gzip", "zstd"]


class Dialect(Value, frozen=True):
    """How a CSV is spelled. `delimiter` "" means by the ending: a tab for .tsv, else a comma; `quote` "" means none.

    The empty unquoted field is null always; `null_values` are spellings of null beside it.
    """

    delimiter: str = ""
    encoding: str = "utf-8"
    quote: str = '"'
    null_values: tuple[str, ...] = ("",)
    header: bool = True
    max_field_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        for option, text in (("--delimiter", self.delimiter), ("--quote", self.quote)):
            if text and (len(text) != 1 or not text.isascii() or text in "\r\n\0"):
                raise UsageError(f"{option} {shown(text)} is not one ASCII character", option, _DIALECT_HINTS[option])
        if self.delimiter and self.delimiter == self.quote:
            raise UsageError(f"{shown(self.quote)} cannot both quote and delimit", "--delimiter, --quote")
        if self.max_field_bytes < 1:
            raise UsageError("a field of no bytes at all cannot be read", "--max-field-bytes", "the default is 16 MiB")
        _check_encoding(self.encoding)


class Column(Value, frozen=True):
    """A column of a shard; `type` is Arrow's name of the type, and "text" for Hive keys and everything in a CSV."""

    name: str
    type: str


class Block(Value, frozen=True):
    """A place where a task may begin, and the rows up to the next one.

    [start, stop) are row groups of a Parquet file, bytes of a CSV. What cannot be entered in its middle (gzip, zstd,
    UTF-16) is one block.
    """

    rows: int
    start: int
    stop: int


class Shard(Value, frozen=True):
    """One input file as it was when the plan was made.

    `path` (absolute), `name` and the Hive values are text that JSON can carry whatever bytes the names hold; `os_path`
    is what to open. `digest` is "footer-sha256:…" for Parquet, "sha256:…" of all bytes as they lie on disk otherwise.
    """

    index: int
    path: str
    name: str
    format: Format
    compression: Compression
    size_bytes: int
    mtime_ns: int
    digest: str
    rows: int
    columns: tuple[Column, ...]
    hive: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]

    @property
    def os_path(self) -> str:
        """The path to hand to the operating system."""
        return os_path(self.path)

    @property
    def file_columns(self) -> tuple[Column, ...]:
        """The columns that stand in the file itself, in its order, without the Hive keys."""
        return self.columns[: len(self.columns) - len(self.hive)]


class Facts(msgspec.Struct, frozen=True):
    """What looking into a file of either format finds."""

    digest: str
    rows: int
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]


class FoundFile(msgspec.Struct, frozen=True):
    """A file to be looked into: `path` as the system knows it, `name` and `hive` as text that JSON can carry."""

    path: str
    name: str
    hive: tuple[tuple[str, str], ...] = ()


class Found(msgspec.Struct, frozen=True):
    """What the inputs hold: the files in the order of the run, and the names of those passed over."""

    files: tuple[FoundFile, ...]
    skipped: tuple[str, ...]


class Chunk(msgspec.Struct, frozen=True):
    """Rows decoded at once: row i of `table` is row `start_row + i` of the shard.

    A CSV row with too few or too many fields holds its place as nulls and stands in `faults` (rows counted from the
    start of the chunk).
    """

    start_row: int
    table: pa.Table
    faults: Faults


def delimiter_named(text: str) -> str:
    """The delimiter that a person means by `text`: a character, or a tab spelled out."""
    return "\t" if text in ("\\t", "tab") else text


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
        "x".encode(encoding)
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"{shown(encoding)} is no text encoding",
            "--encoding",
            "utf-8, latin-1, cp1252, utf-16, … as Python names them",
        ) from error


_DIALECT_HINTS = {
    "--delimiter": "a tab is spelled 'tab' or '\\t'",
    "--quote": "--quote '' reads files in which quotes are characters like any other",
}
