"""What a watcher tells while it works, and the sums of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mlserve_cli.errors import DataError, MlserveError
from mlserve_cli.scoring import RunResult
from mlserve_cli.watching.aside import Rejection
from mlserve_cli.watching.inbox import Seen


@dataclass(frozen=True, slots=True)
class Scored:
    """A shard's run stands; its result's exit code is 3 with rows in quarantine, 4 where they drifted."""

    shard: Seen
    result: RunResult


@dataclass(frozen=True, slots=True)
class Rejected:
    """A bad shard; its reason stands at `place`, and it too where bad shards move."""

    shard: Seen
    reason: Rejection
    place: Path
    moved: bool


@dataclass(frozen=True, slots=True)
class Delayed:
    """A shard that could not be scored now and is tried again after `wait_s`, or by the next watcher where None."""

    shard: Seen
    error: MlserveError
    wait_s: float | None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a person should know; `is_wrong` where it will not mend itself."""

    text: str
    is_wrong: bool = False


Event: TypeAlias = Scored | Rejected | Delayed | Noted
Tell = Callable[[Event], None]


@dataclass(slots=True)
class Tally:
    """How many shards of each kind this watcher met, and the rows of those that it scored.

    `already` were scored before it came; `waiting` were not complete at its last look.
    """

    scored: int = 0
    already: int = 0
    rejected: int = 0
    delayed: int = 0
    waiting: int = 0
    damaged: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    run_code: int = 0
    delay_code: int = 0

    @property
    def exit_code(self) -> int:
        """65 where a shard was rejected or a run is damaged, else what delayed one, else 4, else 3, else 0."""
        if self.rejected or self.damaged:
            return DataError.exit_code
        return self.delay_code or self.run_code

    def add(self, event: Event) -> None:
        """One more."""
        match event:
            case Scored(result=result):
                rows = result.manifest.rows
                self.scored += 1
                self.rows_in += rows.rows_in
                self.rows_out += rows.rows_out
                self.rows_quarantined += rows.rows_quarantined
                self.run_code = max(self.run_code, result.exit_code)
            case Rejected():
                self.rejected += 1
            case Delayed(error=error):
                self.delayed += 1
                self.delay_code = max(self.delay_code, error.exit_code)
            case Noted():
                pass
