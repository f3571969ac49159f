"""Scores and features as tables: counts, what is missing, mean, quantiles."""

from __future__ import annotations

from collections.abc import Mapping

from mlserve_cli.manifest import Manifest
from mlserve_cli.profiles import ColumnProfile, quantiles
from mlserve_cli.reporting.blocks import Cell, Column, Row, Table, number, table
from mlserve_cli.reporting.gather import Gathered
from mlserve_cli.reporting.wording import count, figure, listed, share, visible

SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)


def scores_of(run: Gathered) -> Table | None:
    """The scores; None without a profile."""
    return None if run.profile is None else _table("Scores of this run", run.profile.scores)


def features_of(run: Gathered) -> Table | None:
    """What the model read; None without a profile."""
    if run.profile is None or not run.profile.features:
        return None
    return _table("Columns that the model read", run.profile.features)


def twins_of(manifest: Manifest) -> frozenset[str]:
    """Of two probabilities that add up to one, the first: its picture would be the other's in a mirror."""
    pairs = (part.columns for part in manifest.plan.contract.outputs if part.role == "probability")
    return frozenset(columns[0] for columns in pairs if len(columns) == 2)


def _table(caption: str, columns: Mapping[str, ColumnProfile]) -> Table:
    heads = [
        Column("column"),
        number("missing"),
        number("mean"),
        number("deviation"),
        number("lowest"),
        number("5 %"),
        number("median"),
        number("95 %"),
        number("highest"),
    ]
    return table(caption, heads, [_row(name, column) for name, column in columns.items()], most=400)


def _row(name: str, column: ColumnProfile) -> Row:
    head = [Cell(visible(name), note=_values(column)), _missing(column)]
    if column.kind == "category" or column.mean is None:
        return [*head, *["–"] * (2 + len(SHARES))]
    found = [figure(float(value)) for value in quantiles(column, SHARES)]
    return [*head, figure(column.mean), figure(column.standard_deviation), *found]


def _values(column: ColumnProfile) -> str:
    if column.kind == "number":
        return ""
    some = [visible(value) or "(empty)" for value in list(column.frequent)[:3]]
    known = (
        ""
        if column.distinct is None
        else f"{'' if column.other == 0 else 'some '}{count(round(column.distinct), 'value')}: "
    )
    return f"{known}{listed(some)}{', …' if len(column.frequent) > 3 else ''}"


def _missing(column: ColumnProfile) -> Cell:
    odd = f"{count(column.infinities)} infinite" if column.infinities else ""
    return Cell(share(column.null_share), note=odd)
