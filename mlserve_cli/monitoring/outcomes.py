"""Rows with a label: what a model said of each, and what came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.monitoring.evaluation import Kind

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
LEAST_PROBABILITY = 1e-15  # of the class that came: one row that was thought impossible makes no infinite loss


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Rows with a label: what was said and what came. All arrays have one entry for each row.

    binary: `truth` is 0 or 1, `scores` the probability of 1 (shape [rows]). multiclass: `truth` is the class's place,
    `scores` the probabilities (shape [rows, classes]). regression: numbers both. `predicted` are classes by place.
    Where a model gives labels alone `scores` is None, and for a regressor `predicted` is.
    """

    kind: Kind
    truth: Floats | Places
    scores: Floats | None
    predicted: Places | None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, chosen: NDArray[np.bool_] | Places) -> Outcomes:
        """Those rows alone."""
        scores = None if self.scores is None else self.scores[chosen]
        predicted = None if self.predicted is None else self.predicted[chosen]
        return Outcomes(self.kind, self.truth[chosen], scores, predicted, self.classes)

    @property
    def are_probabilities(self) -> bool:
        """Whether every score lies from 0 to 1."""
        return self.scores is not None and bool(np.all((self.scores >= 0) & (self.scores <= 1)))


def losses(outcomes: Outcomes) -> Floats:
    """Minus the logarithm of the probability that was given to what came, float64, shape [rows]."""
    assert outcomes.scores is not None
    scores = outcomes.scores
    if outcomes.kind == "binary":
        chosen = np.where(outcomes.truth == 1, scores, 1 - scores)
    else:
        chosen = scores[np.arange(len(scores)), outcomes.truth.astype(np.int64)]
    return np.asarray(-np.log(np.clip(chosen, LEAST_PROBABILITY, 1)))


def squares(outcomes: Outcomes) -> Floats:
    """Squared distances of probabilities and outcomes; of several classes their sum, float64, shape [rows]."""
    assert outcomes.scores is not None
    if outcomes.kind == "binary":
        return np.asarray((outcomes.scores - outcomes.truth) ** 2)
    came = np.eye(outcomes.scores.shape[1])[outcomes.truth.astype(np.int64)]
    return np.asarray(((outcomes.scores - came) ** 2).sum(axis=1))
