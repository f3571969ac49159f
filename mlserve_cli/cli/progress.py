"""Progress on standard error: a bar where a person watches, a plain line now and then elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlserve_cli.cli.terminal import TERMINAL, is_interactive, printable
from mlserve_cli.scoring import Observer, memory_in_use

if TYPE_CHECKING:
    from rich.progress import Progress

    from mlserve_cli.manifest import TaskRecord
    from mlserve_cli.planning import Estimate, Plan

PLAIN_LINE_S = 10.0
BAR_WIDTH = 10
ROOM_FOR_THE_BAR = len("scoring  100 %  ") + BAR_WIDTH + 2  # 2: the ^C that a terminal echoes must not break the line
MIB = 1 << 20
MEMORY_S = 0.5


@contextmanager
def watching() -> Iterator[Observer]:
    """An observer that shows what this terminal can show, for as long as the block runs."""
    if TERMINAL.quiet or not TERMINAL.progress:
        yield Plain(silent=True)
    elif is_interactive():
        with _bar() as bar:
            yield Bar(bar)
    else:
        yield Plain()


@dataclass(slots=True)
class Count:
    """Tasks and rows done, and since when. Rows that were there before count as done, not as speed."""

    tasks: int = 0
    rows: int = 0
    done_tasks: int = 0
    done_rows: int = 0
    found_rows: int = 0
    since_s: float = field(default_factory=time.monotonic)
    _looked_s: float = 0.0
    _memory_bytes: int = 0

    @property
    def memory_mib(self) -> int:
        """Of all processes, at most half a second old: to look costs the driver milliseconds, and tasks may be tiny."""
        if time.monotonic() - self._looked_s > MEMORY_S:
            self._looked_s, self._memory_bytes = time.monotonic(), memory_in_use()
        return self._memory_bytes // MIB

    def add(self, record: TaskRecord, *, resumed: bool) -> None:
        """One more task."""
        self.done_tasks += 1
        self.done_rows += record.rows_in
        self.found_rows += record.rows_in if resumed else 0

    @property
    def rows_per_s(self) -> float:
        """Of this attempt."""
        return (self.done_rows - self.found_rows) / max(time.monotonic() - self.since_s, 1e-9)

    @property
    def left_s(self) -> float | None:
        """Seconds to go at this speed, None before there is one."""
        return (self.rows - self.done_rows) / self.rows_per_s if self.rows_per_s else None


class Plain:
    """One line at most every ten seconds, for logs."""

    def __init__(self, *, silent: bool = False) -> None:
        self._count, self._silent, self._said_s = Count(), silent, time.monotonic()

    def stage(self, name: Literal["planning", "scoring", "committing"]) -> None:
        """A stage is not worth a line of a log."""
        if name == "scoring":
            self._count.since_s = self._said_s = time.monotonic()

    def warn(self, text: str) -> None:
        """A warning is."""
        TERMINAL.warn(text)

    def planned(self, plan: Plan, estimate: Estimate) -> None:  # noqa: ARG002
        """How much there is."""
        self._count.tasks, self._count.rows = len(plan.tasks), plan.rows

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        """A line, if the last one is long ago."""
        self._count.add(record, resumed=resumed)
        if self._silent or time.monotonic() - self._said_s < PLAIN_LINE_S:
            return
        self._said_s = time.monotonic()
        TERMINAL.note(_line(self._count))

    def lost(self, detail: str) -> None:
        """A fault that was survived."""
        TERMINAL.warn(f"{detail}; it is tried again")


class Bar:
    """A bar with tasks, rows, speed, time to go and memory."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._count = progress, Count()
        self._task = progress.add_task("planning", total=None, facts="")

    def stage(self, name: Literal["planning", "scoring", "committing"]) -> None:
        """What the bar is about."""
        if name == "scoring":
            self._count.since_s = time.monotonic()
        self._progress.update(self._task, description=name, facts="")

    def warn(self, text: str) -> None:
        """Above the bar."""
        with suppress(OSError):
            self._progress.console.print(f"warning: {printable(text)}", markup=False, highlight=False, soft_wrap=True)

    def planned(self, plan: Plan, estimate: Estimate) -> None:  # noqa: ARG002
        """How long the bar is."""
        self._count.tasks, self._count.rows = len(plan.tasks), plan.rows
        self._progress.update(self._task, total=max(plan.rows, 1))

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        """The bar grows."""
        self._count.add(record, resumed=resumed)
        facts = _facts(self._count, room=self._progress.console.width - ROOM_FOR_THE_BAR)
        self._progress.update(self._task, completed=self._count.done_rows, facts=facts)

    def lost(self, detail: str) -> None:
        """A fault that was survived."""
        self.warn(f"{detail}; it is tried again")


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=BAR_WIDTH),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.start()
    try:
        yield progress
    finally:
        with suppress(OSError):  # the terminal may have gone, which is not what the run is about
            progress.stop()


def _facts(count: Count, *, room: int) -> str:
    """As much as fits on the line."""
    memory, left = count.memory_mib, "" if count.left_s is None else f" {duration(count.left_s)} left"
    rows = f"{_short(count.done_rows)}/{_short(count.rows)} rows"
    full = f"{_amounts(count)}, {memory:,} MiB"
    short = f"{count.done_tasks}/{count.tasks} tasks {rows} {_short(count.rows_per_s)}/s {memory} MiB{left}"
    return next((text for text in (full, short, f"{rows}{left}") if len(text) <= room), "")


def _line(count: Count) -> str:
    return f"scoring: {_amounts(count)}, {count.memory_mib:,} MiB"


def _amounts(count: Count) -> str:
    left = "" if count.left_s is None or count.done_rows == count.rows else f", {duration(count.left_s)} to go"
    return (
        f"{count.done_tasks}/{count.tasks} tasks, {count.done_rows:,}/{count.rows:,} rows, "
        f"{count.rows_per_s:,.0f} rows/s{left}"
    )


def _short(number: float) -> str:
    """500, 504k, 2.0M, 12.5G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.{1 if number < 100 * size and letter != 'k' else 0}f}{letter}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """12.3 s, 4 min 05 s, 2 h 03 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
