"""How often an interval holds the true value, by simulation: 95 % of the time, on few rows and on skewed ones too.

The truth is the metric of a very large sample of the same model. Seeded: nothing here depends on luck.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from mlserve_cli.monitoring import influence
from mlserve_cli.monitoring.metrics import measure
from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.monitoring.slices import slice_up
from mlserve_cli.monitoring.trend import spread_by_chance
from tests.monitoring.outcomes import MAKERS, binary

DRAWS = 300
TRUTH_ROWS = 500_000
pytestmark = pytest.mark.slow


@lru_cache
def true_values(kind: str) -> dict[str, float]:
    return {name: figure.value or 0.0 for name, figure in measure(MAKERS[kind](TRUTH_ROWS, 1)).items()}


@lru_cache
def coverage(kind: str, rows: int) -> dict[str, float]:
    """For each metric the share of intervals that hold the true value."""
    truth = true_values(kind)
    held: dict[str, list[bool]] = {name: [] for name in truth}
    for seed in range(DRAWS):
        for name, figure in measure(MAKERS[kind](rows, 1_000 + seed)).items():
            if figure.low is not None and figure.high is not None:
                held[name].append(figure.low <= truth[name] <= figure.high)
    assert all(len(each) > DRAWS * 0.97 for each in held.values())
    return {name: float(np.mean(each)) for name, each in held.items()}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("rows", [100, 1_000])
def test_intervals_hold_the_true_value_as_often_as_they_say(kind: str, rows: int) -> None:
    """Within four standard errors of the draws, and of few rows one more percent below."""
    room = 4 * np.sqrt(0.95 * 0.05 / DRAWS) + (0.01 if rows < 500 else 0)

    missed = {name: share for name, share in coverage(kind, rows).items() if not 0.95 - room <= share <= 1.0}

    assert missed == {}


@pytest.mark.parametrize("kind", MAKERS)
def test_intervals_are_no_wider_than_they_must_be(kind: str) -> None:
    assert {name: share for name, share in coverage(kind, 1_000).items() if share > 0.99} == {}


def test_slices_of_one_quality_are_called_worse_as_seldom_as_the_confidence_says() -> None:
    """Eight slices that differ by nothing: in at most 5 % of the evaluations is any called worse (one side: 2.5 %)."""
    import pyarrow as pa

    alarms = 0
    for seed in range(150):
        outcomes = binary(1_500, 5_000 + seed)
        by = pa.table({"slice": np.random.default_rng(seed).integers(0, 8, 1_500)})
        found = slice_up(outcomes, by, np.arange(1_500), ranked_by="auc", confidence=0.95)
        alarms += any(one.worse for one in found)

    assert alarms <= stats.binom.ppf(0.999, 150, 0.05)


def test_a_slice_that_is_worse_is_found() -> None:
    import pyarrow as pa

    outcomes = binary(4_000, 8)
    part = np.random.default_rng(1).integers(0, 8, 4_000)
    assert outcomes.scores is not None
    blind: NDArray[np.float64] = np.where(part == 3, 0.3, outcomes.scores)
    draw = np.random.default_rng(2).random(4_000)
    worse = Outcomes("binary", outcomes.truth, np.where(part == 3, draw, blind), outcomes.predicted, outcomes.classes)

    found = slice_up(worse, pa.table({"part": part}), np.arange(4_000), ranked_by="auc", confidence=0.95)

    assert [one.value for one in found if one.worse] == ["3"]
    assert found[0].value == "3"


def test_runs_of_one_quality_are_called_steady_as_often_as_chance_says() -> None:
    chances = []
    for seed in range(200):
        runs = [binary(800, 10_000 + seed * 12 + month) for month in range(12)]
        figures = [(roc_auc_score(run.truth, run.scores), influence.deviation(influence.auc(run))) for run in runs]
        chances.append(spread_by_chance(*zip(*figures, strict=True)))

    assert stats.kstest(chances, "uniform").pvalue > 0.001
    assert np.mean(np.asarray(chances) < 0.05) <= stats.binom.ppf(0.999, 200, 0.05) / 200
