"""Made-up outcomes of which the truth is known, from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from mlserve_cli.monitoring.outcomes import Outcomes


def binary(rows: int, seed: int, *, ties: int | None = None, threshold: float = 0.4) -> Outcomes:
    """A calibrated model of two classes, some 30 % of them positive."""
    draw = np.random.default_rng(seed)
    scores = special.expit(draw.normal(-1, 1.2, rows))
    if ties is not None:
        scores = np.round(scores * ties) / ties
    truth = (draw.random(rows) < scores).astype(np.float64)
    return Outcomes("binary", truth, scores, (scores >= threshold).astype(np.int64), ("0", "1"))


def multiclass(rows: int, seed: int, *, classes: int = 3) -> Outcomes:
    """A calibrated model of several classes."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1.3, (rows, classes)) + np.linspace(0, 0.8, classes)
    scores = special.softmax(logits, axis=1)
    truth = (draw.random(rows)[:, None] > scores.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    names = tuple("abcdefgh"[:classes])
    return Outcomes("multiclass", truth.astype(np.float64), scores, scores.argmax(axis=1).astype(np.int64), names)


def regression(rows: int, seed: int) -> Outcomes:
    """Scores with errors that are not normal and larger where the score is."""
    draw = np.random.default_rng(seed)
    scores = draw.gamma(4, 2, rows)
    truth = scores + 0.3 + draw.laplace(0, 1, rows) * (0.5 + scores / 8)
    return Outcomes("regression", truth, scores, None)


MAKERS: dict[str, Callable[[int, int], Outcomes]] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
}
