"""How the values of a column are spread, as bars to draw: from a profile's sketch, beside the baseline's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.profiles import ColumnProfile, distribution, quantiles
from mlserve_cli.reporting.blocks import Table, number, table
from mlserve_cli.reporting.wording import figure, share, visible

BARS = 30
CATEGORIES_SHOWN = 10
TAIL_SHARE = 0.002  # at either end: a single odd value must not press all others into one bar
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in hundredths of the picture."""

    x: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of the axis, at `x` hundredths of its length."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A number's spread: bars for now, an outline (an SVG path, "" without a baseline) for then; `text` says it."""

    title: str
    text: str
    words: str
    bars: tuple[Bar, ...]
    outline: str
    ticks: tuple[Tick, ...]
    table: Table


@dataclass(frozen=True, slots=True)
class CategoryBar:
    """One category: its share now and in the baseline, and the lengths of its bars in hundredths."""

    label: str
    share: str
    base_share: str
    length: float
    base_length: float | None


@dataclass(frozen=True, slots=True)
class Categories:
    """A category's spread: a row of bars for each of the most frequent values."""

    title: str
    text: str
    bars: tuple[CategoryBar, ...]
    other: str


def shape_of(name: str, now: ColumnProfile, base: ColumnProfile | None) -> Histogram | Categories | None:
    """The picture of a column; None where it holds nothing that could be drawn."""
    if base is not None and base.kind != now.kind:
        base = None
    return _categories(name, now, base) if now.kind == "category" else _histogram(name, now, base)


def _histogram(name: str, now: ColumnProfile, base: ColumnProfile | None) -> Histogram | None:
    known = [one for one in (now, base) if one is not None and one.quantiles and one.minimum is not None]
    if not now.quantiles or not known:
        return None
    edges = _edges(known)
    shares = [_shares(one, edges[1:-1]) for one in known]
    highest = max(float(part.max()) for part in shares) or 1.0
    places = 100 * (edges - edges[0]) / (edges[-1] - edges[0])
    now_shares, base_shares = shares[0], shares[1] if len(known) > 1 else None
    title = visible(name)
    return Histogram(
        title=title,
        text=_text(title, now, base),
        words=_words(now, base),
        bars=tuple(
            Bar(round(x, 3), round(width, 3), round(100 * part / highest, 3))
            for x, width, part in zip(places[:-1], np.diff(places), now_shares, strict=True)
        ),
        outline="" if base_shares is None else _outline(places, 100 * base_shares / highest),
        ticks=round_ticks(float(edges[0]), float(edges[-1])),
        table=_table(title, edges, now_shares, base_shares),
    )


def _edges(known: Sequence[ColumnProfile]) -> NDArray[np.float64]:
    """Round numbers that part the range, all of a probability's or all but the outermost few values of others."""
    lowest = min(one.minimum for one in known if one.minimum is not None)
    highest = max(one.maximum for one in known if one.maximum is not None)
    if lowest >= 0 and highest <= 1 and highest - lowest > 0.2:
        return np.linspace(0.0, 1.0, BARS + 1)
    inner = [quantiles(one, (TAIL_SHARE, 1 - TAIL_SHARE)) for one in known]
    low, high = (float(found) for found in (min(one[0] for one in inner), max(one[1] for one in inner)))
    if high - low < (highest - lowest) / 3:  # long tails: the outermost bars hold them
        lowest, highest = low, high
    if highest <= lowest:
        lowest, highest = lowest - 0.5, lowest + 0.5
    step = _round_step((highest - lowest) / BARS)
    first, last = math.floor(lowest / step), math.floor(highest / step) + 1
    return np.arange(first, last + 1, dtype=np.float64) * step


def _shares(column: ColumnProfile, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the values in each of the bars between these points, the outermost open."""
    below = distribution(column).cdf(points, side="left")
    found: NDArray[np.float64] = np.diff(below, prepend=0.0, append=1.0)
    return found


def _round_step(least: float) -> float:
    scale = 10.0 ** math.floor(math.log10(least))
    return next(step * scale for step in STEPS if step * scale >= least * 0.999)


def _outline(places: NDArray[np.float64], heights: NDArray[np.float64]) -> str:
    """The upper edge of the baseline's bars as one line of steps."""
    steps = " ".join(f"V{100 - height:.2f}H{right:.2f}" for right, height in zip(places[1:], heights, strict=True))
    return f"M0 100{steps}V100"


def tick_text(value: float) -> str:
    """A label of an axis."""
    return figure(value, digits=3)


def round_ticks(
    low: float, high: float, *, said: Callable[[float], str] = tick_text, most: int = 5
) -> tuple[Tick, ...]:
    """So many labels, or one more, at round numbers between two ends."""
    step = _round_step((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(place * step, 12) for place in range(first, last + 1)]
    return tuple(Tick(round(100 * (value - low) / (high - low), 2), said(value)) for value in values)


def _table(title: str, edges: NDArray[np.float64], now: NDArray[np.float64], base: NDArray[np.float64] | None) -> Table:
    rows = [
        [f"{figure(float(low))} to {figure(float(high))}", share(float(part))]
        + ([] if base is None else [share(float(base[place]))])
        for place, (low, high, part) in enumerate(zip(edges[:-1], edges[1:], now, strict=True))
    ]
    columns = [number("from … to below"), number("this run")] + ([] if base is None else [number("baseline")])
    return table(f"{title}: shares of the values", columns, rows, most=2 * BARS + 2)


def _text(title: str, now: ColumnProfile, base: ColumnProfile | None) -> str:
    """The picture in words."""
    low, middle, high = quantiles(now, (0.05, 0.5, 0.95))
    said = f"{title}: half of the values are below {figure(middle)}, 90 % between {figure(low)} and {figure(high)}"
    if base is None or not base.quantiles:
        return f"{said}."
    low, middle, high = quantiles(base, (0.05, 0.5, 0.95))
    return f"{said}; in the baseline below {figure(middle)}, and between {figure(low)} and {figure(high)}."


def _words(now: ColumnProfile, base: ColumnProfile | None) -> str:
    """The same, short."""
    low, middle, high = (figure(float(value), digits=3) for value in quantiles(now, (0.05, 0.5, 0.95)))
    was = ""
    if base is not None and base.quantiles:
        was = f" (was {figure(float(quantiles(base, (0.5,))[0]), digits=3)})"
    return f"median {middle}{was}, 90 % from {low} to {high}"


def _categories(name: str, now: ColumnProfile, base: ColumnProfile | None) -> Categories | None:
    counted = sum(now.frequent.values()) + now.other
    if not counted:
        return None
    base_counted = sum(base.frequent.values()) + base.other if base is not None else 0
    wanted = _most_frequent(now, base)
    shares = [now.frequent.get(value, 0) / counted for value in wanted]
    base_shares = [base.frequent.get(value, 0) / base_counted if base and base_counted else None for value in wanted]
    highest = max(*shares, *(part for part in base_shares if part is not None), 1e-9)
    title = visible(name)
    bars = tuple(
        CategoryBar(
            label=visible(value) or "(empty)",
            share=share(part),
            base_share="" if before is None else share(before),
            length=round(100 * part / highest, 2),
            base_length=None if before is None else round(100 * before / highest, 2),
        )
        for value, part, before in zip(wanted, shares, base_shares, strict=True)
    )
    rest = 1 - sum(shares)
    other = f"all others: {share(rest)}" if rest > 1e-9 else ""
    first = bars[0]
    return Categories(title, f"{title}: the most frequent value is {first.label}, with {first.share}.", bars, other)


def _most_frequent(now: ColumnProfile, base: ColumnProfile | None) -> list[str]:
    """The most frequent values of both: what is gone is as telling as what is new."""
    sums = {value: now.frequent.get(value, 0) / max(now.rows, 1) for value in now.frequent}
    for value, seen in (base.frequent if base else {}).items():
        sums[value] = max(sums.get(value, 0.0), seen / max(base.rows if base else 1, 1))
    return sorted(sums, key=lambda value: (-sums[value], value))[:CATEGORIES_SHOWN]
