"""A figure over many runs, as a line to draw: one place for each run, in the order of their start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlserve_cli.reporting.shapes import Tick, round_ticks, tick_text

DATES_SHOWN = 6
DOTTED_RUNS = 120  # with more the dots would hide the line


@dataclass(frozen=True, slots=True)
class Place:
    """A run on the axis: what it is called there, and the model's version then."""

    label: str
    version: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One picture: SVG paths in hundredths; `scale` and `dates` label the axes, `changes` are new versions."""

    title: str
    text: str
    line: str
    dots: str
    band: str
    scale: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    changes: tuple[Tick, ...]


def trend(
    title: str,
    values: Sequence[float | None],
    *,
    at: Sequence[Place],
    text: str,
    band: Sequence[tuple[float, float] | None] = (),
    from_zero: bool = False,
    said: Callable[[float], str] = tick_text,
) -> Trend:
    """The picture of `values`, one for each run; None leaves a gap. `band` is drawn behind, `said` labels the scale."""
    edges = [value for value in values if value is not None] + [
        end for pair in band if pair is not None for end in pair
    ]
    low, high = _ends(edges, from_zero=from_zero)
    x = [_x(place, len(at)) for place in range(len(at))]

    def y(value: float) -> float:
        return round(100 - 100 * (value - low) / (high - low), 2)

    points = [None if value is None else (x[i], y(value)) for i, value in enumerate(values)]
    return Trend(
        title=title,
        text=text,
        line=_line(points),
        dots=" ".join(f"M{px} {py}h0" for px, py in filter(None, points)) if len(points) <= DOTTED_RUNS else "",
        band=_band([None if pair is None else (x[i], y(pair[0]), y(pair[1])) for i, pair in enumerate(band)]),
        scale=round_ticks(low, high, said=said, most=3),
        dates=_dates(at),
        changes=_changes(at),
    )


def _ends(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if from_zero:
        return 0.0, high * 1.08 or 1.0
    room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _x(place: int, places: int) -> float:
    return round(100 * (place + 0.5) / places, 3)


def _line(points: Sequence[tuple[float, float] | None]) -> str:
    """Connected where a run follows a run with a figure."""
    steps, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
        else:
            steps.append(f"{pen}{point[0]} {point[1]}")
            pen = "L"
    return "".join(steps)


def _band(ends: Sequence[tuple[float, float, float] | None]) -> str:
    """An area for each stretch of runs without a gap."""
    stretches: list[list[tuple[float, float, float]]] = [[]]
    for end in ends:
        if end is None:
            stretches.append([])
        else:
            stretches[-1].append(end)
    return "".join(_area(stretch) for stretch in stretches if stretch)


def _area(stretch: Sequence[tuple[float, float, float]]) -> str:
    upper = [f"{x} {high}" for x, _, high in stretch]
    lower = [f"{x} {low}" for x, low, _ in reversed(stretch)]
    return f"M{'L'.join([*upper, *lower])}Z"


def _dates(at: Sequence[Place]) -> tuple[Tick, ...]:
    """Evenly spread labels; what would be said twice is said once."""
    labels = [place.label for place in at]
    step = max(1, -(-len(at) // DATES_SHOWN))
    found: dict[str, Tick] = {}
    for place in range(0, len(at), step):
        found.setdefault(labels[place], Tick(_x(place, len(at)), labels[place]))
    return tuple(found.values())


def _changes(at: Sequence[Place]) -> tuple[Tick, ...]:
    """Between two runs with different versions."""
    return tuple(
        Tick(round(100 * place / len(at), 3), f"version {at[place].version}")
        for place in range(1, len(at))
        if at[place].version != at[place - 1].version
    )
