"""How sure a figure is: looked at once, or looked at every day until it is clear.

The interval for one look is the usual one. Whoever looks daily and stops when zero is outside of it is wrong far more
often than stated. The anytime interval holds at all looks together: it is the asymptotic confidence sequence of
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics, 2024), which is also the mixture sequential probability ratio test of Johari, Koomen,
Pekelis and Walsh (2017) turned into an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.rollout.estimates import Estimate, Floats

CONFIDENCE = 0.95
EXPECTED_ROWS = 10_000
LEAST_UNITS = 30  # that carry a figure, before anything is said that is to hold for ever
Groups = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sureness:
    """How sure is wanted; at `expected_rows` the anytime interval is narrowest, so they are chosen before any look."""

    confidence: float = CONFIDENCE
    expected_rows: int = EXPECTED_ROWS

    @property
    def alpha(self) -> float:
        """The chance of an error that is accepted."""
        return 1.0 - self.confidence


@dataclass(frozen=True, slots=True)
class Known:
    """A figure with its interval for one look, and with that for any number of looks (None while it is too early).

    `effective_rows` is how many rows that have nothing to do with each other would tell as much.
    """

    value: float
    low: float
    high: float
    anytime: tuple[float, float] | None
    effective_rows: float


def known(estimate: Estimate, *, sure: Sureness, groups: Groups | None = None) -> Known:
    """The figure with its intervals; `groups` has for each row the number of what it belongs to: a customer's rows are
    alike, and a thousand of them tell less than a thousand customers."""
    rows = len(estimate.influence)
    if rows < 2 or not math.isfinite(estimate.value):
        return Known(estimate.value, float("nan"), float("nan"), None, 0.0)
    sums = estimate.influence if groups is None else np.asarray(np.bincount(groups, estimate.influence), np.float64)
    units = len(sums) if groups is None else len(np.unique(groups))
    if units < 2:
        return Known(estimate.value, float("nan"), float("nan"), None, 0.0)
    error = math.sqrt(float(sums @ sums) / units / (units - 1)) * units / rows
    half = t_quantile(1.0 - sure.alpha / 2.0, freedom=units - 1) * error
    alone = float(estimate.influence @ estimate.influence) / rows / rows
    effective = rows * alone / error**2 if error else float(rows)
    anytime = None
    if carrying(sums) >= LEAST_UNITS:
        wide = anytime_half(error, effective, sure=sure)
        anytime = (estimate.value - wide, estimate.value + wide)
    return Known(estimate.value, estimate.value - half, estimate.value + half, anytime, effective)


def anytime_half(error: float, effective_rows: float, *, sure: Sureness) -> float:
    """Half the width of the anytime interval of a figure with this standard error (Waudby-Smith et al., 2024)."""
    settled = -2.0 * math.log(sure.alpha)
    reach = effective_rows * (settled + math.log1p(settled)) / sure.expected_rows
    return error * math.sqrt((1.0 + 1.0 / reach) * (math.log1p(reach) + settled))


def carrying(sums: Floats) -> float:
    """How many units carry a figure: of a rare event those that had it. The larger, the more normal its error."""
    squares = sums * sums
    whole = float(squares @ squares)
    return float(squares.sum()) ** 2 / whole if whole else 0.0


def wilson(hits: int, rows: int, *, sure: Sureness) -> tuple[float, float]:
    """The interval of a share (Wilson, 1927), which also holds near 0 and 1."""
    if not rows:
        return 0.0, 1.0
    z = normal_quantile(1.0 - sure.alpha / 2.0)
    share, spread = hits / rows, z * z / rows
    middle = share + spread / 2.0
    half = z * math.sqrt(share * (1.0 - share) / rows + spread / rows / 4.0)
    return max((middle - half) / (1.0 + spread), 0.0), min((middle + half) / (1.0 + spread), 1.0)


def rank_interval(correlation: float, rows: int, *, sure: Sureness) -> tuple[float, float]:
    """Of Spearman's rank correlation, by Fisher's transformation (standard error of Bonett and Wright, 2000)."""
    if rows < 4 or abs(correlation) >= 1.0:
        return correlation, correlation
    error = math.sqrt((1.0 + correlation**2 / 2.0) / (rows - 3))
    z, half = math.atanh(correlation), normal_quantile(1.0 - sure.alpha / 2.0) * error
    return math.tanh(z - half), math.tanh(z + half)


def mismatch_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Whether units fell to the arms as they should, in a test that may be looked at daily, too: the smaller the odder.

    The ratio of the likelihoods under the shares and under shares drawn around them (Lindon and Malek, "Anytime-valid
    inference for multinomial count data", 2022).
    """
    told, weight = sum(counts), 100.0
    likely = math.lgamma(weight) - math.lgamma(weight + told)
    for count, share in zip(counts, shares, strict=True):
        if share <= 0.0:
            if count:
                return 0.0
            continue
        likely += math.lgamma(weight * share + count) - math.lgamma(weight * share) - count * math.log(share)
    return min(1.0, math.exp(min(-likely, 0.0)))


def normal_quantile(chance: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(chance)


def t_quantile(chance: float, *, freedom: int) -> float:
    """Of Student's distribution: Cornish-Fisher's expansion, right to 0.6 % from 5 degrees of freedom on."""
    z = normal_quantile(chance)
    terms = (
        z,
        (z**3 + z) / (4 * freedom),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3),
    )
    return sum(terms)
