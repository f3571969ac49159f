"""Tables in files: finding shards and looking into them, reading any rows as chunks, writing and merging parts."""

from mlserve_cli.tables._find import HIDDEN, KNOWN_ENDINGS, find_files
from mlserve_cli.tables._look import look_into
from mlserve_cli.tables._merge import merge_parts, part_rows, part_schema, read_part
from mlserve_cli.tables._names import COMPRESSED_ENDINGS, ending_of, os_path, text_of
from mlserve_cli.tables._part import PartWriter, write_part
from mlserve_cli.tables._read import check_unchanged, read_chunks, spread_evenly
from mlserve_cli.tables._row_groups import goes_group_by_group, reader_bytes
from mlserve_cli.tables._values import (
    Block,
    Chunk,
    Column,
    Compression,
    Dialect,
    Format,
    Found,
    FoundFile,
    Shard,
    delimiter_named,
)

__all__ = [
    "COMPRESSED_ENDINGS",
    "HIDDEN",
    "KNOWN_ENDINGS",
    "Block",
    "Chunk",
    "Column",
    "Compression",
    "Dialect",
    "Format",
    "Found",
    "FoundFile",
    "PartWriter",
    "Shard",
    "check_unchanged",
    "delimiter_named",
    "ending_of",
    "find_files",
    "goes_group_by_group",
    "look_into",
    "merge_parts",
    "os_path",
    "part_rows",
    "part_schema",
    "read_chunks",
    "read_part",
    "reader_bytes",
    "spread_evenly",
    "text_of",
    "write_part",
]
