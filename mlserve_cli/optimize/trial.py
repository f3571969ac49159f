"""One candidate held against its parent on held-out rows, and the gates that it has to come through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.optimize.gate import Differences, Gate, compare
from mlserve_cli.optimize.measure import quality, quality_figures
from mlserve_cli.optimize.parent import Parent
from mlserve_cli.optimize.rows import Rows, scores_of
from mlserve_cli.registry import GateResult
from mlserve_cli.session import Predictor


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may lose. Differences are in probability, or in standard deviations of the parent's score where
    that is no probability; flips a share of the rows; quality in AUC or accuracy, or as a share of the RMSE."""

    max_difference: float = 0.1
    mean_difference: float = 0.005
    max_flips: float = 0.01
    max_quality_loss: float = 0.002


@dataclass(frozen=True, slots=True)
class Bench:
    """The rows that decide, and the parent's scores of them."""

    parent: Parent
    rows: Rows
    limits: Limits
    scores: Mapping[str, NDArray[Any]]
    quality: dict[str, float] | None

    @classmethod
    def of(cls, parent: Parent, rows: Rows, limits: Limits) -> Bench:
        """The parent scored in the batches of a run, and held against the labels where there are some."""
        scores = scores_of(parent.predictor, rows, batch_rows=parent.batch_rows)
        known = None if rows.labels is None else quality(scores, rows.labels, parent.contract)
        return cls(parent, rows, limits, scores, known)

    def scores_by(self, child: Predictor) -> dict[str, NDArray[Any]]:
        """The child's scores, in the same batches."""
        return scores_of(child, self.rows, batch_rows=self.parent.batch_rows)

    def differences(self, child: Predictor) -> Differences:
        """How far the child is from the parent."""
        return compare(self.scores, self.scores_by(child), contract=self.parent.contract)

    def judge(self, child: Predictor) -> tuple[GateResult, ...]:
        """The parity gate, and the quality gate where there are labels."""
        contract = self.parent.contract
        scores = self.scores_by(child)
        scale = score_scale(self.scores, contract)
        gate = Gate.on_differences(
            "parity",
            max_difference=self.limits.max_difference * scale,
            mean_difference=self.limits.mean_difference * scale,
            max_flips=self.limits.max_flips,
        )
        found = [gate.judge(compare(self.scores, scores, contract=contract).figures, rows=len(self.rows))]
        if self.quality is not None and self.rows.labels is not None:
            figures = quality_figures(self.quality, quality(scores, self.rows.labels, contract))
            limit = Gate("quality", most={"quality_loss": self.limits.max_quality_loss})
            found.append(limit.judge(figures, rows=len(self.rows)))
        return tuple(found)


def score_scale(scores: Mapping[str, NDArray[Any]], contract: Contract) -> float:
    """1 where scores are probabilities; else the largest standard deviation among the float outputs."""
    floats = [one for one in contract.outputs if scores[one.tensor.name].dtype.kind == "f"]
    if not floats or any(one.role == "probability" for one in floats):
        return 1.0
    spreads = [_spread(scores[one.tensor.name]) for one in floats]
    return max(spreads) or 1.0


def _spread(values: NDArray[Any]) -> float:
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(finite.std()) if len(finite) else 0.0
