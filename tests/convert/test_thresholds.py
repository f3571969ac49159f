"""The law of rounding: float32 rows go where the doubles sent them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.optimize.convert.thresholds import rounded

doubles = st.floats(allow_nan=False, allow_infinity=False, width=64)
singles = st.floats(allow_nan=False, width=32)


@given(threshold=doubles, value=singles)
def test_a_float32_value_goes_the_same_way_past_a_threshold_rounded_down(threshold: float, value: float) -> None:
    (down,) = rounded(np.array([threshold]), "down")
    assert (value <= down) == (value <= threshold)


@given(threshold=doubles, offset=st.integers(-2, 2))
def test_that_holds_for_the_neighbours_of_the_threshold(threshold: float, offset: int) -> None:
    with np.errstate(over="ignore"):  # beyond the largest number comes infinity
        value = np.float32(threshold)
        for _ in range(abs(offset)):
            value = np.nextafter(value, np.float32(np.sign(offset) * np.inf))
    (down,) = rounded(np.array([threshold]), "down")
    assert (float(value) <= down) == (float(value) <= threshold)


def test_rounding_to_nearest_does_not() -> None:
    threshold = 1 + 1.9 * 2.0**-24  # nearer to the float32 above it
    above = float(np.nextafter(np.float32(1), np.float32(2)))
    (nearest,) = rounded(np.array([threshold]), "nearest")
    assert not above <= threshold
    assert above <= nearest
