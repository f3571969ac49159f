"""What is shown of a drift over many runs: the index of what moved most, run by run, and single columns in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlserve_cli.cli.drift_looks import column_facts, percent, reasons_text
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.monitoring.drift import DriftHistory, DriftOfRun

RANKED_SHOWN = 6
NAME = 14
FACTS = {"name", "role", "psi", "noise", "js", "ks", "now_mean", "now_null_share", "out_of_range", "unseen", "reasons"}


def history_lines(found: DriftHistory, columns: Sequence[str]) -> list[str]:
    """Without columns a table of the index over all runs and the first column in full; else those that were named."""
    widest = max(len("run"), *(len(shown(entry.run, limit=40)) for entry in found.runs))
    head = f"{len(found.runs)} runs beside {shown(found.base, limit=400)}"
    overview = [] if columns else _overview(found, widest)
    return [
        head,
        *overview,
        *(line for name in columns or found.ranked[:1] for line in ["", *_column_lines(found, name, widest)]),
        *(f"  left out  {reason}" for reason in found.skipped),
    ]


def history_facts(found: DriftHistory, columns: Sequence[str]) -> Facts:
    """Every run with its verdict, and the figures of the columns that were named or else of those that drifted."""
    return {
        "status": "complete",
        "exit_code": 0,
        "base": found.base,
        "ranked": list(found.ranked),
        "runs": [_run_facts(entry, columns) for entry in found.runs],
        "skipped": list(found.skipped),
    }


def _run_facts(entry: DriftOfRun, columns: Sequence[str]) -> dict[str, object]:
    return {
        "run": entry.run,
        "started_at": entry.started_at,
        "rows": entry.drift.now_rows,
        "passed": entry.drift.passed,
        "columns": [
            {name: value for name, value in column_facts(column).items() if name in FACTS}
            for column in entry.drift.columns
            if (column.name in columns if columns else column.reasons)
        ],
    }


def _overview(found: DriftHistory, widest: int) -> list[str]:
    """PSI by run and column, an asterisk where the column has drifted."""
    names = found.ranked[:RANKED_SHOWN]
    more = len(found.ranked) - len(names)
    return [
        f"  {'run':<{widest}} {'rows':>10}" + "".join(f" {shown(name, limit=NAME):>{NAME}}" for name in names),
        *(
            f"  {shown(entry.run, limit=40):<{widest}} {entry.drift.now_rows:>10,}"
            + "".join(f" {_index(entry, name):>{NAME}}" for name in names)
            for entry in found.runs
        ),
        f"  PSI; * drifted.{f' {more} columns that moved less are not shown: --column C.' if more > 0 else ''}",
    ]


def _index(entry: DriftOfRun, name: str) -> str:
    column = entry.column(name)
    return "-" if column is None else f"{column.psi:.3f}{'*' if column.reasons else ' '}"


def _column_lines(found: DriftHistory, name: str, widest: int) -> list[str]:
    return [
        shown(name),
        f"  {'run':<{widest}} {'rows':>10} {'PSI':>7} {'noise':>7} {'JS':>6} {'KS':>6} {'mean':>10} {'nulls':>7} drift",
        *(_column_line(entry, name, widest) for entry in found.runs),
    ]


def _column_line(entry: DriftOfRun, name: str, widest: int) -> str:
    column = entry.column(name)
    head = f"  {shown(entry.run, limit=40):<{widest}} {entry.drift.now_rows:>10,}"
    if column is None:
        return f"{head} {'-':>7}"
    ks = "" if column.ks is None else f"{column.ks:.3f}"
    mean = "" if column.now_mean is None else f"{column.now_mean:.4g}"
    return (
        f"{head} {column.psi:>7.3f} {column.noise:>7.3f} {column.js:>6.3f} {ks:>6} {mean:>10} "
        f"{percent(column.now_null_share):>7} {reasons_text(column)}"
    ).rstrip()
