"""Two profiles, column by column: how far each has moved, and whether that is more than chance does.

A column is reported where a figure is over its limit and, beside that, over the noise: the limit keeps what does not
matter quiet, the noise what few rows do. All tests of all columns together raise an alarm by chance at most as often
as the false-alarm rate says (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
import numpy as np

from mlserve_cli.errors import DataError, shown
from mlserve_cli.profiles import distance, noise
from mlserve_cli.profiles.thresholds import Limits, Thresholds
from mlserve_cli.profiles.values import ColumnProfile, Profile
from mlserve_cli.profiles.verdict import ColumnDrift, Drift

Role = Literal["feature", "score"]
USUAL = Thresholds()
# Which test speaks for a figure: PSI and Jensen-Shannon are two readings of the same cells.
TESTS = {"psi": "cells", "js": "cells", "ks": "ks", "nulls": "nulls", "out_of_range": "range", "unseen": "unseen"}


class Compared(msgspec.Struct, frozen=True):
    """A column measured: its figures by the names of their limits, and for each test how likely it is by chance.

    `cells` and the two sides' effective rows are what the noise of PSI depends on.
    """

    name: str
    role: Role
    base: ColumnProfile
    now: ColumnProfile
    limits: Limits
    figures: Mapping[str, float]
    chances: Mapping[str, float]
    cells: int = 0
    base_rows: float = 0.0
    now_rows: float = 0.0
    unseen_values: tuple[str, ...] = ()


def drift(base: Profile, now: Profile, *, thresholds: Thresholds = USUAL, name: str = "") -> Drift:
    """How far `now` is from `base`, the columns that moved most first; `name` is what people call the base.

    Raises DataError (65) where they have no column in common, RunMismatch (65) where a sketch is damaged.
    """
    compared = [*_compared(base, now, thresholds, role="feature"), *_compared(base, now, thresholds, role="score")]
    if not compared:
        raise DataError(
            "the two profiles have no column in common",
            shown(name or base.source, limit=400),
            f"now has {_some(now)}, the base {_some(base)}",
        )
    tests = max(sum(len(column.chances) for column in compared), 1)
    alpha = thresholds.false_alarm_rate / tests
    columns = [_judged(column, tests=tests, alpha=alpha) for column in compared]
    known, found = (_names(profile) for profile in (base, now))
    return Drift(
        passed=not any(column.reasons for column in columns),
        base=name or base.source,
        base_digest=base.digest,
        base_rows=base.rows,
        now_rows=now.rows,
        false_alarm_rate=thresholds.false_alarm_rate,
        columns=tuple(sorted(columns, key=_rank)),
        missing=tuple(one for one in known if one not in found),
        added=tuple(one for one in found if one not in known),
    )


def _compared(base: Profile, now: Profile, thresholds: Thresholds, *, role: Role) -> Iterator[Compared]:
    """The columns of one role that both have, but for those that are not to be compared."""
    known, found = (one.features if role == "feature" else one.scores for one in (base, now))
    for name in known:
        limits = thresholds.of(name)
        if name in found and not limits.ignore:
            yield _measured(name, known[name], found[name], role=role, limits=limits)


def _measured(name: str, base: ColumnProfile, now: ColumnProfile, *, role: Role, limits: Limits) -> Compared:
    if base.kind != now.kind and base.rows and now.rows:  # they have no value in common
        return Compared(name, role, base, now, limits, {"js": 1.0}, {"kind": 0.0})
    if base.kind == now.kind == "number":
        return _measured_numbers(name, base, now, role=role, limits=limits)
    return _measured_categories(name, base, now, role=role, limits=limits)


def _measured_numbers(name: str, base: ColumnProfile, now: ColumnProfile, *, role: Role, limits: Limits) -> Compared:
    one, other = distance.sample_of(base), distance.sample_of(now)
    cells = distance.number_cells(one, other)
    ks = distance.kolmogorov_smirnov(one, other)
    outside, chance_outside = _outside(base, now, other)
    sizes = _sizes(cells, base_error=one.share_error, now_error=other.share_error)
    chances = {"cells": _cells_chance(cells, sizes), "range": chance_outside, **_null_chance(base, now)}
    if math.isfinite(limits.ks):
        chances["ks"] = noise.ks_p_value(
            ks, base_rows=one.count, now_rows=other.count, sketch_error=one.rank_error + other.rank_error
        )
    figures = {**_cell_figures(cells), "ks": ks, "nulls": _null_change(base, now), "out_of_range": outside}
    return Compared(name, role, base, now, limits, figures, chances, len(cells.base), *sizes)


def _measured_categories(name: str, base: ColumnProfile, now: ColumnProfile, *, role: Role, limits: Limits) -> Compared:
    one, other = distance.counts_of(base), distance.counts_of(now)
    cells = distance.category_cells(one, other)
    unseen = {value: count for value, count in now.frequent.items() if value not in base.frequent and not base.other}
    rows = sum(unseen.values())
    totals = [base.frequent.get(value, 0) + now.frequent.get(value, 0) for value in {**base.frequent, **now.frequent}]
    chance = noise.unseen_p_value(rows, totals=np.array(totals, np.int64), base_rows=one.rows, now_rows=other.rows)
    sizes = _sizes(cells, base_error=0.0, now_error=0.0)
    chances = {"cells": _cells_chance(cells, sizes), "unseen": chance, **_null_chance(base, now)}
    figures = {**_cell_figures(cells), "nulls": _null_change(base, now), "unseen": rows / max(now.rows, 1)}
    return Compared(
        name, role, base, now, limits, figures, chances, len(cells.base), *sizes, unseen_values=tuple(unseen)[:5]
    )


def _cell_figures(cells: distance.Cells) -> dict[str, float]:
    return {"psi": distance.psi(cells), "js": distance.jensen_shannon(cells)}


def _sizes(cells: distance.Cells, *, base_error: float, now_error: float) -> tuple[float, float]:
    """How many exactly known rows each side is worth."""
    pooled = cells.base + (cells.now - cells.base) * cells.now_rows / max(cells.base_rows + cells.now_rows, 1)
    shares = pooled[pooled > 0].tolist()
    return (
        noise.effective_rows(cells.base_rows, share_error=base_error, shares=shares),
        noise.effective_rows(cells.now_rows, share_error=now_error, shares=shares),
    )


def _cells_chance(cells: distance.Cells, sizes: tuple[float, float]) -> float:
    statistic = distance.chi_square(cells)
    return noise.cells_p_value(statistic, cells=len(cells.base), base_rows=sizes[0], now_rows=sizes[1])


def _null_change(base: ColumnProfile, now: ColumnProfile) -> float:
    return abs(now.null_share - base.null_share) if base.rows and now.rows else 0.0


def _null_chance(base: ColumnProfile, now: ColumnProfile) -> dict[str, float]:
    """Where no row of either lacks a value there is nothing to test, and other tests need not make room for it."""
    base_nulls, now_nulls = base.nulls + base.nans, now.nulls + now.nans
    if not base_nulls + now_nulls:
        return {}
    return {"nulls": noise.shares_p_value(base_nulls, base.rows, now_nulls, now.rows)}


def _outside(base: ColumnProfile, now: ColumnProfile, sample: distance.Sample) -> tuple[float, float]:
    """The share of now's rows outside of what the base has, and how likely that many are by chance.

    Extremes are of all rows, shares between of the sketch: of what it says, its error is left out for the chance.
    """
    if base.minimum is None or base.maximum is None or now.minimum is None or now.maximum is None or not now.rows:
        return 0.0, 1.0
    below = float(sample.drawn.cdf(base.minimum, side="left")) if now.minimum < base.minimum else 0.0
    above = 1 - float(sample.drawn.cdf(base.maximum)) if now.maximum > base.maximum else 0.0
    beyond = 0 if base.infinities else now.infinities
    least = (now.minimum < base.minimum) + (now.maximum > base.maximum)
    share = (max((below + above) * now.present, least) + beyond) / now.rows
    certain = sum(max(side - sample.rank_error, 0.0) for side in (below, above)) * sample.count
    certain += beyond * sample.count / max(now.present, 1)
    return share, noise.outside_p_value(certain, base_rows=base.present, now_rows=sample.count)


def _judged(column: Compared, *, tests: int, alpha: float) -> ColumnDrift:
    limits: dict[str, float] = msgspec.structs.asdict(column.limits)
    least = min(column.chances.values(), default=1.0)
    base, now, figures = column.base, column.now, column.figures
    return ColumnDrift(
        name=column.name,
        role=column.role,
        kind=now.kind,
        psi=figures.get("psi", 0.0),
        js=figures["js"],
        ks=figures.get("ks"),
        noise=noise.psi_noise(alpha, cells=column.cells, base_rows=column.base_rows, now_rows=column.now_rows),
        p_value=min(1.0, tests * least),
        base_mean=base.mean,
        now_mean=now.mean,
        base_null_share=base.null_share,
        now_null_share=now.null_share,
        out_of_range=figures.get("out_of_range", 0.0),
        unseen=figures.get("unseen", 0.0),
        unseen_values=column.unseen_values,
        reasons=_reasons(column, alpha=alpha),
        limits={name: limits[name] for name in figures if math.isfinite(limits[name])},
    )


def _reasons(column: Compared, *, alpha: float) -> tuple[str, ...]:
    if "kind" in column.chances:
        return ("kind",)
    limits: dict[str, float] = msgspec.structs.asdict(column.limits)
    return tuple(
        name
        for name, figure in column.figures.items()
        if figure > limits[name] and column.chances.get(TESTS[name], 1.0) <= alpha
    )


def _rank(column: ColumnDrift) -> tuple[bool, float, float]:
    """Reported columns first, then by how far a figure is over its limit, then by the index."""
    figures = {
        "psi": column.psi,
        "js": column.js,
        "ks": column.ks or 0.0,
        "nulls": abs(column.now_null_share - column.base_null_share),
        "out_of_range": column.out_of_range,
        "unseen": column.unseen,
    }
    over = max((figures[name] / max(limit, 1e-9) for name, limit in column.limits.items()), default=0.0)
    over = math.inf if "kind" in column.reasons else over
    return not column.reasons, -over, -column.psi


def _names(profile: Profile) -> tuple[str, ...]:
    return (*profile.features, *profile.scores)


def _some(profile: Profile) -> str:
    names = _names(profile)
    return (", ".join(map(shown, names[:8])) + (", …" if len(names) > 8 else "")) or "none"
