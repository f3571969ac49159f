"""What a figure is on some rows, and how much each row moved it: from that follows every interval and test here.

Each metric is, for many rows, its true value plus the mean of one number for each row, its influence (see
`monitoring.influence`). From their variance follows the figure's own, for two models on the same rows and for two on
different rows; and summed over the rows of one customer it stays right where those are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and each row's influence on it (float64, shape [rows], with a mean of 0)."""

    value: float
    influence: Floats

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two figures of the same rows."""
        return Estimate(self.value - other.value, self.influence - other.influence)

    def turned(self) -> Estimate:
        """The same with the other sign."""
        return Estimate(-self.value, -self.influence)


def mean(values: Floats) -> Estimate:
    """Of a difference, a share, an outcome."""
    middle = float(values.mean())
    return Estimate(middle, values - middle)


def between_groups(first: Estimate, second: Estimate, *, is_second: Flags) -> Estimate:
    """The second's figure minus the first's, each of rows of its own; `is_second` says which of all rows are whose."""
    rows, later = len(is_second), int(is_second.sum())
    influence = np.empty(rows)
    influence[is_second] = second.influence * (rows / later)
    influence[~is_second] = first.influence * (-rows / (rows - later))
    return Estimate(second.value - first.value, influence)
