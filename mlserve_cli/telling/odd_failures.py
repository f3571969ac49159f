"""A job that fails more often than it used to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import comb

from mlserve_cli.telling.findings import Finding
from mlserve_cli.telling.runs import AuditedRun

WINDOW_RUNS = 10
SELDOM = 0.001  # by chance, at the job's own rate of failures
PRIOR_FAILURES, PRIOR_RUNS = 0.5, 10.0  # one in twenty, until the job's own past says more


def failing(runs: Sequence[AuditedRun]) -> Iterator[Finding]:
    """The stretches in which so many of ten runs failed as the rate before would hardly ever give.

    Each run that failed is looked at with up to nine before it; stretches that touch are one finding.
    """
    ended = [run for run in runs if run.ended is not None]
    failed = [run.is_failed for run in ended]
    counts = [0, *accumulate(failed)]
    odd = [place for place in range(len(ended)) if failed[place] and _is_odd(counts, place)]
    for places in _stretches(odd):
        yield _finding(ended, failed, places)


def _is_odd(counts: Sequence[int], place: int) -> bool:
    """`counts` holds how many of the first so many runs failed."""
    first = max(0, place + 1 - WINDOW_RUNS)
    rate = (counts[first] + PRIOR_FAILURES) / (first + PRIOR_RUNS)
    return at_least(counts[place + 1] - counts[first], of=place + 1 - first, rate=rate) < SELDOM


def at_least(count: int, *, of: int, rate: float) -> float:
    """The chance of so many or more."""
    return sum(comb(of, some) * rate**some * (1 - rate) ** (of - some) for some in range(count, of + 1))


def _stretches(odd: Sequence[int]) -> Iterator[list[int]]:
    """The places that hang together."""
    stretch: list[int] = []
    for place in odd:
        if stretch and place - stretch[-1] > WINDOW_RUNS:
            yield stretch
            stretch = []
        stretch.append(place)
    if stretch:
        yield stretch


def _finding(runs: Sequence[AuditedRun], failed: Sequence[bool], places: Sequence[int]) -> Finding:
    first = next(place for place in range(max(0, places[0] + 1 - WINDOW_RUNS), places[0] + 1) if failed[place])
    count, of = sum(failed[first : places[-1] + 1]), places[-1] + 1 - first
    run = runs[places[-1]]
    codes = sorted({one.ended.exit_code for one in runs[first : places[-1] + 1] if one.is_failed and one.ended})
    return Finding(
        kind="failures",
        when=run.line.entry.when,
        place=run.line.place,
        job=run.job,
        run=run.line.entry.run,
        what=f"{count} of {of} runs failed, exit {', '.join(map(str, codes))}: far more than before",
        figures={"failed": count, "runs": of, "failed_before": sum(failed[:first]), "runs_before": first},
    )
