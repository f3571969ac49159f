"""What runs are called where there is little room: on an axis, over a column."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.reporting.wording import days, visible

SHORT_CHARACTERS = 12


def labels_of(runs: Sequence[FoundRun]) -> list[str]:
    """The day on which each began; where that does not tell them apart, as when a year is scored anew, its name."""
    labels = days([run.manifest.run.started_at for run in runs])
    if len(set(labels)) == len(labels):
        return labels
    names = [
        visible(run.path.name.removesuffix(".parquet").removesuffix(".csv"), most=SHORT_CHARACTERS) for run in runs
    ]
    return names if len(set(names)) == len(names) else labels
