"""What chance alone does: how likely a difference between two profiles is where nothing changed.

Each function gives the chance of a difference at least as large, or a bound that is never below it. In plain floats and
closed forms: it runs inside `score`, which loads no scipy; tests compare with scipy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_99 = 2.5758293035489  # standard deviations: a sketch states its error at 99 %


def effective_rows(rows: int, *, share_error: float, shares: Sequence[float]) -> float:
    """The size of an exact sample whose shares scatter as those that were read from a sketch do.

    Each share carries the sketch's error (at 99 %) beside that of the draw, and the statistics weigh it by 1/share.
    """
    if len(shares) < 2 or not rows:
        return float(rows)
    variance = (share_error / CONFIDENCE_99) ** 2
    return 1 / (1 / rows + variance * sum(1 / share for share in shares) / (len(shares) - 1))


def cells_p_value(chi_square: float, *, cells: int, base_rows: float, now_rows: float) -> float:
    """Of Pearson's statistic per row: times nm/(n+m) it is chi-square with cells - 1 degrees of freedom."""
    return chi_square_tail(chi_square * _harmonic(base_rows, now_rows), freedom=cells - 1)


def psi_noise(alpha: float, *, cells: int, base_rows: float, now_rows: float) -> float:
    """The PSI that two draws of one distribution exceed with chance `alpha`; 0 where nothing can be told apart."""
    size = _harmonic(base_rows, now_rows)
    if cells < 2 or not size:
        return 0.0
    return _chi_square_at(alpha, cells - 1) / size


def ks_p_value(distance: float, *, base_rows: int, now_rows: int, sketch_error: float) -> float:
    """Kolmogorov's limit, which few rows only stay below; what both sketches may be off counts for no change."""
    return kolmogorov_tail(math.sqrt(_harmonic(base_rows, now_rows)) * max(distance - sketch_error, 0.0))


def shares_p_value(base_count: int, base_rows: int, now_count: int, now_rows: int) -> float:
    """Two shares of two draws, either way: Chernoff's bound on how the rarer of the two kinds falls on the draws.

    Given how many there are in all, their number among one draw's rows is hypergeometric, and the bound holds for it.
    """
    rows, total = base_rows + now_rows, base_count + now_count
    if 2 * total > rows:
        base_count, now_count = base_rows - base_count, now_rows - now_count
        total = rows - total
    if not total or not base_rows or not now_rows:
        return 1.0
    return min(1.0, 2 * math.exp(-total * _divergence(now_count / total, now_rows / rows)))


def outside_p_value(outside_rows: float, *, base_rows: int, now_rows: int) -> float:
    """So many of now's rows below the least or above the greatest of the base's.

    Among rows in random order the run of now's rows at either end is geometric at most, so both together are negative
    binomial; ties and the end of the rows only make it less.
    """
    if outside_rows <= 0 or not base_rows:
        return 1.0
    share = now_rows / (base_rows + now_rows)
    return min(1.0, math.pow(share, outside_rows) * (1 + outside_rows * (1 - share)))


def unseen_p_value(unseen_rows: int, *, totals: NDArray[np.int64], base_rows: int, now_rows: int) -> float:
    """So many of now's rows in categories that the base has not. `totals` (int64, [categories]): rows of both in each.

    A category of t rows has all of them among now's with chance at most (m/(n+m))^t; Chernoff's bound on their sum.
    """
    if not unseen_rows or not base_rows:
        return 1.0
    chance = totals * math.log(now_rows / (base_rows + now_rows))  # of each category, as a logarithm
    others = np.log1p(-np.exp(chance))
    exponents = np.geomspace(1e-6, 10, 141)[:, None]  # the best of these is near enough to the best of all
    moments = np.logaddexp(others, chance + exponents * totals).sum(axis=1)
    return math.exp(min(0.0, float(np.min(moments - exponents[:, 0] * unseen_rows))))


def chi_square_tail(value: float, *, freedom: int) -> float:
    """P(chi-square ≥ value), by its finite sum."""
    if freedom < 1 or value <= 0:
        return 1.0
    half = value / 2
    odd = freedom % 2
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    term = math.sqrt(half / math.pi) * 2 * math.exp(-half) if odd else math.exp(-half)
    for step in range(freedom // 2):
        total += term
        term *= half / (step + (1.5 if odd else 1))
    return min(total, 1.0)


def kolmogorov_tail(value: float) -> float:
    """P(K ≥ value) of Kolmogorov's distribution."""
    if value < 0.2:  # where the alternating sum converges slowly, the chance is 1 to twelve digits
        return 1.0
    total = math.fsum((1 if k % 2 else -1) * math.exp(-2 * (k * value) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * total))


def _harmonic(base_rows: float, now_rows: float) -> float:
    return base_rows * now_rows / (base_rows + now_rows) if base_rows and now_rows else 0.0


def _divergence(share: float, expected: float) -> float:
    """Kullback-Leibler, in nats, of one Bernoulli distribution from another."""
    parts = ((share, expected), (1 - share, 1 - expected))
    return sum(one * math.log(one / other) for one, other in parts if one > 0)


@cache
def _chi_square_at(chance: float, freedom: int) -> float:
    """The value that chi-square exceeds with this chance, to twelve digits: most columns have the same freedom."""
    low, high = 0.0, 1.0
    while chi_square_tail(high, freedom=freedom) > chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_square_tail(middle, freedom=freedom) > chance else (low, middle)
    return high
