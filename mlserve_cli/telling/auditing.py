"""`mlserve audit`: prove that an audit log is one unbroken chain, then say what is odd in it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlserve_cli.errors import LogBroken, UsageError, shown
from mlserve_cli.telling.account import iso
from mlserve_cli.telling.chain import Chain, read_chain
from mlserve_cli.telling.findings import KINDS, Finding
from mlserve_cli.telling.odd_actors import new_actors
from mlserve_cli.telling.odd_failures import failing
from mlserve_cli.telling.odd_figures import odd_figures
from mlserve_cli.telling.odd_times import clock, gaps, never_ended, odd_hours
from mlserve_cli.telling.runs import AuditedRun, by_job, runs_of


@dataclass(frozen=True, slots=True)
class Audited:
    """Logs whose chains hold, the runs in them, and what is odd, in the order in which it happened."""

    chains: tuple[Chain, ...]
    runs: int
    failed_runs: int
    findings: tuple[Finding, ...]

    @property
    def entries(self) -> int:
        """Lines of all logs together."""
        return sum(len(chain.lines) for chain in self.chains)


def audit(
    *logs: str,
    since_s: float | None = None,
    until_s: float | None = None,
    ignore: Collection[str] = (),
    head: str | None = None,
) -> Audited:
    """Read the logs, each with what was rotated away from it, and look for what is odd over all of them.

    What was before `since_s` is only what later runs are compared with; `until_s` is when the looking is done, now if
    it is None: what comes after it is not looked at. `head` is the digest of a line that was noted elsewhere.

    Raises LogBroken (65) naming the first line that does not follow from the one before, or where no line has the
    digest `head`; InputMissing (66); UsageError (2) for a kind of finding that there is not.
    """
    _check_kinds(ignore)
    chains = tuple(_chains(logs))
    if head is not None:
        _check_head(chains, head)
    now_s = time.time() if until_s is None else until_s
    runs = sorted((run for chain in chains for run in runs_of(chain)), key=lambda run: run.started_s)
    runs = [run for run in runs if run.started_s <= now_s]
    found = [one for one in _findings(chains, runs, now_s=now_s) if one.kind not in ignore]
    kept = [one for one in found if (since_s or 0.0) <= _when_s(one) <= now_s]
    looked_at = [run for run in runs if run.ended_s >= (since_s or 0.0)]
    return Audited(
        chains=chains,
        runs=len(looked_at),
        failed_runs=sum(run.is_failed for run in looked_at),
        findings=tuple(sorted(kept, key=lambda one: (one.when, one.place, one.kind))),
    )


def _chains(logs: Sequence[str]) -> Iterator[Chain]:
    """Each log once: a file that another's chain goes through already is no log of its own."""
    read: set[str] = set()
    for log in sorted(logs, key=len):  # audit.log before audit.log.1
        if os.path.realpath(log) not in read:
            chain = read_chain(Path(log))
            read |= {os.path.realpath(file) for file in chain.files}
            yield chain


def _findings(chains: Sequence[Chain], runs: Sequence[AuditedRun], *, now_s: float) -> Iterator[Finding]:
    for job in by_job(runs).values():
        yield from odd_figures(job)
        yield from failing(job)
        yield from gaps(job, now_s=now_s)
        yield from odd_hours(job)
        yield from never_ended(job, now_s=now_s)
    yield from new_actors(runs)
    for chain in chains:
        yield from clock(chain)
        yield from _cut_off(chain)


def _cut_off(chain: Chain) -> Iterator[Finding]:
    """Appends that did not come to their end."""
    for cut in chain.cuts:
        after = next((line for line in chain.lines if line.path == cut.path and line.number > cut.number), None)
        near = after or (chain.lines[-1] if chain.lines else None)
        when = near.entry.when if near is not None else iso(0)
        what = f"{len(cut.content)} bytes of an append that was cut off: killed, or the disk was full"
        yield Finding("torn", when, cut.place, "", "", what, {"bytes": len(cut.content)})


def _check_head(chains: Sequence[Chain], head: str) -> None:
    if not any(line.entry.digest == head for chain in chains for line in chain.lines):
        older = any(chain.begins_at > 1 for chain in chains)
        raise LogBroken(
            "no line has this digest: the log was written anew after it was noted, or its end was cut away",
            f"--head {shown(head)}",
            "the line may be in an older file that was removed; else find out who could write to the log"
            if older
            else "compare the log with a copy, and find out who could write to it",
        )


def _check_kinds(ignore: Collection[str]) -> None:
    for kind in ignore:
        if kind not in KINDS:
            raise UsageError(f"{shown(kind)} is no kind of finding", "--ignore", f"there are {', '.join(KINDS)}")


def _when_s(finding: Finding) -> float:
    return datetime.fromisoformat(finding.when).timestamp()
