"""Intervals for one look equal scipy's; the anytime interval is the formula of its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlserve_cli.rollout.estimates import Estimate, between_groups, mean
from mlserve_cli.rollout.intervals import (
    LEAST_UNITS,
    Sureness,
    anytime_half,
    carrying,
    known,
    mismatch_p_value,
    rank_interval,
    t_quantile,
    wilson,
)
from mlserve_cli.scoring.agreement import rank_correlation

SURE = Sureness()


@pytest.mark.parametrize("freedom", [5, 10, 30, 1000])
@pytest.mark.parametrize("chance", [0.9, 0.975, 0.995])
def test_the_quantile_is_students(freedom: int, chance: float) -> None:
    assert t_quantile(chance, freedom=freedom) == pytest.approx(stats.t.ppf(chance, freedom), rel=6e-3)


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=200)
    found = known(mean(values), sure=SURE)
    wanted = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-5)


def test_the_interval_between_two_groups_is_welchs() -> None:
    draw = np.random.default_rng(2)
    one, other = draw.normal(0, 1, 3000), draw.normal(0.2, 3, 1000)
    is_second = np.arange(4000) >= 3000
    found = known(between_groups(mean(one), mean(other), is_second=is_second), sure=SURE)
    wanted = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(other.mean() - one.mean())
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=2e-3)


@given(hits=st.integers(0, 50), more=st.integers(0, 5000))
def test_the_interval_of_a_share_is_wilsons(hits: int, more: int) -> None:
    rows = max(hits + more, 1)
    wanted = stats.binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    assert wilson(hits, rows, sure=SURE) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@pytest.mark.parametrize("ties", [3, 1000])
def test_rank_correlation_is_scipys(ties: int) -> None:
    draw = np.random.default_rng(3)
    one = draw.integers(0, ties, 500).astype(float)
    other = one + draw.integers(0, ties, 500).astype(float)
    found = rank_correlation(one, other)
    assert found == pytest.approx(stats.spearmanr(one, other).statistic)
    assert rank_correlation(one, np.zeros(500)) is None


def test_the_interval_of_a_rank_correlation_holds_it() -> None:
    low, high = rank_interval(0.8, 500, sure=SURE)
    assert low < 0.8 < high
    assert rank_interval(1.0, 500, sure=SURE) == (1.0, 1.0)


def test_the_anytime_interval_is_that_of_the_paper() -> None:
    """Theorem 2.2: σ·sqrt(2(tρ²+1)/(t²ρ²)·log(sqrt(tρ²+1)/α)), with ρ best at the expected rows."""
    rows, sigma, alpha = 5_000, 2.0, 0.05
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / SURE.expected_rows)
    wide = rows * rho**2 + 1
    paper = sigma * math.sqrt(2 * wide / (rows * rho) ** 2 * math.log(math.sqrt(wide) / alpha))
    assert anytime_half(sigma / math.sqrt(rows), rows, sure=SURE) == pytest.approx(paper)


def test_it_is_narrowest_where_it_is_expected_to_be_read() -> None:
    widths = {
        expected: anytime_half(1 / 100, 10_000, sure=Sureness(expected_rows=expected))
        for expected in (100, 1_000, 10_000, 100_000, 1_000_000)
    }
    assert min(widths, key=widths.__getitem__) == 10_000
    assert widths[10_000] / (1.96 / 100) < 1.6  # what the freedom to look costs


@given(rows=st.integers(2, 10**7), expected=st.integers(100, 10**7))
def test_it_is_never_narrower_than_the_one_for_one_look(rows: int, expected: int) -> None:
    assert anytime_half(1.0, rows, sure=Sureness(expected_rows=expected)) > 1.96


def test_too_few_that_carry_a_figure_are_no_ground_for_ever() -> None:
    rare = np.zeros(100_000)
    rare[: LEAST_UNITS - 1] = 1.0
    assert carrying(rare) == pytest.approx(LEAST_UNITS - 1)
    assert known(mean(rare), sure=SURE).anytime is None
    rare[: LEAST_UNITS + 1] = 1.0
    assert known(mean(rare), sure=SURE).anytime is not None


def test_rows_of_one_customer_tell_less_than_those_of_many() -> None:
    customers = np.repeat(np.arange(200), 50)
    values = np.random.default_rng(4).normal(size=200)[customers] + 0.1 * np.random.default_rng(5).normal(size=10_000)
    by_row, by_customer = known(mean(values), sure=SURE), known(mean(values), sure=SURE, groups=customers)
    assert by_row.effective_rows == pytest.approx(10_000, rel=1e-3)
    assert by_customer.effective_rows == pytest.approx(200, rel=0.2)
    assert by_customer.high - by_customer.low > 6 * (by_row.high - by_row.low)


def test_a_figure_of_nothing_has_no_interval() -> None:
    found = known(Estimate(0.5, np.zeros(1)), sure=SURE)
    assert math.isnan(found.low)
    assert found.anytime is None


def test_a_split_that_lost_rows_is_noticed_and_a_sound_one_is_not() -> None:
    assert mismatch_p_value([5_000, 5_000], [0.5, 0.5]) == 1.0
    assert mismatch_p_value([50_000, 48_000], [0.5, 0.5]) < 1e-6
    assert mismatch_p_value([95_100, 4_900], [0.95, 0.05]) > 0.5
    assert mismatch_p_value([10, 1], [1.0, 0.0]) == 0.0
    assert mismatch_p_value([10, 0], [1.0, 0.0]) == 1.0


def test_a_sound_split_looked_at_daily_is_seldom_suspected() -> None:
    draw = np.random.default_rng(6)
    days = draw.binomial(500, 0.1, size=(400, 60)).cumsum(axis=1)
    odd = [
        min(mismatch_p_value([500 * day - int(one[day - 1]), int(one[day - 1])], [0.9, 0.1]) for day in range(5, 61, 5))
        < 0.05
        for one in days
    ]
    assert np.mean(odd) <= 0.05
