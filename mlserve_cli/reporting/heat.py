"""Drift by column over many runs, as a map: a cell for each column and run, its PSI in figures and as a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.profiles import ColumnDrift
from mlserve_cli.reporting.labels import labels_of
from mlserve_cli.reporting.spread import twins_of
from mlserve_cli.reporting.wording import count, visible

RUNS_SHOWN = 14
COLUMNS_SHOWN = 40
STEPS = (0.05, 0.1, 0.2, 0.4)  # of PSI: 0.1 and 0.2 are where the field says "some" and "much"


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One column in one run: `step` 0 to 4 is its colour, `drifted` whether it was reported."""

    text: str
    step: int
    drifted: bool


@dataclass(frozen=True, slots=True)
class Heat:
    """The map; the column that moved most stands first."""

    caption: str
    runs: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell | None, ...]], ...]
    left_out: str


def heat_of(runs: Sequence[FoundRun]) -> Heat | None:
    """None where no run was compared with a baseline."""
    compared = [run for run in runs if run.manifest.drift is not None]
    if not compared:
        return None
    last = compared[-RUNS_SHOWN:]
    twins = twins_of(last[-1].manifest)
    found = [{column.name: column for column in _columns(run) if column.name not in twins} for run in last]
    names = list(dict.fromkeys(name for columns in found for name in columns))
    names.sort(key=lambda name: -max(columns[name].psi for columns in found if name in columns))
    shown = names[:COLUMNS_SHOWN]
    return Heat(
        caption="Distance of each column from the baseline (PSI), run by run",
        runs=tuple(labels_of(last)),
        rows=tuple((visible(name), tuple(_cell(columns.get(name)) for columns in found)) for name in shown),
        left_out=_left_out(len(compared) - len(last), len(names) - len(shown)),
    )


def _columns(run: FoundRun) -> tuple[ColumnDrift, ...]:
    return run.manifest.drift.columns if run.manifest.drift is not None else ()


def _cell(column: ColumnDrift | None) -> HeatCell | None:
    if column is None:
        return None
    step = sum(column.psi >= least for least in STEPS)
    return HeatCell(f"{column.psi:.2f}", step, bool(column.reasons))


def _left_out(runs: int, columns: int) -> str:
    told = [f"{count(runs, 'earlier run')}"] * (runs > 0) + [f"{count(columns, 'column')} that moved less"] * (
        columns > 0
    )
    return f"Not shown: {' and '.join(told)}." if told else ""
