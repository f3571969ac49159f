"""What runs are called: on an axis or over a column, where there is little room, and in a table."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.reporting.blocks import Cell
from mlserve_cli.reporting.trend import Place
from mlserve_cli.reporting.wording import days, moment, visible

SHORT_CHARACTERS = 12
RUNS_SHOWN = 400  # in a table of runs, the last ones


def labels_of(runs: Sequence[FoundRun]) -> list[str]:
    """The day on which each began; where that does not tell them apart, as when a year is scored anew, its name."""
    labels = days([run.manifest.run.started_at for run in runs])
    if len(set(labels)) == len(labels):
        return labels
    names = [
        visible(run.path.name.removesuffix(".parquet").removesuffix(".csv"), most=SHORT_CHARACTERS) for run in runs
    ]
    return names if len(set(names)) == len(names) else labels


def places_of(runs: Sequence[FoundRun]) -> list[Place]:
    """Where the runs stand on the axis; a model without a version is told by its digest."""
    models = [run.manifest.model for run in runs]
    versions = [visible(model.version) or model.digest.removeprefix("sha256:")[:8] for model in models]
    return [Place(label, version) for label, version in zip(labels_of(runs), versions, strict=True)]


def run_cell(run: FoundRun) -> Cell:
    """A run in a table, by its name and the moment in which it began."""
    return Cell(visible(run.path.name), note=moment(run.manifest.run.started_at))
