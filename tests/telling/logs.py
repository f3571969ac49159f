"""Audit logs made by hand: what a job of many nights would have written, with the oddities that a test puts in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mlserve_cli.telling.account import iso
from mlserve_cli.telling.entries import AUDIT_FORMAT, Ended, Model, Started, encode_line

FIRST = datetime(2026, 1, 5, 3, 15, tzinfo=UTC)  # a Monday
ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Night:
    """One run as it is to stand in the log."""

    when: datetime
    rows: int = ROWS
    aside: int = 0
    seconds: float = 20.0
    exit_code: int = 0
    user: str = "batch"
    host: str = "node1"
    name: str = "churn"
    version: str = "1"
    digest: str = "sha256:aa"
    output: str = ""
    challenger: str = ""
    ends: bool = True


@dataclass(slots=True)
class Log:
    """Lines that are chained as they are added."""

    lines: list[bytes] = field(default_factory=list)
    previous: str = ""

    def add(self, entry: Started | Ended) -> None:
        line = encode_line(entry)
        self.lines.append(line)
        self.previous = str(line.partition(b'"digest":"')[2].partition(b'"')[0], "ascii")

    def note(self, night: Night, number: int) -> None:
        """Both lines of a run."""
        output = night.output or f"/srv/scores/{night.when.date()}"
        self.add(
            Started(
                **self._common(night, number, night.when),
                pid=100 + number,
                mlserve="0.1.0",
                job=night.name,
                model=f"{night.name}@champion",
                inputs=["/srv/rows"],
                output=output,
                directory="/",
                command=["mlserve", "score"],
            )
        )
        if night.ends:
            self.add(self._ended(night, number))

    def _ended(self, night: Night, number: int) -> Ended:
        good = night.exit_code in (0, 3)
        return Ended(
            **self._common(night, number, night.when + timedelta(seconds=night.seconds)),
            model=Model(night.name, night.version, night.digest, "champion"),
            others=[Model("rival", "1", night.challenger, "")] if night.challenger else [],
            plan=f"{number:064x}",
            inputs_digest="sha256:00",
            files=1,
            rows_in=night.rows if good else 0,
            rows_out=night.rows - night.aside if good else 0,
            rows_quarantined=night.aside if good else 0,
            seconds=night.seconds,
            status="complete" if good else "failed",
            exit_code=night.exit_code,
            error="" if good else "CorruptFile",
            manifest=f"sha256:{number:064x}" if good else "",
        )

    def _common(self, night: Night, number: int, when: datetime) -> dict[str, Any]:
        return {
            "format": AUDIT_FORMAT,
            "sequence": len(self.lines) + 1,
            "previous": self.previous,
            "torn": "",
            "when": iso(when.timestamp()),
            "run": f"run-{number}",
            "user": night.user,
            "host": night.host,
            "digest": "",
        }


def nights(count: int, *, noise: float = 0.05, seed: int = 1, weekend: float = 1.0) -> list[Night]:
    """One run each night, of about as many rows; on weekends of `weekend` times as many."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        when = FIRST + timedelta(days=number, seconds=float(random.normal(0, 60)))
        share = weekend if when.weekday() >= 5 else 1.0
        rows = int(ROWS * share * np.exp(random.normal(0, noise)))
        found.append(Night(when, rows=rows, seconds=20 * float(np.exp(random.normal(0, noise)))))
    return found


def write_log(path: Path, found: Iterable[Night]) -> str:
    """The log's path."""
    log = Log()
    for number, night in enumerate(found):
        log.note(night, number)
    path.write_bytes(b"".join(line + b"\n" for line in log.lines))
    return str(path)


def with_changed(found: Sequence[Night], place: int, **changes: object) -> list[Night]:
    """The nights with one that was otherwise."""
    changed = list(found)
    changed[place] = replace(changed[place], **changes)  # type: ignore[arg-type]  # the fields of a Night
    return changed


def end_of(found: Sequence[Night]) -> float:
    """An hour after the last night, for who looks at the log then."""
    return found[-1].when.timestamp() + 3_600
