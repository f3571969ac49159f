"""How much each row moves a metric: its influence function.

The mean of a metric's influences is 0, and their standard deviation over the root of the rows is the metric's standard
error. So two metrics over the same rows (two models, or a part of the rows and all of them) differ by no more than
chance where the mean of the differences of their influences is: `deviation(influence_b - influence_a)`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.monitoring.outcomes import Outcomes, losses, squares

Floats = NDArray[np.float64]


def of_metric(outcomes: Outcomes, metric: str) -> Floats | None:
    """The influence of each row on `metric` (float64, shape [rows]); None where it has none or cannot be said."""
    if not len(outcomes):
        return None
    if outcomes.kind == "regression":
        return _of_regression(outcomes, metric)
    if metric in ("log_loss", "brier") and outcomes.scores is not None:
        return _centred((losses if metric == "log_loss" else squares)(outcomes))
    if metric == "auc" and outcomes.scores is not None and outcomes.kind == "binary":
        return auc(outcomes) if 0 < outcomes.truth.sum() < len(outcomes) else None
    if metric == "macro_auc" and outcomes.scores is not None and outcomes.kind == "multiclass":
        counts = np.bincount(outcomes.truth.astype(np.int64), minlength=outcomes.scores.shape[1])
        return macro_auc(outcomes) if counts.min() else None
    if outcomes.predicted is None:
        return None
    if metric == "accuracy":
        return _centred((outcomes.predicted == outcomes.truth).astype(np.float64))
    return _of_shares(outcomes, metric) if outcomes.kind == "binary" else None


def deviation(influences: Floats) -> float:
    """The standard error of a metric whose influences these are."""
    rows = len(influences)
    return float(np.sqrt(np.sum((influences - influences.mean()) ** 2) / max(rows - 1, 1) / max(rows, 1)))


def auc(outcomes: Outcomes) -> Floats:
    """Of the area under the ROC curve, by DeLong's placements (DeLong 1988, with ranks as Sun and Xu 2014)."""
    assert outcomes.scores is not None
    return _placements(outcomes.scores, outcomes.truth == 1)


def macro_auc(outcomes: Outcomes) -> Floats:
    """Of the mean over classes of the area of each against the rest."""
    assert outcomes.scores is not None
    places = range(outcomes.scores.shape[1])
    each = [_placements(outcomes.scores[:, place], outcomes.truth == place) for place in places]
    return np.asarray(np.mean(each, axis=0))


def r2(outcomes: Outcomes) -> Floats:
    """Of the share of the variance that is explained."""
    assert outcomes.scores is not None
    truth = np.asarray(outcomes.truth, np.float64)
    squared = (outcomes.scores - truth) ** 2
    spread = (truth - truth.mean()) ** 2
    error, variance = squared.mean(), spread.mean()
    return np.asarray(-(squared - error) / variance + error / variance**2 * (spread - variance))


def rank_correlation(outcomes: Outcomes) -> Floats:
    """Of Spearman's rank correlation: of the row's own ranks, and of what it does to all others' (Hoeffding 1948)."""
    from scipy.stats import rankdata

    assert outcomes.scores is not None
    rows = len(outcomes)
    said, came = rankdata(outcomes.scores) / rows, rankdata(outcomes.truth) / rows
    together = said * came + _mean_from(said, came) + _mean_from(came, said)
    return np.asarray(_centred(together) / (np.std(said) * np.std(came)))


def _mean_from(ranks: Floats, values: Floats) -> Floats:
    """For each row the mean, over all rows, of the values of those that rank as high or higher."""
    order = np.argsort(ranks, kind="stable")
    above = np.cumsum(values[order][::-1])[::-1] / len(ranks)
    first = np.searchsorted(ranks[order], ranks, side="left")
    return np.asarray(above[first])


def _placements(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    from scipy.stats import rankdata

    positives, rows = int(positive.sum()), len(scores)
    negatives = rows - positives
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / negatives
    below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / positives
    moved = np.empty(rows)
    moved[positive] = (above - above.mean()) * rows / positives
    moved[~positive] = (below - below.mean()) * rows / negatives
    return moved


def _of_regression(outcomes: Outcomes, metric: str) -> Floats | None:
    assert outcomes.scores is not None
    errors = outcomes.scores - outcomes.truth
    if metric == "mae":
        return _centred(np.abs(errors))
    if metric == "bias":
        return _centred(errors)
    if metric == "rmse":
        rmse = float(np.sqrt(np.mean(errors**2)))
        return _centred(errors**2) / (2 * rmse) if rmse else None
    if not np.ptp(outcomes.truth):
        return None
    if metric == "rank_correlation":
        return rank_correlation(outcomes) if np.ptp(outcomes.scores) else None
    return r2(outcomes) if metric == "r2" else None


def _of_shares(outcomes: Outcomes, metric: str) -> Floats | None:
    """Of precision, recall, specificity and F1: each is a count over a count."""
    assert outcomes.predicted is not None
    said, came = outcomes.predicted == 1, outcomes.truth == 1
    counts = {
        "precision": (said & came, said),
        "recall": (said & came, came),
        "specificity": (~said & ~came, ~came),
        "f1": (2.0 * (said & came), 1.0 * said + came),
    }
    if metric not in counts:
        return None
    top, bottom = (np.asarray(part, np.float64) for part in counts[metric])
    if not bottom.any():
        return None
    return np.asarray((top - top.mean() / bottom.mean() * bottom) / bottom.mean())


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean())
