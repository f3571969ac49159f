"""The pass in machine code takes what numpy's passes take."""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding  # noqa: F401  what a run with trees has loaded
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlserve_cli.profiles import one_pass
from mlserve_cli.profiles.numbers import NumberProfiler, _taken

ODD = st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e-45, -3.4e38, 3.4e38, 5.0])
VALUES = st.lists(st.one_of(ODD, st.floats(width=32)), min_size=1, max_size=12)


@given(values=VALUES, shift=st.floats(-10, 10), kind=st.sampled_from(["f4", "f8"]))
def test_what_is_taken_is_what_numpy_takes(values: list[float], shift: float, kind: str) -> None:
    block = np.array(values * one_pass.LANES, kind)
    assert one_pass.takes(block)
    found, expected = one_pass.take(block, shift=shift), _taken(block, shift=shift)
    assert found.finite == expected.finite == np.count_nonzero(np.isfinite(block))
    if found.finite:
        assert (found.low, found.high) == (expected.low, expected.high)
        assert found.total == pytest.approx(expected.total, rel=1e-12, abs=1e-12 * sum_of_sizes(block, shift))
        assert found.squares == pytest.approx(expected.squares, rel=1e-12)


@pytest.mark.parametrize(
    "values", [np.arange(16, dtype=np.int64), np.arange(15.0), np.arange(32.0)[::2], np.zeros(8, np.float16)]
)
def test_what_it_cannot_take_goes_the_other_way(values: NDArray[Any]) -> None:
    assert not one_pass.takes(values)


def test_a_column_of_any_length_is_taken_in_whole() -> None:
    values = np.random.default_rng(1).normal(3, 2, 200_003).astype(np.float32)
    values[::100] = np.nan
    profiler = NumberProfiler()
    profiler.add(values)
    found, fine = profiler.result(), values[np.isfinite(values)].astype(np.float64)
    assert (found.rows, found.nans, found.infinities) == (200_003, 2_001, 0)
    assert (found.minimum, found.maximum) == (fine.min(), fine.max())
    assert found.mean == pytest.approx(fine.mean(), rel=1e-12)
    assert found.sum_of_squares / len(fine) == pytest.approx(fine.var(), rel=1e-12)


def sum_of_sizes(block: NDArray[Any], shift: float) -> float:
    fine = block[np.isfinite(block)].astype(np.float64)
    return float(np.abs(fine - shift).sum())
