"""Several runs over time: whether a metric differs from run to run by more than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlserve_cli.monitoring import influence
from mlserve_cli.monitoring.evaluation import RunEvaluation
from mlserve_cli.monitoring.outcomes import Outcomes


def steady(outcomes: Sequence[Outcomes], runs: Sequence[RunEvaluation], metric: str) -> float | None:
    """The chance that runs differ so much in `metric` where nothing changed (Cochran 1954); None for fewer than two."""
    values: list[float] = []
    spreads: list[float] = []
    for one, run in zip(outcomes, runs, strict=True):
        figure, moved = run.figures.get(metric), influence.of_metric(one, metric)
        if figure is None or figure.value is None or moved is None or not (spread := influence.deviation(moved)):
            continue
        values.append(figure.value)
        spreads.append(spread)
    return spread_by_chance(values, spreads) if len(values) > 1 else None


def spread_by_chance(values: Sequence[float], spreads: Sequence[float]) -> float:
    """The chance that values with these standard errors are as far apart if all are of one thing."""
    from scipy import stats

    weights = 1 / np.square(spreads)
    mean = np.dot(weights, values) / weights.sum()
    return float(stats.chi2.sf(float(np.dot(weights, np.square(np.asarray(values) - mean))), len(values) - 1))
