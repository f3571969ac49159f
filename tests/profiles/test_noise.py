"""Chances beside scipy's, and bounds beside what seeded draws really do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mlserve_cli.profiles import RANK_ERROR, SHARE_ERROR, ColumnProfile, Distribution, distribution
from mlserve_cli.profiles.distance import Sample, chi_square, number_cells
from mlserve_cli.profiles.noise import (
    cells_p_value,
    chi_square_tail,
    effective_rows,
    kolmogorov_tail,
    ks_p_value,
    outside_p_value,
    psi_noise,
    shares_p_value,
    unseen_p_value,
)
from tests.profiles.draws import profile_of

Numbers = NDArray[np.float64]


@pytest.mark.parametrize("freedom", [*range(1, 12), 19, 30])
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 5.0, 20.0, 100.0, 900.0])
def test_the_tail_of_chi_square_is_scipy_s(freedom: int, value: float) -> None:
    assert chi_square_tail(value, freedom=freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("value", [0.0, 0.21, 0.5, 1.0, 1.5, 2.0, 4.0])
def test_the_tail_of_kolmogorov_is_scipy_s(value: float) -> None:
    assert kolmogorov_tail(value) == pytest.approx(stats.kstwobign.sf(value), abs=1e-9)


def test_kolmogorov_smirnov_s_chance_is_scipy_s() -> None:
    random = np.random.default_rng(1)
    base, now = random.normal(size=900), random.normal(0.1, 1, 800)
    wanted = stats.ks_2samp(base, now, method="asymp")
    found = ks_p_value(wanted.statistic, base_rows=900, now_rows=800, sketch_error=0)
    assert found == pytest.approx(wanted.pvalue, rel=0.1)
    assert ks_p_value(wanted.statistic, base_rows=900, now_rows=800, sketch_error=2 * RANK_ERROR) > found


@pytest.mark.parametrize(("base", "now"), [((0, 100), (5, 100)), ((3, 5_000), (9, 800)), ((99, 100), (90, 100))])
def test_the_bound_for_two_shares_is_above_fisher_s_chance_and_not_far(
    base: tuple[int, int], now: tuple[int, int]
) -> None:
    table = [[count, rows - count] for count, rows in (base, now)]
    wanted = stats.fisher_exact(table).pvalue
    assert wanted <= shares_p_value(*base, *now) <= 15 * wanted + 0.1
    assert shares_p_value(*base, *now) == pytest.approx(shares_p_value(*now, *base))


@pytest.mark.parametrize(("cells", "alpha"), [(2, 0.01), (10, 1e-4), (20, 1e-6)])
def test_the_noise_of_psi_is_where_its_chance_is_the_rate(cells: int, alpha: float) -> None:
    found = psi_noise(alpha, cells=cells, base_rows=5_000, now_rows=800)
    assert cells_p_value(found, cells=cells, base_rows=5_000, now_rows=800) == pytest.approx(alpha, rel=1e-6)
    assert found * 5_000 * 800 / 5_800 == pytest.approx(stats.chi2.isf(alpha, cells - 1), rel=1e-9)


@pytest.mark.parametrize("cells", [0, 1])
def test_what_has_one_cell_cannot_be_told_apart(cells: int) -> None:
    assert psi_noise(0.01, cells=cells, base_rows=10, now_rows=10) == 0
    assert cells_p_value(3.0, cells=cells, base_rows=10, now_rows=10) == 1


# Beside draws: the chance that is told is never below the share of draws that came that far

DRAWS = 4_000
FEWER = 500


def shares_at_most(chances: Numbers, *rates: float) -> list[float]:
    return [float(np.mean(chances <= rate)) for rate in rates]


def exact(values: Numbers) -> Sample:
    """As a sketch that kept every value has them; some hundred thousand of these are made here."""
    return Sample(Distribution(np.sort(values), np.arange(1, len(values) + 1) / len(values)), len(values))


@pytest.mark.parametrize(("base_rows", "now_rows"), [(30, 2_000), (50, 50), (2_000, 30), (2_000, 400)])
@pytest.mark.parametrize("kind", ["normal", "few values", "mostly zero"])
def test_the_chance_of_cells_holds_for_few_and_many_rows(base_rows: int, now_rows: int, kind: str) -> None:
    random = np.random.default_rng(7)

    def draw(rows: int) -> Numbers:
        if kind == "normal":
            return random.normal(size=rows)
        values = random.poisson(0.4, rows).astype(float)
        return values if kind == "few values" else np.where(random.random(rows) < 0.95, 0, values + random.random(rows))

    chances = []
    for _ in range(FEWER):
        cells = number_cells(exact(draw(base_rows)), exact(draw(now_rows)))
        statistic = chi_square(cells)
        chances.append(cells_p_value(statistic, cells=len(cells.base), base_rows=base_rows, now_rows=now_rows))
    tenth, hundredth = shares_at_most(np.array(chances), 0.1, 0.01)
    assert tenth <= 0.14
    assert hundredth <= 0.024
    assert kind != "normal" or now_rows < 400 or tenth > 0.07  # and with rows enough it gives nothing away


def test_the_chance_of_rows_outside_is_what_draws_do() -> None:
    random = np.random.default_rng(8)
    base, now = random.random((DRAWS, 500)), random.random((DRAWS, 80))
    low, high = base.min(axis=1, keepdims=True), base.max(axis=1, keepdims=True)
    outside = ((now < low) | (now > high)).sum(axis=1)
    for rows in (1, 2, 3, 5):
        found = float(np.mean(outside >= rows))
        told = outside_p_value(rows, base_rows=500, now_rows=80)
        assert found <= told + 3 * np.sqrt(told / DRAWS)
        assert told <= 1.2 * found + 0.003


def test_new_categories_of_a_long_tail_are_no_alarm() -> None:
    random = np.random.default_rng(9)
    weights = 1 / np.arange(1, 400) ** 1.3
    base = random.multinomial(500, weights / weights.sum(), FEWER)
    now = random.multinomial(80, weights / weights.sum(), FEWER)
    unseen = np.where(base == 0, now, 0).sum(axis=1)
    assert np.mean(unseen > 0) > 0.99  # some are new nearly always
    chances = [
        unseen_p_value(int(rows), totals=both[both > 0], base_rows=500, now_rows=80)
        for rows, both in zip(unseen, base + now, strict=True)
    ]
    tenth, hundredth = shares_at_most(np.array(chances), 0.1, 0.01)
    assert tenth <= 0.1
    assert hundredth <= 0.01


def test_a_category_that_comes_in_many_rows_is() -> None:
    totals = np.array([300, 200, 40])  # the last of them in none of the base's rows
    assert unseen_p_value(40, totals=totals, base_rows=300, now_rows=240) < 1e-8
    assert unseen_p_value(0, totals=totals, base_rows=300, now_rows=240) == 1


def test_sketches_of_one_distribution_scatter_no_more_than_they_are_taken_to() -> None:
    random = np.random.default_rng(10)
    rows, chances = 300_000, []
    for _ in range(10):
        one, other = (Sample(distribution(sketched(random.normal(size=rows))), rows) for _ in range(2))
        cells = number_cells(one, other)
        worth = effective_rows(rows, share_error=SHARE_ERROR, shares=cells.base.tolist())
        chances.append(cells_p_value(chi_square(cells), cells=10, base_rows=worth, now_rows=worth))
    assert min(chances) > 1e-3


def test_a_sketch_is_worth_fewer_rows_than_went_into_it() -> None:
    shares = [0.1] * 10
    assert effective_rows(300, share_error=0, shares=shares) == 300
    assert effective_rows(1_000, share_error=SHARE_ERROR, shares=shares) > 800
    assert 5_000 < effective_rows(10**9, share_error=SHARE_ERROR, shares=shares) < 10_000


def sketched(values: Numbers) -> ColumnProfile:
    return profile_of({"x": values}).features["x"]
