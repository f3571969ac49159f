"""Figures are scikit-learn's and scipy's on the same rows; influences are what leaving rows out shows."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from mlserve_cli.monitoring import influence, intervals
from mlserve_cli.monitoring.calibration import calibrate
from mlserve_cli.monitoring.metrics import measure
from mlserve_cli.monitoring.outcomes import Outcomes
from tests.monitoring.outcomes import MAKERS, binary, multiclass, regression


def values(outcomes: Outcomes) -> dict[str, float]:
    return {name: figure.value for name, figure in measure(outcomes).items() if figure.value is not None}


@pytest.mark.parametrize("ties", [None, 10])
def test_two_classes_have_the_librarys_figures(ties: int | None) -> None:
    one = binary(900, 3, ties=ties)
    truth, scores, said = one.truth, one.scores, one.predicted

    assert values(one) == pytest.approx(
        {
            "auc": metrics.roc_auc_score(truth, scores),
            "average_precision": metrics.average_precision_score(truth, scores),
            "log_loss": metrics.log_loss(truth, scores),
            "brier": metrics.brier_score_loss(truth, scores),
            "accuracy": metrics.accuracy_score(truth, said),
            "precision": metrics.precision_score(truth, said),
            "recall": metrics.recall_score(truth, said),
            "specificity": metrics.recall_score(truth, said, pos_label=0),
            "f1": metrics.f1_score(truth, said),
        },
        rel=1e-9,
    )


def test_several_classes_have_the_librarys_figures() -> None:
    one = multiclass(900, 3)
    truth, scores, said = one.truth, one.scores, one.predicted

    assert values(one) == pytest.approx(
        {
            "macro_auc": metrics.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
            "log_loss": metrics.log_loss(truth, scores),
            "brier": metrics.brier_score_loss(truth, scores, scale_by_half=False),
            "accuracy": metrics.accuracy_score(truth, said),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
            "macro_f1": metrics.f1_score(truth, said, average="macro"),
        },
        rel=1e-9,
    )


def test_numbers_have_the_librarys_figures() -> None:
    one = regression(900, 3)
    truth, scores = one.truth, one.scores

    assert values(one) == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(truth, scores),
            "rmse": metrics.root_mean_squared_error(truth, scores),
            "median_absolute_error": metrics.median_absolute_error(truth, scores),
            "bias": float(np.mean(np.asarray(scores) - truth)),
            "r2": metrics.r2_score(truth, scores),
            "rank_correlation": stats.spearmanr(truth, scores).statistic,
        },
        rel=1e-9,
    )


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 40])
def test_few_rows_give_figures_or_a_reason_and_no_warning(kind: str, rows: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(MAKERS[kind](rows, 5))

    assert all((figure.value is None) <= bool(figure.reason) for figure in found.values())
    for figure in found.values():
        if figure.value is not None and figure.low is not None and figure.high is not None:
            assert figure.low - 1e-12 <= figure.value <= figure.high + 1e-12


def test_what_cannot_be_computed_says_why() -> None:
    one = binary(50, 3)

    found = measure(replace(one, truth=np.zeros(50), predicted=np.zeros(50, np.int64)))

    reasons = {name: figure.reason for name, figure in found.items() if figure.value is None}
    assert reasons == {
        "auc": "all labels are of one class",
        "average_precision": "all labels are of one class",
        "precision": "nothing is predicted positive",
        "recall": "no label is positive",
        "f1": "nothing is positive",
    }


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    one = binary(100, 3)
    assert one.scores is not None

    found = values(replace(one, scores=one.scores * 7 - 3))

    assert found["auc"] == pytest.approx(values(one)["auc"])
    assert not {"log_loss", "brier"} & set(found)


def test_a_perfect_order_of_few_rows_is_no_certainty() -> None:
    truth = np.array([0.0] * 6 + [1.0] * 6)

    auc = measure(Outcomes("binary", truth, np.linspace(0, 1, 12), None))["auc"]

    assert auc.value == 1.0
    assert auc.low == pytest.approx(0.025 ** (1 / 6))


INFLUENCES = {
    "binary": ("auc", "log_loss", "brier", "accuracy", "precision", "recall", "specificity", "f1"),
    "multiclass": ("macro_auc", "log_loss", "brier", "accuracy"),
    "regression": ("mae", "rmse", "bias", "r2", "rank_correlation"),
}


@pytest.mark.parametrize(("kind", "metric"), [(kind, one) for kind, names in INFLUENCES.items() for one in names])
def test_an_influence_is_how_far_the_metric_moves_without_the_row(kind: str, metric: str) -> None:
    one = MAKERS[kind](400, 11)
    rows = np.array([0, 133])
    moved = influence.of_metric(one, metric)
    assert moved is not None

    whole = values(one)[metric]
    left_out = [values(one.where(np.arange(400) != row))[metric] for row in rows]

    shown = [(whole - without) * 399 for without in left_out]
    assert moved[rows] == pytest.approx(shown, rel=0.05, abs=0.02 * float(np.std(moved)) + 1e-9)
    assert abs(float(moved.mean())) < 1e-9


def test_what_has_no_influence_is_said() -> None:
    one = binary(50, 3)

    assert influence.of_metric(one, "average_precision") is None
    assert influence.of_metric(replace(one, truth=np.zeros(50)), "auc") is None
    assert influence.of_metric(replace(one, predicted=None), "f1") is None


def test_the_auc_has_delongs_spread() -> None:
    """Row pairs one by one, as DeLong, DeLong and Clarke-Pearson write it (1988)."""
    one = binary(120, 9, ties=20)
    assert one.scores is not None
    positive, negative = one.scores[one.truth == 1], one.scores[one.truth == 0]
    order = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = order.mean(axis=1).var(ddof=1) / len(positive) + order.mean(axis=0).var(ddof=1) / len(negative)

    assert influence.deviation(influence.auc(one)) == pytest.approx(np.sqrt(variance), rel=0.02)


def test_shares_have_scipys_interval() -> None:
    wilson = stats.binomtest(17, 60).proportion_ci(0.9, method="wilson")

    found = intervals.of_share(17, 60, confidence=0.9)

    assert (found.low, found.high) == (wilson.low, wilson.high)


def test_scores_that_mean_what_they_say_are_found_to() -> None:
    found = calibrate(binary(20_000, 2))
    assert found is not None

    assert found.ece < 2 * found.ece_by_chance
    assert found.slope.value == pytest.approx(1, abs=0.05)
    assert len(found.bins) == 10
    assert {one.rows for one in found.bins} == {2_000}


def test_scores_that_are_too_extreme_have_a_slope_below_1() -> None:
    one = binary(5_000, 2)
    assert one.scores is not None
    odds = one.scores / (1 - one.scores)

    found = calibrate(replace(one, scores=odds**2 / (1 + odds**2)))

    assert found is not None
    assert found.slope.value == pytest.approx(0.5, abs=0.05)
    assert found.ece > 3 * found.ece_by_chance


def test_bins_are_those_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    one = binary(1_000, 4)
    rate, mean = calibration_curve(one.truth, one.scores, n_bins=8, strategy="quantile")

    found = calibrate(one, bins=8)

    assert found is not None
    assert [each.observed.value for each in found.bins] == pytest.approx(rate.tolist())
    assert [each.mean_score for each in found.bins] == pytest.approx(mean.tolist())


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_every_kind_has_its_calibration(kind: str) -> None:
    found = calibrate(MAKERS[kind](4_000, 6))

    assert found is not None
    assert sum(one.rows for one in found.bins) == 4_000
    assert found.slope.value == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rows", [0, 5])
def test_few_rows_have_none(rows: int) -> None:
    assert calibrate(binary(rows, 1)) is None
