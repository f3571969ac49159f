"""The distance of two columns: of values for what is a score, all or nothing for everything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.scoring.distance import distances

INF, NAN = float("inf"), float("nan")
F32, VECTOR = pa.float32(), pa.list_(pa.float32(), 2)

CASES: dict[str, tuple[Sequence[object], Sequence[object], pa.DataType, Sequence[float]]] = {
    "floats": ([1.0, 2.0], [1.0, 2.5], F32, [0, 0.5]),
    "NaN is NaN": ([NAN, 1.0], [NAN, 2.0], F32, [0, 1]),
    "NaN is no number": ([NAN, 1.0], [1.0, NAN], F32, [INF, INF]),
    "infinities": ([INF, -INF, INF], [INF, -INF, -INF], F32, [0, 0, INF]),
    "an infinity is far from all": ([INF], [3e38], F32, [INF]),
    "vectors by their farthest value": ([[1, 2], [3, 4]], [[1, 2.5], [4, 4.5]], VECTOR, [0.5, 1]),
    "floats of a CSV": (["1.0", "2"], ["1", "2.5"], pa.string(), [0, 0.5]),
    "vectors of a CSV": (["[1,2]", "[3,4]"], ["[1,2]", "[3,4.5]"], pa.string(), [0, 0.5]),
    "vectors of other widths": (["[1,2]", "[3]"], ["[1]", "[3,4]"], pa.string(), [INF, INF]),
    "lists of names": ([["a"]], [["b"]], pa.list_(pa.string()), [INF]),
    "text": (["a", "b", None, None], ["a", "c", None, "d"], pa.string(), [0, INF, 0, INF]),
    "the same text": (["a", None], ["a", None], pa.string(), [0, 0]),
    "whole numbers are names": ([1, 2], [1, 3], pa.int64(), [0, INF]),
    "bools": ([True], [False], pa.bool_(), [INF]),
    "a null is like NaN, missing": ([None, 1.0], [NAN, 1.5], pa.float64(), [0, 0.5]),
    "lists of several lengths": ([[1.0], [1.0, 2.0]], [[1.0], [1.0, 3.0]], pa.list_(pa.float64()), [0, 1]),
    "empty lists": ([[], [1.0]], [[], [2.0]], pa.list_(pa.float64()), [INF, INF]),
    "text that is half a number": (["1", "x"], ["2", "x"], pa.string(), [INF, 0]),
    "nothing": ([], [], F32, []),
}


@pytest.mark.parametrize("case", CASES)
def test_each_row_has_the_distance_of_its_values(case: str) -> None:
    one, other, kind, expected = CASES[case]
    left, right = (pa.chunked_array([pa.array(values, kind)]) for values in (one, other))
    assert np.array_equal(distances(left, right), np.array(expected, np.float64))
    assert np.array_equal(distances(right, left), np.array(expected, np.float64))


@given(values=st.lists(st.floats(width=32)), cut=st.integers(0, 9))
def test_chunks_and_slices_do_not_show(values: list[float], cut: int) -> None:
    whole = pa.array([0.0, *values, 1.0], F32).slice(1, len(values))
    pieces = pa.chunked_array([whole.slice(0, cut), whole.slice(cut)])
    assert not distances(pieces, pa.chunked_array([pa.array(values, F32)])).any()
    assert not distances(pieces, pa.chunked_array([pa.array(values, pa.float64())])).any()
