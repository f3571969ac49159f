"""An audit log read from its first line to its last, over all files of it, and proved to be one unbroken chain."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlserve_cli.errors import InvalidConfig, LogBroken, shown
from mlserve_cli.telling.entries import BrokenLine, Ended, Started, decode_line, torn_digest
from mlserve_cli.telling.family import read_lines, rotated


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, where it stands (`number` counts a file's lines from 1), and when it says that it was written."""

    path: Path
    number: int
    entry: Started | Ended
    when_s: float

    @property
    def place(self) -> str:
        """As a person is told of it."""
        return f"{shown(os.fspath(self.path), limit=400)}, line {self.number}"


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left of an append that was cut off, and the line number at which it begins."""

    path: Path
    number: int
    content: bytes

    @property
    def place(self) -> str:
        """As a person is told of it."""
        return f"{shown(os.fspath(self.path), limit=400)}, line {self.number}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A log whose every line follows from the one before; `cuts` are what was cut off between and after them."""

    path: Path
    files: tuple[Path, ...]
    lines: tuple[Line, ...]
    cuts: tuple[Cut, ...]

    @property
    def head(self) -> str:
        """The newest entry's digest, "" where there is none."""
        return self.lines[-1].entry.digest if self.lines else ""

    @property
    def begins_at(self) -> int:
        """The first entry's number: more than 1 where older files of the log were removed."""
        return self.lines[0].entry.sequence if self.lines else 1


def read_chain(path: Path) -> Chain:
    """The log at `path` with what was rotated away from it, as far back as that is still there.

    Raises InputMissing (66), and LogBroken (65) naming the first line that does not follow.
    """
    files = [_read(file) for file in (path, *rotated(path))]
    found = sorted((pieces for pieces in files if any(isinstance(one, Line) for one in pieces)), key=_first_number)
    lines: list[Line] = []
    cuts = [one for pieces in files for one in pieces if isinstance(one, Cut)]
    for pieces in found:
        for before, line in _followed(pieces):
            _check_follows(lines[-1] if lines else None, line, cut=before)
            lines.append(line)
    paths = tuple(next(one.path for one in pieces) for pieces in found)
    return Chain(path, paths or (path,), tuple(lines), tuple(cuts))


Pieces = Sequence[Line | Cut]


def _read(path: Path) -> Pieces:
    """The entries of one file, and what stands between them."""
    found: list[Line | Cut] = []
    lines = read_lines(path)
    for number, content in enumerate(lines if lines[-1] else lines[:-1], start=1):
        entry = _decoded(content, path, number)
        if entry is not None:
            found.append(Line(path, number, entry, _seconds(entry, path, number)))
        else:
            found.append(Cut(path, number, content + b"\n"))
    return found


def _decoded(content: bytes, path: Path, number: int) -> Started | Ended | None:
    try:
        return decode_line(content)
    except BrokenLine as error:
        raise LogBroken(f"the chain is broken: {error.args[0]}", _place(path, number)) from None
    except InvalidConfig as error:
        raise InvalidConfig(error.what, _place(path, number), error.hint) from None


def _seconds(entry: Started | Ended, path: Path, number: int) -> float:
    try:
        return datetime.fromisoformat(entry.when).timestamp()
    except ValueError:
        raise LogBroken(f"{shown(entry.when)} is no time", _place(path, number)) from None


def _followed(pieces: Pieces) -> Iterator[tuple[bytes, Line]]:
    """Each entry with what was cut off before it in its file."""
    cut = b""
    for piece in pieces:
        if isinstance(piece, Cut):
            cut += piece.content
        else:
            yield cut, piece
            cut = b""


def _check_follows(before: Line | None, line: Line, *, cut: bytes) -> None:
    entry = line.entry
    if torn_digest(cut) != entry.torn:
        what = "what stands before it was not there, or was another, when it was written"
    elif before is None:
        what = "the first line names one before it" if entry.sequence == 1 and entry.previous else ""
    elif entry.sequence > before.entry.sequence + 1:
        what = f"entries {before.entry.sequence + 1} to {entry.sequence - 1} are missing"
    elif entry.sequence <= before.entry.sequence:
        what = f"it is entry {entry.sequence} after entry {before.entry.sequence}"
    elif entry.previous != before.entry.digest:
        what = "it does not follow from the line before: one of the two was changed"
    else:
        what = ""
    if what:
        raise LogBroken(f"the chain is broken: {what}", line.place)


def _first_number(pieces: Pieces) -> int:
    return next(one.entry.sequence for one in pieces if isinstance(one, Line))


def _place(path: Path, number: int) -> str:
    return f"{shown(os.fspath(path), limit=400)}, line {number}"
