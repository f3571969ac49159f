"""Confidence intervals of metrics: for each the one that keeps its word on few rows too, and costs little on many.

How often each holds the true value was measured by simulation: tests/monitoring/test_coverage.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.monitoring.evaluation import Figure

Floats = NDArray[np.float64]
DRAWS = 2_000
SEED = 20
LEAST_OF_A_CORRELATION = 4
TOO_FEW = "too few rows for an interval"


def of_share(part: int, whole: int, *, confidence: float, none: str = "there are no rows") -> Figure:
    """A count out of a count, by Wilson's score interval."""
    from scipy import stats

    if not whole:
        return Figure(None, reason=none)
    found = stats.binomtest(part, whole).proportion_ci(confidence, method="wilson")
    return Figure(part / whole, float(found.low), float(found.high), "Wilson")


def of_mean(
    value: float, rows: Floats, *, confidence: float, least: float | None = None, most: float | None = None
) -> Figure:
    """A mean of the rows' own values, by Student's t."""
    from scipy import stats

    if len(rows) < 2:
        return Figure(value, reason=TOO_FEW)
    half = float(stats.t.ppf((1 + confidence) / 2, len(rows) - 1) * np.std(rows, ddof=1) / np.sqrt(len(rows)))
    return _clipped(value, value - half, value + half, "Student", least=least, most=most)


def of_estimate(
    value: float, *, spread: float, confidence: float, least: float | None = None, most: float | None = None
) -> Figure:
    """A metric of many rows whose standard error is `spread`, by the normal distribution."""
    half = _normal(confidence) * spread
    return _clipped(value, value - half, value + half, "influence", least=least, most=most)


def on_logit(value: float, *, spread: float, least: int, confidence: float, method: str) -> Figure:
    """A metric from 0 to 1 whose standard error is `spread`, on the scale of log odds, so that it stays within.

    Where it is 0 or 1 nothing is known of its spread: then as if each of `least` rows had been in the right order.
    """
    from scipy import special

    if not 0 < value < 1 or spread == 0:
        return _at_an_end(value, least, confidence)
    half = _normal(confidence) * spread / (value * (1 - value))
    centre = special.logit(value)
    return Figure(value, float(special.expit(centre - half)), float(special.expit(centre + half)), method)


def of_average_precision(value: float, *, positives: int, confidence: float) -> Figure:
    """The area under precision and recall, by its logit (Boyd, Eng and Page 2013)."""
    spread = float(np.sqrt(value * (1 - value) / positives))
    return on_logit(value, spread=spread, least=positives, confidence=confidence, method="logit")


def of_median(value: float, rows: Floats, *, confidence: float) -> Figure:
    """A median, by the order of the rows (binomial)."""
    from scipy import stats

    places = stats.binom.interval(confidence, len(rows), 0.5)
    low, high = int(places[0]) - 1, int(places[1])
    if low < 0 or high >= len(rows):
        return Figure(value, reason=TOO_FEW)
    ordered = np.partition(rows, (low, high))
    return Figure(value, float(ordered[low]), float(ordered[high]), "order")


def of_correlation(value: float, *, spread: float, rows: int, confidence: float) -> Figure:
    """A correlation whose standard error is `spread`, on Fisher's scale, so that it stays within -1 and 1.

    Not by the usual formula of its size alone: where errors grow with the score that held 90 % in place of 95 %.
    """
    if rows < LEAST_OF_A_CORRELATION or abs(value) >= 1:
        return Figure(value, reason=TOO_FEW if rows < LEAST_OF_A_CORRELATION else "")
    half, centre = _normal(confidence) * spread / (1 - value**2), np.arctanh(value)
    return Figure(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)), "Fisher")


def of_root_mean_square(value: float, squares: Floats, *, confidence: float) -> Figure:
    """The root of a mean of squares, by Student's t of its logarithm: squares are skewed, and few rows show little."""
    from scipy import stats

    mean = float(np.mean(squares))
    if len(squares) < 2 or not mean:
        return Figure(value, reason=TOO_FEW)
    share = np.std(squares, ddof=1) / np.sqrt(len(squares)) / mean
    half = float(stats.t.ppf((1 + confidence) / 2, len(squares) - 1) * share) / 2
    return Figure(value, value * float(np.exp(-half)), value * float(np.exp(half)), "log Student")


def of_confusion(
    value: float, counted: NDArray[np.int64], metric: Callable[[Floats], Floats], *, confidence: float
) -> Figure:
    """A metric of a confusion matrix, by drawing rows anew: whatever their number, it is as many cells."""
    seed = np.random.default_rng(SEED)
    rows = int(counted.sum())
    drawn = seed.multinomial(rows, counted.ravel() / rows, size=DRAWS).reshape(DRAWS, *counted.shape)
    found = metric(drawn.astype(np.float64))
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Figure(value, float(low), float(high), "bootstrap")


def balanced_accuracy(counted: Floats) -> Floats:
    """The mean recall of the classes that came, of matrices [draws, classes, classes]."""
    came, right = counted.sum(axis=2), np.diagonal(counted, axis1=1, axis2=2)
    recalls = np.divide(right, came, out=np.full(right.shape, np.nan), where=came > 0)
    return np.asarray(np.nanmean(recalls, axis=1))


def macro_f1(counted: Floats) -> Floats:
    """The mean F1 of all classes, 0 for one that neither came nor was said, of matrices [draws, classes, classes]."""
    right = np.diagonal(counted, axis1=1, axis2=2)
    either = counted.sum(axis=1) + counted.sum(axis=2)
    return np.asarray(np.divide(2 * right, either, out=np.zeros(right.shape), where=either > 0).mean(axis=1))


def mapped(figure: Figure, change: Callable[[float], float]) -> Figure:
    """The figure of what grows as this one does."""
    if figure.value is None:
        return figure
    ends = [None if end is None else float(change(end)) for end in (figure.low, figure.high)]
    return Figure(float(change(figure.value)), ends[0], ends[1], figure.method, figure.reason)


def _normal(confidence: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf((1 + confidence) / 2))


def _at_an_end(value: float, least: int, confidence: float) -> Figure:
    from scipy import stats

    right = round(value * least)
    found = stats.binomtest(right, least).proportion_ci(confidence, method="exact")
    return Figure(value, float(found.low), float(found.high), "exact")


def _clipped(value: float, low: float, high: float, method: str, *, least: float | None, most: float | None) -> Figure:
    return Figure(value, low if least is None else max(low, least), high if most is None else min(high, most), method)
