"""A run whose volume, quarantine or duration is far from that of the runs of its job before it.

Far is measured robustly, on a logarithm: by the distance from the median, in units of the spread that the median
absolute deviation gives, over the last runs (Iglewicz and Hoaglin 1993). Weekdays have habits: a run must be far from
the runs of its own weekday too, and where there are enough of these, they are the measure. tests/telling/test_odd.py
counts the false alarms of a quiet job and the shares of real ones that are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.telling.findings import Finding, Kind
from mlserve_cli.telling.middle import middle, weekdays_of
from mlserve_cli.telling.runs import AuditedRun

LAST_RUNS = 60
FEWEST_RUNS = 8
FAR = 5.0
ENOUGH_OF_A_WEEKDAY = 5
FEW_OF_A_WEEKDAY = 4
SPREAD_OF_MAD = 1.4826  # of a normal distribution: standard deviation over median absolute deviation
FEW_ROWS_ASIDE, SHARE_ASIDE = 2, 1e-5
Runs = Sequence[AuditedRun]
Column = NDArray[np.float64]
Days = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a run: its logarithm, the spread that is taken for granted, and which side of it is odd.

    `value` is the logarithm of the figure plus `offset`, so that 0 has one too; `least` is the smallest figure that is
    worth a word.
    """

    kind: Kind
    value: Callable[[AuditedRun], float]
    least_spread: float
    both_sides: bool
    words: Callable[[float, float], str]
    offset: float = 0.0
    least: float = 0.0

    def figure(self, value: float) -> float:
        """Back from the logarithm."""
        return max(float(np.exp(value)) - self.offset, 0.0)


def odd_figures(runs: Runs) -> Iterator[Finding]:
    """The findings of one job; runs that are odd in the same way one after the other are one finding."""
    committed = [run for run in runs if run.is_committed and not run.repeats]
    for measure in MEASURES:
        values = np.array([measure.value(run) for run in committed], dtype=np.float64)
        weekdays = weekdays_of(np.array([run.started_s for run in committed], dtype=np.float64))
        distances = [
            distance(values, weekdays, place, least_spread=measure.least_spread) for place in range(len(values))
        ]
        yield from _findings(measure, committed, values, distances)


def distance(values: Column, weekdays: Days, place: int, *, least_spread: float) -> tuple[float, float]:
    """How far a value is from those before it, in spreads, and what was to be expected; (0, itself) with too few."""
    first = max(0, place - LAST_RUNS)
    before, days, value = values[first:place], weekdays[first:place], values[place]
    if len(before) < FEWEST_RUNS:
        return 0.0, float(value)
    by_day = {int(day): before[days == day].tolist() for day in set(days.tolist())}
    same = by_day.get(int(weekdays[place]), [])
    if len(same) < ENOUGH_OF_A_WEEKDAY or min(map(len, by_day.values())) < ENOUGH_OF_A_WEEKDAY:
        return _by_all(before.tolist(), same, float(value), least_spread=least_spread)
    centers = {day: middle(of_day) for day, of_day in by_day.items()}
    apart = middle(abs(one - centers[day]) for day, of_day in by_day.items() for one in of_day)
    expected = centers[int(weekdays[place])]
    return (float(value) - expected) / max(SPREAD_OF_MAD * apart, least_spread), expected


def _by_all(before: list[float], same: list[float], value: float, *, least_spread: float) -> tuple[float, float]:
    """By all runs before, and then by the nearest of the few on the same weekday."""
    expected = middle(before)
    spread = max(SPREAD_OF_MAD * middle(abs(one - expected) for one in before), least_spread)
    if same:
        few = len(same) < FEW_OF_A_WEEKDAY
        near = min(same, key=lambda one: abs(value - one)) if few else middle(same)
        expected = min(expected, near, key=lambda one: abs(value - one))
    return (value - expected) / spread, expected


def _findings(
    measure: Measure, runs: Runs, values: Column, distances: Sequence[tuple[float, float]]
) -> Iterator[Finding]:
    sides = [_side(measure, float(value), far) for value, (far, _) in zip(values, distances, strict=True)]
    for side, group in groupby(range(len(runs)), key=sides.__getitem__):
        if side:
            yield _finding(measure, runs, values, distances, list(group))


def _side(measure: Measure, value: float, far: float) -> int:
    """1 above, -1 below, 0 where it is not odd."""
    if abs(far) <= FAR or measure.figure(value) < measure.least or (far < 0 and not measure.both_sides):
        return 0
    return 1 if far > 0 else -1


def _finding(
    measure: Measure,
    runs: Runs,
    values: Column,
    distances: Sequence[tuple[float, float]],
    places: Sequence[int],
) -> Finding:
    first, far = runs[places[0]], distances[places[0]]
    value, expected = measure.figure(values[places[0]]), measure.figure(far[1])
    more = f", and so did the {len(places) - 1} after it" if len(places) > 1 else ""
    return Finding(
        kind=measure.kind,
        when=first.line.entry.when,
        place=first.line.place,
        job=first.job,
        run=first.line.entry.run,
        what=measure.words(value, expected) + more,
        figures={
            "value": round(value, 6),
            "expected": round(expected, 6),
            "spreads": round(far[0], 1),
            "runs": len(places),
        },
    )


def _rows(run: AuditedRun) -> float:
    return float(np.log(run.ended.rows_in + 1)) if run.ended is not None else 0.0


def _share_set_aside(run: AuditedRun) -> float:
    """A row or two is no matter."""
    ended = run.ended
    if ended is None:
        return 0.0
    aside = ended.rows_quarantined if ended.rows_quarantined > FEW_ROWS_ASIDE else 0
    return float(np.log(aside / max(ended.rows_in, 1) + SHARE_ASIDE))


def _seconds(run: AuditedRun) -> float:
    """A second is taken as the least: start-up is not what this is about."""
    return float(np.log(max(run.ended.seconds, 1.0))) if run.ended is not None else 0.0


MEASURES = (
    Measure(
        "volume",
        _rows,
        least_spread=0.05,
        both_sides=True,
        words=lambda value, expected: f"read {value:,.0f} rows where {expected:,.0f} were to be expected",
        offset=1.0,
    ),
    Measure(
        "quarantine",
        _share_set_aside,
        least_spread=0.7,
        both_sides=False,
        words=lambda value, expected: f"set {value:.2%} of its rows aside where {expected:.2%} were to be expected",
        offset=SHARE_ASIDE,
        least=0.0001,
    ),
    Measure(
        "duration",
        _seconds,
        least_spread=0.2,
        both_sides=False,
        words=lambda value, expected: f"took {value:,.1f} s where {expected:,.1f} were to be expected",
        least=5.0,
    ),
)
