"""Standard input and output: spooled and held back, so that a pipe too gets the whole result or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import BinaryIO

from mlserve_cli import storage
from mlserve_cli.errors import UsageError
from mlserve_cli.scoring.request import SILENT, STREAM, Observer, ScoreRequest
from mlserve_cli.scoring.score_run import RunResult, score_as

COPY_BYTES = 1 << 20


def score_to_stream(request: ScoreRequest, stream: BinaryIO, *, observer: Observer = SILENT) -> RunResult:
    """Score, and write the result as CSV to `stream` once it is complete; nothing of it before.

    Raises UsageError (2) for what needs a place to stay: quarantine, resuming, another format.
    """
    if request.on_error == "quarantine":
        raise UsageError("rows in quarantine need a place, and standard output is none", "", "name an --output")
    if request.if_exists != "error":
        raise UsageError("standard output can be neither resumed nor overwritten", "", "name an --output")
    if request.output_format == "parquet":
        raise UsageError("standard output takes CSV", "--output-format parquet", "name an --output ending in .parquet")
    if request.profile in ("on", "whole"):
        raise UsageError("a profile is a file beside the output, and standard output has none", "", "name an --output")
    with _scratch_folder() as folder:
        result = score_as(replace(request, output=os.path.join(folder, "scores.csv")), observer=observer, told=STREAM)
        _hand_over(str(result.output), stream)
        return result


def _hand_over(path: str, stream: BinaryIO) -> None:
    """A reader that leaves early, as `head` does, has what it wanted."""
    with storage.translated("standard output", "write to"), suppress(BrokenPipeError), open(path, "rb") as scores:
        shutil.copyfileobj(scores, stream, COPY_BYTES)
        stream.flush()


@contextmanager
def _scratch_folder() -> Iterator[str]:
    with storage.translated(tempfile.gettempdir(), "create a folder for the run"):
        folder = tempfile.TemporaryDirectory(prefix="mlserve-")
    with folder as path:
        yield path
