"""Whether a score means what it says: bins of scores beside what came, and the line through them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.monitoring import intervals
from mlserve_cli.monitoring.evaluation import Calibration, CalibrationBin, Figure
from mlserve_cli.monitoring.outcomes import Outcomes

Floats = NDArray[np.float64]
EDGE = 1e-6  # a probability of 0 or 1 has no odds
LEAST_ROWS = 20


def calibrate(outcomes: Outcomes, *, bins: int = 10, confidence: float = 0.95) -> Calibration | None:
    """The calibration of the scores; of several classes that of the likeliest. None where there is none to speak of."""
    if outcomes.scores is None or len(outcomes) < LEAST_ROWS:
        return None
    scores, came, of = _said_and_came(outcomes)
    if not np.ptp(scores) or not np.ptp(came) or (outcomes.kind != "regression" and not outcomes.are_probabilities):
        return None
    is_number = outcomes.kind == "regression"
    found = _bins(scores, came, bins=bins, confidence=confidence, is_number=is_number)
    slope, intercept = (_straight_line if is_number else _odds_line)(scores, came, confidence)
    distances = [abs(one.mean_score - (one.observed.value or 0.0)) for one in found]
    weights = [one.rows / len(scores) for one in found]
    return Calibration(
        of=of,
        bins=found,
        ece=float(np.dot(weights, distances)),
        ece_by_chance=_by_chance(scores, came, found, is_number=is_number),
        slope=slope,
        intercept=intercept,
    )


def _said_and_came(outcomes: Outcomes) -> tuple[Floats, Floats, str]:
    assert outcomes.scores is not None
    if outcomes.kind != "multiclass":
        of = "label" if outcomes.kind == "regression" else "positive class"
        return outcomes.scores, np.asarray(outcomes.truth, np.float64), of
    likeliest = outcomes.scores.argmax(axis=1)
    return outcomes.scores.max(axis=1), (likeliest == outcomes.truth).astype(np.float64), "likeliest class"


def _bins(scores: Floats, came: Floats, *, bins: int, confidence: float, is_number: bool) -> tuple[CalibrationBin, ...]:
    """As many rows in each as ties allow."""
    place = _places(scores, bins)
    return tuple(
        CalibrationBin(
            low=float(scores[mine].min()),
            high=float(scores[mine].max()),
            rows=int(mine.sum()),
            mean_score=float(scores[mine].mean()),
            observed=_observed(came[mine], confidence=confidence, is_number=is_number),
        )
        for mine in (place == number for number in np.unique(place))
    )


def _places(scores: Floats, bins: int) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, scores, side="left")


def _observed(came: Floats, *, confidence: float, is_number: bool) -> Figure:
    if is_number:
        return intervals.of_mean(float(came.mean()), came, confidence=confidence)
    return intervals.of_share(int(came.sum()), len(came), confidence=confidence)


def _by_chance(scores: Floats, came: Floats, bins: tuple[CalibrationBin, ...], *, is_number: bool) -> float:
    """What `ece` comes to where nothing but chance is wrong: the mean distance of a mean from what it is of."""
    rows = np.array([one.rows for one in bins])
    if is_number:
        spread = float(np.var(came - scores))
        variances = np.full(len(bins), spread)
    else:
        means = np.array([one.mean_score for one in bins])
        variances = np.clip(means * (1 - means), 0, None)
    return float(np.sum(rows / rows.sum() * np.sqrt(2 * variances / (np.pi * rows))))


def _straight_line(scores: Floats, came: Floats, confidence: float) -> tuple[Figure, Figure]:
    """What came as a line of the score."""
    from scipy import stats

    found = stats.linregress(scores, came)
    return (
        intervals.of_estimate(float(found.slope), spread=float(found.stderr), confidence=confidence),
        intervals.of_estimate(float(found.intercept), spread=float(found.intercept_stderr), confidence=confidence),
    )


def _odds_line(scores: Floats, came: Floats, confidence: float) -> tuple[Figure, Figure]:
    """The log odds of what came as a line of the score's (Cox 1958), by scikit-learn's logistic regression."""
    from scipy import special
    from sklearn.linear_model import LogisticRegression

    odds = special.logit(np.clip(scores, EDGE, 1 - EDGE))
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000).fit(odds[:, None], came)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    chance = special.expit(slope * odds + intercept)
    weight = chance * (1 - chance)
    design = np.stack([np.ones_like(odds), odds])
    information = (design * weight) @ design.T
    try:
        spread = np.sqrt(np.diag(np.linalg.inv(information)))
    except np.linalg.LinAlgError:  # every row far out: there is no end to the line
        return Figure(slope, reason="scores part the classes"), Figure(intercept, reason="scores part the classes")
    return (
        intervals.of_estimate(slope, spread=float(spread[1]), confidence=confidence),
        intervals.of_estimate(intercept, spread=float(spread[0]), confidence=confidence),
    )
