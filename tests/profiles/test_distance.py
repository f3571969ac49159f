"""Distances beside scipy's on the same data: equal where the sketch kept every value, else within its stated error."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import spatial, special, stats

from mlserve_cli.profiles import RANK_ERROR, SHARE_ERROR
from mlserve_cli.profiles.distance import (
    Cells,
    Counts,
    Sample,
    category_cells,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    number_cells,
    psi,
    sample_of,
)
from tests.profiles.draws import profile_of

FEW, MANY = 300, 200_000
Numbers = NDArray[np.float64]


def drawn(values: Numbers) -> Sample:
    return sample_of(profile_of({"x": values}).features["x"])


def exact_cells(base: Numbers, now: Numbers, cells: Cells) -> tuple[Numbers, Numbers]:
    """The shares of all values between the deciles of `base`, as numpy counts them."""
    edges = np.quantile(base, np.arange(1, len(cells.base)) / len(cells.base), method="inverted_cdf")
    places = [np.searchsorted(edges, values, side="left") for values in (base, now)]
    found = [np.bincount(place, minlength=len(cells.base)) / len(place) for place in places]
    return found[0], found[1]


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0, 9.0])
@pytest.mark.parametrize("rows", [FEW, MANY])
def test_kolmogorov_smirnov_is_scipy_s_within_the_error_of_both_sketches(rows: int, shift: float) -> None:
    random = np.random.default_rng(1)
    base, now = random.normal(size=rows), random.normal(shift, 1.2, rows)
    one, other = drawn(base), drawn(now)
    wanted = stats.ks_2samp(base, now).statistic
    assert kolmogorov_smirnov(one, other) == pytest.approx(wanted, abs=one.rank_error + other.rank_error + 1e-12)
    assert one.rank_error == (RANK_ERROR if rows == MANY else 0)


def test_ties_and_atoms_do_not_disturb_it() -> None:
    random = np.random.default_rng(2)
    base, now = random.poisson(0.7, 300).astype(float), random.poisson(0.9, 200).astype(float)
    wanted = stats.ks_2samp(base, now).statistic
    assert kolmogorov_smirnov(drawn(base), drawn(now)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("rows", [FEW, MANY])
def test_jensen_shannon_and_psi_are_scipy_s_over_the_same_cells(rows: int, shift: float) -> None:
    random = np.random.default_rng(3)
    base, now = random.gamma(2, size=rows), random.gamma(2 + shift, size=rows)
    one, other = drawn(base), drawn(now)
    cells = number_cells(one, other)
    base_shares, now_shares = exact_cells(base, now, cells)
    added = 0.5 / rows
    smooth = [(shares + added) / (1 + len(shares) * added) for shares in (base_shares, now_shares)]
    wanted = special.rel_entr(*smooth).sum() + special.rel_entr(*reversed(smooth)).sum()
    # a share that is off by the sketch's error moves each term by at most so much
    error = 0.0 if one.share_error == 0 else 2 * SHARE_ERROR * np.abs(np.log(smooth[1] / smooth[0])).sum() + 0.01
    assert np.allclose(cells.base, base_shares, atol=one.share_error + 1e-12)
    assert np.allclose(cells.now, now_shares, atol=2 * other.share_error + 1e-12)
    assert psi(cells) == pytest.approx(wanted, abs=error + 1e-12)
    distance = spatial.distance.jensenshannon(base_shares, now_shares, base=2)
    assert jensen_shannon(cells) == pytest.approx(distance, abs=1e-9 if rows == FEW else 3 * SHARE_ERROR)


@pytest.mark.parametrize("names", [2, 7, 40])
def test_the_statistic_behind_the_noise_is_pearson_s(names: int) -> None:
    random = np.random.default_rng(4)
    chances = random.dirichlet(np.full(names, 5.0))
    counts = [random.multinomial(rows, chances) for rows in (40_000, 30_000)]
    base, now = (Counts({str(place): int(count) for place, count in enumerate(side)}) for side in counts)
    cells = category_cells(base, now)
    table = [np.round(cells.base * base.rows), np.round(cells.now * now.rows)]
    size = base.rows * now.rows / (base.rows + now.rows)
    wanted = stats.chi2_contingency(table, correction=False).statistic
    assert chi_square(cells) * size == pytest.approx(wanted, rel=0.01)


def test_psi_of_a_small_change_is_pearson_s_statistic() -> None:
    random = np.random.default_rng(5)
    cells = number_cells(drawn(random.normal(size=MANY)), drawn(random.normal(0.02, 1, MANY)))
    assert psi(cells) == pytest.approx(chi_square(cells), rel=0.02)


# Cells


def test_equal_columns_are_at_no_distance() -> None:
    same = drawn(np.arange(300.0))
    cells = number_cells(same, same)
    assert (psi(cells), jensen_shannon(cells), kolmogorov_smirnov(same, same)) == (0, 0, 0)
    assert len(cells.base) == 10


def test_columns_without_a_common_value_are_as_far_apart_as_can_be() -> None:
    base, now = drawn(np.arange(300.0)), drawn(np.arange(1_000.0, 1_300.0))
    assert jensen_shannon(category_cells(Counts({"a": 50}), Counts({"b": 50}))) == pytest.approx(1)
    assert kolmogorov_smirnov(base, now) == 1
    assert psi(number_cells(base, now)) > 4


def test_a_constant_that_becomes_another_is_seen() -> None:
    base = drawn(np.full(300, 5.0))
    for now in (4.0, 5.5, 1e300):
        assert psi(number_cells(base, drawn(np.full(300, now)))) > 4
    assert psi(number_cells(base, base)) == 0


def test_a_value_that_many_rows_have_is_a_cell_of_its_own() -> None:
    base = drawn(np.concatenate([np.zeros(270), np.arange(1, 31.0)]))
    now = drawn(np.concatenate([np.full(270, -1.0), np.arange(1, 31.0)]))
    cells = number_cells(base, now)
    assert sorted(cells.base) == pytest.approx([0, 0.1, 0.9])
    assert psi(cells) > 4


@pytest.mark.parametrize(("rows", "wanted"), [(5, 2), (25, 2), (60, 6), (400, 10)])
def test_few_rows_have_few_cells(rows: int, wanted: int) -> None:
    assert len(number_cells(drawn(np.arange(400.0)), drawn(np.arange(float(rows)))).base) == wanted


def test_the_rarer_categories_share_a_cell() -> None:
    named = {f"v{place:02}": 100 - place for place in range(60)}
    cells = category_cells(Counts(named), Counts(named))
    assert len(cells.base) == 20
    assert cells.base[-1] == pytest.approx(sum(range(41, 82)) / sum(range(41, 101)))


def test_a_category_that_may_be_among_the_others_is_not_held_to_be_absent() -> None:
    base, now = Counts({"a": 900}, other=100), Counts({"a": 900, "b": 100})
    assert psi(category_cells(base, now)) == 0
    assert psi(category_cells(Counts({"a": 900, "c": 100}), now)) > 0.4


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_one_row_can_be_compared_with_anything(rows: int) -> None:
    few, some = drawn(np.arange(float(rows))), drawn(np.arange(300.0))
    for cells in (number_cells(few, some), number_cells(some, few), number_cells(few, few)):
        assert np.isfinite([psi(cells), chi_square(cells), jensen_shannon(cells)]).all()
    assert kolmogorov_smirnov(drawn(np.arange(0.0)), some) == 0
    assert psi(category_cells(Counts({}), Counts({"a": 4}))) == 0
