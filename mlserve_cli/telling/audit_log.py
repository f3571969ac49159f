"""Adds to the audit log: two lines for each run, under a lock, each linked to the line before by its digest.

Whoever can write to the file can write it anew from some line on. What shows that is a digest that was noted elsewhere:
every run's line of `--log-file` has the newest one, and `mlserve audit --head` looks for it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlserve_cli._version import __version__
from mlserve_cli.contract import sha256_of
from mlserve_cli.errors import LogBroken, TryLater, shown
from mlserve_cli.storage import HeldLog, held_log, translated
from mlserve_cli.tables import text_of
from mlserve_cli.telling.account import Beginning, Ending, iso
from mlserve_cli.telling.entries import (
    AUDIT_FORMAT,
    BrokenLine,
    Ended,
    Entry,
    Model,
    Started,
    decode_line,
    encode_line,
    torn_digest,
)
from mlserve_cli.telling.family import read_lines, rotated

LOCK_TIMEOUT_S = 10.0
BLOCK_BYTES = 1 << 16
Make = Callable[[int, str, str], Started | Ended]


def note_beginning(path: str, beginning: Beginning) -> str:
    """Append that a run is about to begin; returns the new entry's digest.

    Raises LogBroken (65) where the log's end was changed, and what held_log does: without the entry, no run.
    """
    request = beginning.request

    def make(sequence: int, previous: str, torn: str) -> Started:
        return Started(
            **_common(beginning, sequence, previous, torn, when_s=beginning.when_s),
            pid=os.getpid(),
            mlserve=__version__,
            job=beginning.job,
            model=text_of(request.champion),
            inputs=list(map(text_of, request.inputs)),
            output=text_of(request.output),
            directory=beginning.directory,
            command=list(request.command),
        )

    return _append(Path(path), make)


def note_ending(path: str, ending: Ending) -> str:
    """Append how the run ended; returns the new entry's digest. Raises what note_beginning does."""
    plan, manifest = ending.plan, ending.manifest
    rows = manifest.rows if manifest is not None else None

    def make(sequence: int, previous: str, torn: str) -> Ended:
        return Ended(
            **_common(ending.beginning, sequence, previous, torn, when_s=ending.when_s),
            model=_model(ending),
            others=_others(ending),
            plan=plan.id if plan is not None else "",
            inputs_digest=f"sha256:{sha256_of(plan.inputs)}" if plan is not None else "",
            files=len(plan.inputs) if plan is not None else 0,
            rows_in=rows.rows_in if rows is not None else 0,
            rows_out=rows.rows_out if rows is not None else 0,
            rows_quarantined=rows.rows_quarantined if rows is not None else 0,
            seconds=round(ending.seconds, 3),
            status=ending.status,
            exit_code=ending.exit_code,
            error=ending.failure.type if ending.failure is not None else "",
            manifest=manifest.digest if manifest is not None else "",
        )

    return _append(Path(path), make)


def _common(beginning: Beginning, sequence: int, previous: str, torn: str, *, when_s: float) -> dict[str, Any]:
    return {
        "format": AUDIT_FORMAT,
        "sequence": sequence,
        "previous": previous,
        "torn": torn,
        "when": iso(when_s),
        "run": beginning.run,
        "user": beginning.user,
        "host": beginning.host,
        "digest": "",
    }


def _model(ending: Ending) -> Model | None:
    if ending.plan is None:
        return None
    model = ending.plan.model
    alias = ending.manifest.model.alias if ending.manifest is not None else ""
    return Model(model.name, model.version, model.digest, alias)


def _others(ending: Ending) -> list[Model]:
    rivals = ending.plan.rivals if ending.plan is not None else ()
    return [Model(one.model.name, one.model.version, one.model.digest, "") for one in rivals]


def _append(path: Path, make: Make) -> str:
    """Where the log is rotated while it is begun, two who hold a file each may wait for one another: then anew."""
    until = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return _append_once(path, make)
        except _Rotating as waiting:
            if time.monotonic() > until:
                raise waiting.reason from None


class _Rotating(Exception):
    """A file that was rotated away is being written to."""

    def __init__(self, reason: TryLater) -> None:
        super().__init__(reason)
        self.reason = reason


def _append_once(path: Path, make: Make) -> str:
    with held_log(path, timeout_s=LOCK_TIMEOUT_S, regular=True) as log:
        last, cut = _last_entry(log)
        if last is None:  # new, or empty since it was rotated: the chain goes on from where it was moved to
            last = _last_rotated(path)
        sequence = last.sequence + 1 if last is not None else 1
        line = encode_line(make(sequence, last.digest if last is not None else "", torn_digest(cut)))
        with translated(path, "append to the audit log"):
            log.append(line)
        return _digest_of(line)


def _digest_of(line: bytes) -> str:
    entry = decode_line(line)
    return entry.digest if entry is not None else ""


def _last_entry(log: HeldLog) -> tuple[Entry | None, bytes]:
    """The last entry, and what stands after it: what is left of appends that were cut off, as the next line says it."""
    length = BLOCK_BYTES
    while True:
        with translated(log.path, "read the audit log"):
            tail = log.tail(length)
        whole = len(tail) == log.size_bytes
        lines = tail.split(b"\n")[0 if whole else 1 :]
        for index in range(len(lines) - 1, -1, -1):
            entry = _decoded(lines[index], log.path)
            if entry is not None:  # the last line too, which may lack its end alone
                return entry, _cut(lines[index + 1 :])
        if whole:
            return None, _cut(lines)
        length *= 4


def _last_rotated(path: Path) -> Entry | None:
    """The last entry of all that were moved away."""
    found: Entry | None = None
    for older in rotated(path):
        try:
            lines = read_lines(older, timeout_s=random.uniform(0.1, 0.3))
        except TryLater as reason:
            raise _Rotating(reason) from None
        entries = (_decoded(line, older) for line in reversed(lines))
        last = next((entry for entry in entries if entry is not None), None)
        if last is not None and (found is None or last.sequence > found.sequence):
            found = last
    return found


def _cut(lines: list[bytes]) -> bytes:
    """The pieces with the end of line that each has, or gets from the next append."""
    kept = lines if lines[-1:] != [b""] else lines[:-1]
    return b"".join(piece + b"\n" for piece in kept)


def _decoded(line: bytes, path: Path) -> Entry | None:
    try:
        return decode_line(line)
    except BrokenLine as error:
        raise LogBroken(
            f"the audit log cannot be carried on, its last line does not hold: {error.args[0]}",
            shown(os.fspath(path), limit=400),
            "mlserve audit LOG says more; move the log away to begin a new one",
        ) from None
