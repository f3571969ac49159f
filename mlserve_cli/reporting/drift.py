"""Drift by feature and score: the table, what moved most first, and pictures of the columns that moved."""

from __future__ import annotations

from dataclasses import dataclass

from mlserve_cli.profiles import ColumnDrift, Drift
from mlserve_cli.reporting.blocks import Cell, Column, Meter, Row, Table, number, table
from mlserve_cli.reporting.gather import Gathered
from mlserve_cli.reporting.shapes import Categories, Histogram, shape_of
from mlserve_cli.reporting.spread import twins_of
from mlserve_cli.reporting.wording import chance, count, figure, listed, share, visible

PICTURES = 8
STEADY_SHOWN = 200
FULL_PSI = 1.0
MEASURES = {"psi": "PSI", "js": "JS", "ks": "KS"}
SHARES = {"nulls": "missing changed by over {}", "out_of_range": "over {} out of range", "unseen": "over {} new values"}


@dataclass(frozen=True, slots=True)
class DriftPart:
    """What the page says of drift; `base` is what the run was compared with."""

    base: str
    intro: str
    moved: Table | None
    steady: Table | None
    pictures: tuple[Histogram | Categories, ...]
    columns_differ: str


def drift_of(run: Gathered) -> DriftPart | None:
    """None where the run was not compared."""
    drift = run.manifest.drift
    if drift is None:
        return None
    moved = [column for column in drift.columns if column.reasons]
    steady = [column for column in drift.columns if not column.reasons]
    return DriftPart(
        base=visible(drift.base),
        intro=_intro(drift),
        moved=_table("Columns that drifted, what moved most first", moved) if moved else None,
        steady=_table("Columns that did not drift", steady) if steady else None,
        pictures=tuple(_pictures(run, moved)),
        columns_differ=_columns_differ(drift),
    )


def _intro(drift: Drift) -> str:
    return (
        f"{count(drift.now_rows)} rows of this run beside {count(drift.base_rows)} rows of the baseline. A column is "
        f"reported where it is over its threshold and moved by more than chance does: where nothing changed, the "
        f"chance that any column at all is reported is {share(drift.false_alarm_rate)}."
    )


def _columns_differ(drift: Drift) -> str:
    """Columns that only one side has."""
    told = []
    if drift.missing:
        told.append(f"The baseline has {listed([visible(name) for name in drift.missing])}, which this run lacks.")
    if drift.added:
        told.append(f"This run has {listed([visible(name) for name in drift.added])}, which the baseline lacks.")
    return " ".join(told)


def _table(caption: str, found: list[ColumnDrift]) -> Table:
    columns = [
        Column("column"),
        number("PSI"),
        number("KS"),
        number("JS"),
        number("p"),
        number("mean"),
        number("missing"),
        number("out of range or new"),
    ]
    return table(caption, columns, [_row(column) for column in found], most=STEADY_SHOWN)


def _row(column: ColumnDrift) -> Row:
    why = ", ".join(_reason(reason, column) for reason in column.reasons)
    role = "score" if column.role == "score" else column.kind
    outside = column.out_of_range if column.kind == "number" else column.unseen
    unseen = (
        f"e.g. {listed([visible(value) for value in column.unseen_values], most=3)}" if column.unseen_values else ""
    )
    return [
        Cell(visible(column.name), note=why or role, mark="bad" if column.reasons else None),
        Cell(figure(column.psi, digits=3), meter=_meter(column)),
        figure(column.ks, digits=3),
        figure(column.js, digits=3),
        chance(column.p_value),
        Cell(figure(column.now_mean), note=_before(column.base_mean)),
        Cell(share(column.now_null_share), note=f"was {share(column.base_null_share)}"),
        Cell(share(outside), note=unseen),
    ]


def _meter(column: ColumnDrift) -> Meter:
    """PSI up to FULL_PSI, beyond which more says nothing more; the tick is where a column begins to be reported."""
    reported_from = max(column.noise, column.limits.get("psi", 0.0))
    tick = round(100 * reported_from / FULL_PSI, 2) if reported_from < FULL_PSI else None
    return Meter(round(100 * min(column.psi / FULL_PSI, 1.0), 2), tick)


def _reason(reason: str, column: ColumnDrift) -> str:
    """What is over its limit, in words."""
    limit = column.limits.get(reason)
    if reason in MEASURES and limit is not None:
        return f"{MEASURES[reason]} over {figure(limit, digits=3)}"
    if reason in SHARES and limit is not None:
        return SHARES[reason].format(share(limit))
    return "another kind of values" if reason == "kind" else visible(reason)


def _before(mean: float | None) -> str:
    return "" if mean is None else f"was {figure(mean)}"


def _pictures(run: Gathered, moved: list[ColumnDrift]) -> list[Histogram | Categories]:
    """Only where both sides can be drawn: a picture of now alone says nothing of drift."""
    if run.profile is None or run.baseline is None:
        return []
    twins = twins_of(run.manifest)
    found = []
    for column in moved:
        now_side, base_side = (
            (one.features if column.role == "feature" else one.scores) for one in (run.profile, run.baseline)
        )
        if column.name in now_side and column.name in base_side and column.name not in twins:
            found.append(shape_of(column.name, now_side[column.name], base_side[column.name]))
    return [picture for picture in found if picture is not None][:PICTURES]
