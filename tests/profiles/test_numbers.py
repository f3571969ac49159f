"""Profiles of numbers: counts and moments are exact however the rows are cut, quantiles within the sketch's error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlserve_cli.contract import decode_sealed, encode_sealed
from mlserve_cli.errors import RunMismatch
from mlserve_cli.profiles import (
    RANK_ERROR,
    SHARE_ERROR,
    ColumnProfile,
    Numbers,
    Profile,
    Profiler,
    distribution,
    merge,
    merge_columns,
    quantiles,
    sampled_rows,
)

DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "uint64")
SHARES = np.linspace(0.01, 0.99, 99)
# The library states its error for 99 sketches of 100; a test that never fails by chance asks for twice that.
RARELY = 2


def of(values: NDArray[np.generic], *, missing: NDArray[np.bool_] | None = None, every: int = 1) -> ColumnProfile:
    profiler = Profiler()
    sample = sampled_rows(0, len(values), every=every)
    profiler.add({"x": Numbers(values, missing)}, {}, rows=len(values), sample=sample)
    return profiler.result(source="", model="").features["x"]


def cut(values: NDArray[np.generic], places: Sequence[int]) -> list[NDArray[np.generic]]:
    return np.split(values, sorted(min(place, len(values)) for place in places))


odd_floats = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(odd_floats, max_size=60), st.lists(st.integers(0, 60), max_size=4), st.data())
def test_the_profile_of_parts_merged_is_that_of_the_whole(
    values: list[float], places: list[int], data: st.DataObject
) -> None:
    column = np.array(values, np.float32)
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), np.bool_)
    parts = zip(cut(column, places), cut(missing, places), strict=True)
    merged = merge_columns([of(part, missing=gone.astype(np.bool_)) for part, gone in parts])
    finite = column[~missing & np.isfinite(column)].astype(np.float64)
    assert merged.rows == len(column)
    assert merged.nulls == np.count_nonzero(missing)
    assert merged.nans == np.count_nonzero(np.isnan(column[~missing]))
    assert merged.infinities == np.count_nonzero(np.isinf(column[~missing]))
    assert merged.present == merged.sampled == len(finite)
    if not len(finite):
        assert (merged.minimum, merged.maximum, merged.mean, merged.quantiles) == (None, None, None, b"")
        return
    assert (merged.minimum, merged.maximum) == (finite.min(), finite.max())
    scale = float(np.abs(finite).max())
    assert merged.mean == pytest.approx(math.fsum(finite) / len(finite), rel=1e-9, abs=scale * 1e-9)
    assert merged.sum_of_squares == pytest.approx(
        np.sum((finite - finite.mean()) ** 2), rel=1e-9, abs=scale * scale * 1e-9
    )
    # So few values are all in the sketch: it is the empirical distribution itself.
    assert distribution(merged).cdf(finite) == pytest.approx(scipy.stats.ecdf(finite).cdf.evaluate(finite))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_number_has_the_moments_that_numpy_gives(dtype: str) -> None:
    values = (np.random.default_rng(3).integers(0, 100, 5_000)).astype(dtype)
    found = of(values)
    wide = values.astype(np.float64)
    assert (found.minimum, found.maximum, found.rows) == (wide.min(), wide.max(), 5_000)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12)
    assert found.standard_deviation == pytest.approx(wide.std(ddof=1), rel=1e-12)


def test_moments_do_not_suffer_from_a_large_offset() -> None:
    values = 1e9 + np.random.default_rng(4).normal(size=400_000)
    found = merge_columns([of(part) for part in cut(values, range(50_000, 400_000, 50_000))])
    assert found.standard_deviation == pytest.approx(values.std(ddof=1), rel=1e-9)


def test_what_overflows_a_double_can_still_be_written_and_read() -> None:
    found = of(np.array([1e308, -1e308, 1e308, 1e308]))
    profile = Profile(1, 4, 4, "", "", {"x": found}, {})
    assert decode_sealed(encode_sealed(profile), Profile, where="").features["x"].maximum == 1e308


DRAWS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "normal": lambda rng: rng.normal(size=60_000),
    "heavy tails": lambda rng: rng.standard_cauchy(60_000),
    "few values": lambda rng: rng.integers(0, 7, 60_000).astype(float),
    "in order": lambda rng: np.sort(rng.random(60_000)),
    "a spike": lambda rng: np.where(rng.random(60_000) < 0.6, 0.0, rng.exponential(size=60_000)),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("parts", [1, 16])
def test_quantiles_and_shares_are_numpys_within_the_stated_error(name: str, parts: int) -> None:
    values = DRAWS[name](np.random.default_rng(5))
    column = merge_columns([of(part) for part in np.array_split(values, parts)])
    ordered = np.sort(values)
    # A quantile is right where its rank is: with ties it may be any of the ranks that the value has.
    found = quantiles(column, SHARES.tolist())
    low = np.searchsorted(ordered, found, side="left") / len(ordered)
    high = np.searchsorted(ordered, found, side="right") / len(ordered)
    assert np.all((low - RARELY * RANK_ERROR <= SHARES) & (high + RARELY * RANK_ERROR >= SHARES))
    points = np.quantile(values, SHARES)
    exact = scipy.stats.ecdf(values).cdf.evaluate(points)
    apart = np.abs(distribution(column).cdf(points) - exact)
    assert apart.max() <= RARELY * RANK_ERROR
    shares = np.diff(distribution(column).cdf(points)) - np.diff(exact)
    assert np.abs(shares).max() <= RARELY * SHARE_ERROR
    assert quantiles(column, [0.0, 1.0]).tolist() == [values.min(), values.max()]


def test_the_cdf_counts_ties_on_the_side_that_is_asked_for() -> None:
    opened = distribution(of(np.array([1.0, 2.0, 2.0, 3.0])))
    assert opened.cdf([2.0]).tolist() == [0.75]
    assert opened.cdf([2.0], side="left").tolist() == [0.25]
    assert opened.quantiles([0.25, 0.26, 0.75, 1.0]).tolist() == [1.0, 2.0, 2.0, 3.0]


def test_a_column_without_values_has_no_quantiles() -> None:
    empty = of(np.array([np.nan]), missing=np.array([True]))
    assert np.isnan(quantiles(empty, [0.5])).all()
    assert (empty.nulls, empty.nans, empty.null_share) == (1, 0, 1.0)


def test_a_damaged_sketch_is_named() -> None:
    column = of(np.arange(1000.0))
    for damage in (column.quantiles[:40], b"not a sketch"):
        with pytest.raises(RunMismatch, match="sketch"):
            distribution(ColumnProfile("number", 1000, 0, quantiles=damage))


# Which rows go to the quantiles


@given(st.integers(0, 5_000), st.integers(0, 500), st.integers(2, 60), st.integers(0, 500))
def test_a_shards_sampled_rows_do_not_depend_on_where_it_is_cut(start: int, rows: int, every: int, place: int) -> None:
    middle, stop = start + min(place, rows), start + rows
    whole = sampled_rows(start, stop, every=every)
    left, right = sampled_rows(start, middle, every=every), sampled_rows(middle, stop, every=every)
    assert whole is not None
    assert left is not None
    assert right is not None
    assert whole.tolist() == [*left, *right]
    assert all(start <= row < stop for row in whole)
    groups = whole // every
    assert len(set(groups.tolist())) == len(groups)  # one of each
    assert len(whole) >= rows // every - 1


def test_a_sample_does_not_fall_in_with_a_rhythm_of_the_data() -> None:
    hours = np.arange(240_000) % 24
    sample = sampled_rows(0, len(hours), every=24)
    assert sample is not None
    counts = np.bincount(hours[sample], minlength=24)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4  # every 24th row would be one hour alone


def test_of_many_shards_with_few_rows_as_many_rows_are_sampled_as_of_one_with_all() -> None:
    found = [sampled_rows(0, 10, every=40, shard=shard) for shard in range(4_000)]
    rows = np.concatenate([one for one in found if one is not None])
    assert len(rows) == pytest.approx(1_000, rel=0.15)
    assert scipy.stats.chisquare(np.bincount(rows, minlength=10)).pvalue > 1e-4


def test_the_sample_of_many_rows_has_their_distribution() -> None:
    values = np.random.default_rng(6).gamma(2.0, size=400_000)
    column = of(values, every=8)
    assert (column.rows, column.present, column.sampled) == (400_000, 400_000, 50_000)
    points = np.quantile(values, SHARES)
    error = RARELY * RANK_ERROR + 2 * math.sqrt(math.log(2 / 1e-4) / (2 * column.sampled))  # Dvoretzky et al.
    assert np.abs(distribution(column).cdf(points) - SHARES).max() <= error


def test_profiles_are_merged_by_name_and_kind() -> None:
    one, other = Profiler(), Profiler()
    one.add({"x": Numbers(np.arange(3.0))}, {"s": Numbers(np.arange(3.0))}, rows=3)
    other.add({"x": Numbers(np.arange(2.0)), "y": Numbers(np.arange(2.0))}, {}, rows=2)
    found = merge([one.result(source="", model="m"), other.result(source="", model="m")], source="both", model="m")
    assert (found.rows, found.quantile_rows, found.source) == (5, 5, "both")
    assert {name: column.rows for name, column in found.features.items()} == {"x": 5, "y": 2}
    assert found.scores["s"].rows == 3
    assert merge([], source="", model="").rows == 0
    with pytest.raises(RunMismatch, match="number in one profile"):
        merge_columns([found.features["x"], ColumnProfile("category", 1, 0)], name="x")
