"""Standard input as a file: every worker reads its own part of it, and a plan needs its size and digest first."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlserve_cli import storage
from mlserve_cli.errors import UsageError
from mlserve_cli.scoring.request import STREAM
from mlserve_cli.tables import Found, FoundFile

COPY_BYTES = 1 << 20


@contextmanager
def standard_input(inputs: Sequence[str]) -> Iterator[Found | None]:
    """Where `-` is the input, all of it in a file that has no name, so that not even SIGKILL can leave it behind.

    Workers open it through the driver's descriptor. None where `-` is not among the inputs.
    Raises UsageError (2) where `-` is one of several inputs or nothing is piped in.
    """
    if STREAM not in inputs:
        yield None
        return
    if len(inputs) > 1:
        raise UsageError("standard input cannot be one of several inputs", "--input -", "name the files instead")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("nothing is piped in", "--input -", "as in: cat rows.csv | mlserve score -i - …")
    with storage.translated(tempfile.gettempdir(), "keep standard input"), tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool, COPY_BYTES)
        spool.flush()
        os.utime(spool.fileno(), ns=(0, 0))  # the time of the copy is not the data's: piped again, it is the same plan
        yield Found((FoundFile(f"/proc/{os.getpid()}/fd/{spool.fileno()}", STREAM),), ())
