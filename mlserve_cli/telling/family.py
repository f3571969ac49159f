"""An audit log and what rotation made of its past: `audit.log`, `audit.log.1`, `audit.log-20261124.gz`, …"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path

from mlserve_cli.errors import CorruptFile, InputMissing, shown
from mlserve_cli.storage import read_log, translated

READ_TIMEOUT_S = 10.0
_COUNT_OR_DATE = r"[.-]\d[\dT:_-]*"


def rotated(path: Path) -> list[Path]:
    """The files beside `path` that logrotate and its like name after it, compressed with gzip or not."""
    stem, suffix = path.stem, path.suffix
    names = re.compile(
        rf"({re.escape(path.name)}{_COUNT_OR_DATE}|{re.escape(stem)}{_COUNT_OR_DATE}{re.escape(suffix)})(\.gz)?"
    )
    with translated(path.parent, "list"):
        return sorted(path.parent / name for name in os.listdir(path.parent) if names.fullmatch(name))


def read_lines(path: Path, *, timeout_s: float = READ_TIMEOUT_S) -> list[bytes]:
    """The lines of a log, without their ends; the last is what stands after the last end, b"" as a rule.

    Raises InputMissing (66) where there is none, CorruptFile (65) where it is no gzip, TryLater (75) where somebody
    has been writing to it for `timeout_s`.
    """
    if not path.exists():
        raise InputMissing("there is no such log", shown(str(path), limit=400), "name what --audit-log named")
    content = read_log(path, timeout_s=timeout_s)
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            where = shown(str(path), limit=400)
            raise CorruptFile(f"the log cannot be decompressed: {error}", where, "restore it from a copy") from error
    return content.split(b"\n")
