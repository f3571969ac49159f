"""Runs that did not come when they should have, came when they never do, or whose times cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.telling.account import iso
from mlserve_cli.telling.chain import Chain, Line
from mlserve_cli.telling.findings import Finding
from mlserve_cli.telling.middle import middle, weekdays_of
from mlserve_cli.telling.runs import AuditedRun

LAST_RUNS = 60
FEWEST_INTERVALS = 8
ENOUGH_OF_A_WEEKDAY = 4
LATE = 1.5  # times the usual interval
REGULAR = 0.2  # median absolute deviation of an interval's logarithm: a fifth up or down
SAME_SLOT = 0.2  # of the usual interval: a run that comes so soon after another is the same one again
FEWEST_HOURS = 20
HABIT_HOURS = 3.0  # nine in ten runs come within these of the usual time
ODD_HOURS = 2.0  # from any time at which one ever came
CLOCK_S = 300.0
LONGEST_RUN_S = 86_400.0
Times = NDArray[np.float64]


def gaps(runs: Sequence[AuditedRun], *, now_s: float) -> Iterator[Finding]:
    """Where a job that comes regularly did not come; it may be missing still."""
    begun = np.array([run.started_s for run in runs])
    slots = _slots(begun)
    for number in range(FEWEST_INTERVALS, len(slots)):
        usual_s = usual_interval_s(begun[slots[max(0, number - LAST_RUNS) : number + 1]])
        until_s = float(begun[slots[number + 1]]) if number + 1 < len(slots) else now_s
        waited_s = until_s - float(begun[slots[number]])
        if usual_s and waited_s > LATE * usual_s:
            yield _gap(runs[slots[number]], waited_s, usual_s, over=number + 1 < len(slots))


def usual_interval_s(begun: Times) -> float:
    """How long until the next run after the last of these, judging by the last intervals; 0 where they are irregular.

    By those that began on the same weekday where there are enough, since a job may rest at weekends; else the longest.
    """
    intervals = np.diff(begun)
    if len(intervals) < FEWEST_INTERVALS:
        return 0.0
    weekdays = weekdays_of(begun)
    same = intervals[weekdays[:-1] == weekdays[-1]]
    if not (_is_regular(intervals) and (len(same) < ENOUGH_OF_A_WEEKDAY or _is_regular(same))):
        return 0.0
    return middle(same.tolist()) if len(same) >= ENOUGH_OF_A_WEEKDAY else float(np.max(intervals))


def odd_hours(runs: Sequence[AuditedRun]) -> Iterator[Finding]:
    """Runs at a time of day at which the job never came, where it otherwise comes at one time of day."""
    hours = np.array([run.started_s % 86_400 / 3_600 for run in runs])
    for place in range(FEWEST_HOURS, len(runs)):
        before = hours[max(0, place - LAST_RUNS) : place]
        if not _is_habit(before):
            continue
        away = float(_apart(before, hours[place]).min())
        if away > ODD_HOURS:
            yield _odd_hour(runs[place], hours=float(hours[place]), away=away)


def clock(chain: Chain) -> Iterator[Finding]:
    """Lines that say that they were written before the one above them, on the same machine."""
    last: dict[str, Line] = {}
    for line in chain.lines:
        before = last.get(line.entry.host)
        if before is not None and line.when_s < before.when_s - CLOCK_S:
            back_s = before.when_s - line.when_s
            what = f"is {_span(back_s)} before the line above it: a clock was set back, or the time is not true"
            yield Finding("clock", line.entry.when, line.place, "", line.entry.run, what, {"seconds": round(back_s, 3)})
        if before is None or line.when_s > before.when_s:
            last[line.entry.host] = line


def never_ended(runs: Sequence[AuditedRun], *, now_s: float) -> Iterator[Finding]:
    """Runs of which no end is told: killed outright, or the machine went. One that may still be running is none."""
    last = {_output(run): run.started_s for run in runs}
    for run in runs:
        if run.ended is not None or run.started is None:
            continue
        if last[_output(run)] > run.started_s or now_s - run.started_s > LONGEST_RUN_S:
            what = "never ended: it was killed outright, or its machine stopped"
            yield Finding(
                "never-ended",
                run.started.when,
                run.line.place,
                run.job,
                run.started.run,
                what,
                {"pid": run.started.pid, "host": run.host},
            )


def _is_regular(intervals: Times) -> bool:
    usual_s = middle(intervals.tolist())
    return middle(np.abs(np.log(intervals / usual_s)).tolist()) <= REGULAR


def _output(run: AuditedRun) -> tuple[str, str, str] | None:
    """Where the run was to stand: where another began to write, it had ended."""
    return (run.host, run.started.directory, run.started.output) if run.started is not None else None


def _slots(begun: Times) -> list[int]:
    """The places of the runs that count as visits of the job: not those that follow hard on another."""
    if len(begun) < 2:
        return list(range(len(begun)))
    usual_s = float(np.median(np.diff(begun)))
    kept = [0]
    for place in range(1, len(begun)):
        if begun[place] - begun[kept[-1]] > SAME_SLOT * usual_s:
            kept.append(place)
    return kept


def _gap(run: AuditedRun, waited_s: float, usual_s: float, *, over: bool) -> Finding:
    until = "there was no run" if over else "there is no run to this day"
    return Finding(
        kind="gap",
        when=iso(run.started_s + usual_s),
        place=run.line.place,
        job=run.job,
        run=run.line.entry.run,
        what=f"{until} for {_span(waited_s)} after this one, where one comes every {_span(usual_s)}",
        figures={"seconds": round(waited_s), "usual_seconds": round(usual_s), "over": over},
    )


def _odd_hour(run: AuditedRun, *, hours: float, away: float) -> Finding:
    return Finding(
        kind="hour",
        when=run.line.entry.when,
        place=run.line.place,
        job=run.job,
        run=run.line.entry.run,
        what=f"began at {_clock(hours)} UTC, {away:.1f} h from any time of day at which the job came before",
        figures={"hour": round(hours, 2), "hours_away": round(away, 2)},
    )


def _is_habit(hours: Times) -> bool:
    """Whether they lie around one time of day."""
    apart = np.sort(_apart(hours[:, None], hours[None, :]), axis=1)
    center = int(np.argmin(apart[:, len(hours) // 2]))
    return bool(apart[center, int(0.9 * (len(hours) - 1))] <= HABIT_HOURS / 2)


def _apart(hours: Times, other: Times | float) -> Times:
    """Hours between times of day, around midnight too."""
    found: Times = np.abs((hours - other + 12) % 24 - 12)
    return found


def _clock(hours: float) -> str:
    minutes = int(hours * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _span(seconds: float) -> str:
    """2 days, 5 h, 10 min."""
    for size, word in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (size == 3_600 and seconds >= size):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {word}"
    return f"{seconds:.0f} s"
