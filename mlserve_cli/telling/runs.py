"""The runs that an audit log tells of: the line of its beginning and that of its end, as one value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from mlserve_cli.scoring import STREAM
from mlserve_cli.telling.chain import Chain, Line
from mlserve_cli.telling.entries import Ended, Started

COMMITTED = frozenset(("complete", "complete with rows in quarantine", "gate failed"))
_OF_A_NIGHT = re.compile(r"(\w+=)?[\dT:_-]+")  # 2026-11-24, day=24


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """One run. `started` is None where that line was in a file that is not there any more, `ended` where it never did.

    `repeats` where it found its work done already: the manifest is that of an earlier run.
    """

    line: Line
    job: str
    started: Started | None
    ended: Ended | None
    started_s: float
    ended_s: float
    repeats: bool

    @property
    def user(self) -> str:
        return self.line.entry.user

    @property
    def host(self) -> str:
        return self.line.entry.host

    @property
    def is_committed(self) -> bool:
        """Whether its output stood at its end."""
        return self.ended is not None and self.ended.status in COMMITTED and bool(self.ended.manifest)

    @property
    def is_failed(self) -> bool:
        """Whether it ended badly, by itself or by a signal."""
        return self.ended is not None and self.ended.status not in COMMITTED


def runs_of(chain: Chain) -> list[AuditedRun]:
    """Every run of a log, in the order in which they began."""
    pairs: dict[str, list[Line]] = {}
    for line in chain.lines:
        pairs.setdefault(line.entry.run, []).append(line)
    made: set[str] = set()
    found = []
    for lines in pairs.values():
        run = _run(lines, made)
        found.append(run)
        if run.ended is not None:
            made.add(run.ended.manifest)
    return sorted(found, key=lambda run: run.started_s)


def by_job(runs: Iterable[AuditedRun]) -> dict[str, list[AuditedRun]]:
    """The runs of each job, in order."""
    ordered = sorted(runs, key=lambda run: (run.job, run.started_s))
    return {job: list(group) for job, group in groupby(ordered, key=lambda run: run.job)}


def _run(lines: Sequence[Line], made: set[str]) -> AuditedRun:
    started = next((line for line in lines if isinstance(line.entry, Started)), None)
    ended = next((line for line in lines if isinstance(line.entry, Ended)), None)
    first, last = started or lines[0], ended or lines[-1]
    end = ended.entry if ended is not None and isinstance(ended.entry, Ended) else None
    begin = started.entry if started is not None and isinstance(started.entry, Started) else None
    return AuditedRun(
        line=last,
        job=_job(begin, end),
        started=begin,
        ended=end,
        started_s=first.when_s if started is not None or end is None else last.when_s - end.seconds,
        ended_s=last.when_s,
        repeats=end is not None and bool(end.manifest) and end.manifest in made,
    )


def _job(started: Started | None, ended: Ended | None) -> str:
    """What a run is one of: a model, and the folder that its outputs stand in (a new name in it for each night)."""
    if started is None:
        return ended.model.name if ended is not None and ended.model is not None else ""
    return f"{started.job} to {_folder(started)}"


def _folder(started: Started) -> str:
    """Where the outputs of all nights stand: without the last name, and without those that are only dates."""
    if started.output == STREAM:
        return "standard output"
    folder = os.path.dirname(os.path.normpath(os.path.join(started.directory, started.output)))
    while _OF_A_NIGHT.fullmatch(os.path.basename(folder)):
        folder = os.path.dirname(folder)
    return folder
