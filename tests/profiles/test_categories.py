"""Profiles of categories: every value while there are few; of many, the frequent ones within a bound that is said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlserve_cli.profiles import KEPT_VALUES, Categories, ColumnProfile, Profiler, merge_columns

CATEGORIES = st.lists(st.sampled_from(["a", "b", "", "ä", "🛫", "null"]) | st.none(), max_size=40)


def of(values: pa.Array | NDArray[np.integer[Any]]) -> ColumnProfile:
    profiler = Profiler()
    profiler.add({"x": Categories(values)}, {}, rows=len(values))
    return profiler.result(source="", model="").features["x"]


@settings(max_examples=60, deadline=None)
@given(st.lists(CATEGORIES, min_size=1, max_size=4))
def test_few_values_are_counted_exactly_however_they_are_cut(parts: list[list[str | None]]) -> None:
    merged = merge_columns([of(pa.array(part, pa.string())) for part in parts])
    every = [value for part in parts for value in part]
    counts = Counter(value for value in every if value is not None)
    assert merged.frequent == counts
    assert list(merged.frequent.values()) == sorted(counts.values(), reverse=True)
    assert (merged.rows, merged.nulls, merged.other) == (len(every), every.count(None), 0)
    assert (merged.distinct, merged.distinct_sketch) == (len(counts), b"")


@pytest.mark.parametrize("parts", [1, 30])
def test_counts_of_many_values_are_too_low_by_less_than_the_bound(parts: int) -> None:
    drawn = np.random.default_rng(1).zipf(1.2, 200_000)
    drawn = drawn[drawn < 1_000_000]
    counts = Counter(drawn.tolist())
    merged = merge_columns([of(pa.array(part.astype(str), pa.string())) for part in np.array_split(drawn, parts)])
    bound = len(drawn) / KEPT_VALUES
    assert len(merged.frequent) <= KEPT_VALUES
    for value, count in counts.items():
        assert count - bound <= merged.frequent.get(str(value), 0) <= count
    assert merged.other == len(drawn) - sum(merged.frequent.values())
    assert merged.distinct == pytest.approx(len(counts), rel=0.05)  # three standard errors of HyperLogLog


def test_a_value_that_is_frequent_in_no_part_but_in_all_is_not_lost() -> None:
    """What a plain list of the top values gets wrong: each part has its own favourites, and one that they share."""
    parts = [
        [f"{part}-{place}" for place in range(KEPT_VALUES) for _ in range(3)] + ["shared"] * 2 for part in range(20)
    ]
    heavy = merge_columns([of(pa.array(part + ["shared"] * 400, pa.string())) for part in parts])
    rows = heavy.rows
    assert heavy.frequent["shared"] >= 20 * 402 - rows / KEPT_VALUES


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1, 2, 1], pa.int64()), {"1": 2, "2": 1}),
        (np.array([-3, 7, -3], np.int8), {"-3": 2, "7": 1}),
        (np.array([0, 2**40, 0, 2**63 - 1]), {"0": 2, str(2**40): 1, str(2**63 - 1): 1}),
        (np.array([-128, 127], np.int8), {"-128": 1, "127": 1}),
        (np.array([], np.int64), {}),
        (pa.array([True, False, True, None], pa.bool_()), {"true": 2, "false": 1}),
        (pa.array(["x", "y", "x"]).dictionary_encode(), {"x": 2, "y": 1}),
        (pa.chunked_array([["x"], ["x", None]]), {"x": 2}),
        (pa.nulls(3), {}),
    ],
)
def test_what_has_a_text_is_a_category(values: pa.Array | NDArray[np.integer[Any]], texts: dict[str, int]) -> None:
    found = of(values)
    assert found.frequent == texts
    assert found.nulls == (0 if isinstance(values, np.ndarray) else values.null_count)
    assert found.rows == len(values)
