"""Every row accounted for: read, scored, set aside; by input, by reason, and the first of those set aside."""

from __future__ import annotations

from dataclasses import dataclass

from mlserve_cli.reporting.blocks import Cell, Column, Row, Table, number, table
from mlserve_cli.reporting.gather import Gathered
from mlserve_cli.reporting.wording import count, share, visible

INPUTS_SHOWN = 40
VALUE_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class RowsAccount:
    """The equation, the same as a bar (hundredths), and its tables."""

    read: str
    scored: str
    aside: str
    scored_share: float
    text: str
    inputs: Table
    reasons: Table | None
    first: Table | None
    coerced: Table | None


def account_of(run: Gathered) -> RowsAccount:
    """From the manifest's rows, and the quarantine's first."""
    rows = run.manifest.rows
    scored_share = 100 * rows.rows_out / rows.rows_in if rows.rows_in else 100.0
    return RowsAccount(
        read=count(rows.rows_in),
        scored=count(rows.rows_out),
        aside=count(rows.rows_quarantined),
        scored_share=round(scored_share, 4),
        text=f"{count(rows.rows_in)} read, {count(rows.rows_out)} scored, {count(rows.rows_quarantined)} set aside.",
        inputs=_inputs(run),
        reasons=_reasons(run) if rows.reasons else None,
        first=_first(run) if run.set_aside else None,
        coerced=_coerced(run) if rows.coerced else None,
    )


def _inputs(run: Gathered) -> Table:
    """Files with rows set aside first: among thousands they are what one looks for."""
    files = sorted(run.manifest.inputs, key=lambda file: -file.rows_quarantined)
    rows: list[Row] = [
        [
            visible(file.name),
            count(file.rows_in),
            count(file.rows_out),
            Cell(count(file.rows_quarantined), mark="attention" if file.rows_quarantined else None),
        ]
        for file in files
    ]
    columns = [Column("file"), number("read"), number("scored"), number("set aside")]
    return table("Rows of each input file", columns, rows, most=INPUTS_SHOWN)


def _reasons(run: Gathered) -> Table:
    rows = run.manifest.rows
    ranked = sorted(rows.reasons.items(), key=lambda item: (-item[1], item[0]))
    cells = [[visible(reason), count(seen), share(seen, of=rows.rows_in)] for reason, seen in ranked]
    return table("Why rows were set aside", [Column("reason"), number("rows"), number("of all rows")], cells)


def _first(run: Gathered) -> Table:
    rows: list[Row] = [
        [
            visible(row.column) or "–",
            visible(row.reason),
            visible(row.value, most=VALUE_CHARACTERS) or "–",
            Cell(visible(row.file), note=f"row {count(row.row)}, counted from 0"),
        ]
        for row in run.set_aside
    ]
    columns = [Column("column"), Column("reason"), Column("value", "code"), Column("where")]
    told = table("The first rows that were set aside", columns, rows, where="the run's quarantine files")
    left = run.manifest.rows.rows_quarantined - len(rows)
    return Table(told.caption, told.columns, told.rows, more=max(left, 0), where=told.where)


def _coerced(run: Gathered) -> Table:
    rows = [[visible(name), count(changed)] for name, changed in run.manifest.rows.coerced.items()]
    return table("Values that were converted (--schema-mode coerce)", [Column("column"), number("values")], rows)
