"""What is reported of two profiles, and what is not."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlserve_cli.contract import Value, decode_sealed, encode_canonical, encode_sealed
from mlserve_cli.errors import DataError
from mlserve_cli.profiles import ColumnDrift, Drift, Limits, Profile, Thresholds, drift
from tests.profiles.draws import Values, profile_of

ROWS = 2_000
ANY = Thresholds(usual=Limits(psi=0, js=0, ks=0, nulls=0, out_of_range=0, unseen=0))


def normal(seed: int, *, mean: float = 0.0, rows: int = ROWS) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, 1, rows)


def one(base: Values, now: Values, **limits: float) -> ColumnDrift:
    """The verdict on a single column."""
    thresholds = Thresholds(usual=Limits(**limits))  # type: ignore[arg-type]  # all of them are numbers
    (column,) = drift(profile_of({"x": base}), profile_of({"x": now}), thresholds=thresholds).columns
    return column


# Reasons


def test_another_draw_of_the_same_is_no_drift() -> None:
    found = drift(profile_of({"x": normal(1)}), profile_of({"x": normal(2)}))
    assert found.passed
    assert found.columns[0].reasons == ()
    assert found.columns[0].psi < found.columns[0].noise
    assert found.columns[0].p_value > 0.05


def test_a_shift_is_and_says_how_far() -> None:
    found = one(normal(1), normal(2, mean=0.6))
    assert found.reasons == ("psi",)
    assert found.psi == pytest.approx(0.36, abs=0.08)  # of two normal distributions: the square of the shift
    assert found.p_value < 1e-6
    assert found.base_mean == pytest.approx(0, abs=0.1)
    assert found.now_mean == pytest.approx(0.6, abs=0.1)


def test_a_small_shift_of_many_rows_is_certain_and_no_matter() -> None:
    found = one(normal(1, rows=50_000), normal(2, mean=0.2, rows=50_000))
    assert found.reasons == ()
    assert found.p_value < 1e-6
    assert found.noise < found.psi < 0.2


def test_a_large_index_of_few_rows_is_noise() -> None:
    found = one(normal(1), normal(25, rows=60))
    assert found.reasons == ()
    assert 0.2 < found.psi < found.noise


def test_jensen_shannon_and_kolmogorov_smirnov_report_where_they_have_a_limit() -> None:
    base, now = normal(1), normal(2, mean=0.6)
    assert one(base, now, psi=9, js=0.1).reasons == ("js",)
    assert one(base, now, psi=9, ks=0.1).reasons == ("ks",)
    assert one(base, now, js=0.1, ks=0.1).reasons == ("psi", "js", "ks")
    assert one(base, normal(2), psi=0, js=0, ks=0).reasons == ()


def test_nulls_that_come_or_go_are_reported() -> None:
    base = np.where(np.arange(ROWS) % 10 == 0, np.nan, normal(1))
    assert one(base, normal(2)).reasons == ("nulls",)
    assert one(normal(2), base).reasons == ("nulls",)
    assert one(base, base).reasons == ()
    assert one(base, normal(2), nulls=0.2).reasons == ()
    found = one(["a", None] * 100, ["a"] * 200)
    assert (found.reasons, found.base_null_share, found.now_null_share) == (("nulls",), 0.5, 0.0)


def test_a_few_more_nulls_of_few_rows_are_noise() -> None:
    base = np.where(np.arange(ROWS) % 10 == 0, np.nan, normal(1))
    assert one(base, np.where(np.arange(20) < 4, np.nan, normal(2, rows=20))).reasons == ()


def test_values_that_the_base_never_had_are_reported() -> None:
    base, now = np.arange(1_000.0), np.arange(1_000.0)
    now[:30], now[30:50] = -5, 1e9
    found = one(base, now)
    assert found.reasons == ("out_of_range",)
    assert found.out_of_range == pytest.approx(0.05)
    assert one(base, np.arange(3.0, 990.0)).out_of_range == 0
    assert one(base, now, out_of_range=0.1).reasons == ()


def test_the_first_infinities_are_out_of_range() -> None:
    now = np.concatenate([np.arange(900.0), np.full(100, np.inf)])
    assert one(np.arange(1_000.0), now).out_of_range == pytest.approx(0.1)
    assert one(now, now).out_of_range == 0


def test_one_row_beyond_the_extremes_is_noise() -> None:
    assert one(np.arange(50.0), np.concatenate([np.arange(49.0), [60.0]]), out_of_range=0).reasons == ()


def test_unseen_categories_are_reported_and_named() -> None:
    base = ["a"] * 600 + ["b"] * 400
    found = one(base, ["a"] * 570 + ["b"] * 400 + ["new"] * 20 + ["other"] * 10)
    assert found.reasons == ("unseen",)
    assert (found.unseen, found.unseen_values) == (0.03, ("new", "other"))
    assert one(base, ["a"] * 600 + ["b"] * 399 + ["typo"]).reasons == ()


def test_a_column_that_changed_its_kind_comes_first() -> None:
    base = profile_of({"x": normal(1), "y": ["1", "2"] * 500})
    found = drift(base, profile_of({"x": normal(2, mean=3, rows=1_000), "y": [1.0, 2.0] * 500}))
    assert [(column.name, column.reasons) for column in found.columns] == [
        ("y", ("kind",)),
        ("x", ("psi", "out_of_range")),
    ]


# All columns together


def several(seed: int, **means: float) -> Profile:
    columns = {name: normal(seed + place, mean=mean) for place, (name, mean) in enumerate(means.items())}
    return profile_of(columns, {"score": normal(seed + 50)}, source=f"draw {seed}")


def test_what_moved_most_comes_first_and_scores_are_judged_alike() -> None:
    base = several(100, a=0, b=0, c=0)
    now = profile_of({"a": normal(1), "b": normal(2, mean=2), "c": normal(3, mean=1)}, {"score": normal(4, mean=0.7)})
    found = drift(base, now)
    assert [column.name for column in found.columns] == ["b", "c", "score", "a"]
    assert [bool(column.reasons) for column in found.columns] == [True, True, True, False]
    assert [column.role for column in found.columns][2] == "score"
    assert not found.passed


def test_the_verdict_says_what_it_compared() -> None:
    base = decode_sealed(encode_sealed(several(1, a=0)), Profile, where="")
    found = drift(base, several(9, a=0), name="the champion's training")
    assert (found.base, found.base_digest) == ("the champion's training", base.digest)
    assert drift(base, base).base == "draw 1"
    assert (found.base_rows, found.now_rows, found.false_alarm_rate) == (ROWS, ROWS, 0.01)


def test_columns_that_only_one_has_are_named_and_no_drift() -> None:
    found = drift(several(1, a=0, gone=0), several(9, a=0, new=0))
    assert (found.missing, found.added, found.passed) == (("gone",), ("new",), True)


def test_a_feature_and_a_score_of_one_name_are_two_columns() -> None:
    now = profile_of({"x": normal(1)}, {"x": normal(2, mean=2)})
    found = drift(profile_of({"x": normal(3)}, {"x": normal(4)}), now)
    assert [(column.role, bool(column.reasons)) for column in found.columns] == [("score", True), ("feature", False)]


def test_profiles_without_a_common_column_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="no column in common") as refused:
        drift(several(1, a=0), profile_of({"b": [1.0]}))
    assert refused.value.hint == "now has b, the base a, score"


def test_limits_of_single_columns_and_columns_to_be_ignored() -> None:
    base, now = several(1, a=0, b=0, c=0), several(9, a=1, b=1, c=1)
    own = Thresholds(columns={"a": Limits(psi=5), "b": Limits(ignore=True)})
    found = drift(base, now, thresholds=own)
    assert {column.name: column.reasons for column in found.columns} == {"c": ("psi",), "a": (), "score": ()}
    assert {column.name: column.limits["psi"] for column in found.columns} == {"c": 0.2, "a": 5, "score": 0.2}


def test_more_columns_make_more_noise() -> None:
    few, many = ({f"x{place}": normal(place) for place in range(count)} for count in (1, 40))
    noises = [drift(profile_of(columns), profile_of(columns)).columns[0].noise for columns in (few, many)]
    assert noises[1] > 1.3 * noises[0]


VALUES = st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan])
COLUMNS = st.fixed_dictionaries(
    {
        "number": st.lists(VALUES | st.floats(width=32), min_size=30, max_size=30).map(np.asarray),
        "text": st.lists(st.sampled_from(["a", "b", "ä", "", "'"]) | st.none(), min_size=30, max_size=30),
    }
)


@given(columns=COLUMNS)
@settings(max_examples=40)
def test_nothing_has_drifted_from_itself(columns: dict[str, Values]) -> None:
    found = drift(profile_of(columns), profile_of(columns), thresholds=ANY)
    assert found.passed
    assert all(column.psi == column.js == column.p_value - 1 == 0 for column in found.columns)


@given(base=COLUMNS, now=COLUMNS)
@settings(max_examples=40)
def test_whatever_stands_in_columns_their_figures_are_figures(base: dict[str, Values], now: dict[str, Values]) -> None:
    found = drift(profile_of(base), profile_of(now), thresholds=ANY)
    for column in found.columns:
        shares = (column.js, column.ks or 0.0, column.p_value, column.out_of_range, column.unseen)
        assert all(0 <= share <= 1 + 1e-9 for share in shares)
        assert 0 <= column.psi < 20
        assert math.isfinite(column.noise)
        assert column.reasons == () or column.p_value <= found.false_alarm_rate


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_hardly_any_rows_pass(rows: int) -> None:
    empty = profile_of({"x": normal(1)[:rows], "c": (["a", "b"] * 5)[:rows]})
    full = profile_of({"x": normal(2), "c": ["a", "b"] * (ROWS // 2)})
    for found in (drift(full, empty), drift(empty, full), drift(empty, empty)):
        assert found.passed


def test_a_verdict_is_kept_as_it_is() -> None:
    class Kept(Value, frozen=True):
        drift: Drift

    found = drift(several(1, a=0), several(9, a=4))
    assert msgspec.json.decode(encode_canonical(Kept(found)), type=Kept).drift == found


def test_the_noise_leaves_as_many_alarms_as_it_is_asked_for() -> None:
    """Where the tests are exact, and with limits at 0: a rate that is kept by never saying anything would be no use."""
    random, told = np.random.default_rng(11), Thresholds(false_alarm_rate=0.2, usual=Limits(psi=0, out_of_range=0))
    pairs = [(random.normal(size=300), random.normal(size=300)) for _ in range(400)]
    alarms = sum(
        not drift(profile_of({"x": base}), profile_of({"x": now}), thresholds=told).passed for base, now in pairs
    )
    assert 0.07 < alarms / len(pairs) <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / len(pairs))
