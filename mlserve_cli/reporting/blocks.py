"""What pages are made of: tables, facts, marks. Values only; the templates draw them, and escape every text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal["good", "attention", "bad", "note"]
Kind: TypeAlias = Literal["text", "number", "code"]

ROWS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Meter:
    """A small bar within a cell: 0 to 100, with a tick where chance alone reaches to."""

    length: float
    tick: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, what stands in small type under it, and how it is marked."""

    text: str
    note: str = ""
    mark: Mark | None = None
    meter: Meter | None = None


Row: TypeAlias = list[Cell | str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. Numbers stand to the right, codes in a fixed pitch."""

    label: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with what it shows as its caption; `more` rows were left out, and `where` says where they stand."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    where: str = "the manifest"


@dataclass(frozen=True, slots=True)
class Fact:
    """A term and what it is: one or more lines."""

    term: str
    lines: tuple[str, ...]
    kind: Kind = "text"


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | str]],
    *,
    most: int = ROWS_SHOWN,
    where: str = "the manifest",
) -> Table:
    """The first `most` rows as a table; a text stands for a cell with nothing else."""
    cells = tuple(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row) for row in rows[:most])
    return Table(caption, tuple(columns), cells, more=max(len(rows) - most, 0), where=where)


def number(label: str) -> Column:
    """A column of numbers."""
    return Column(label, "number")
