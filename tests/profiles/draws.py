"""Profiles of columns that stand in memory: what the comparison of two is tried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.profiles import Categories, Column, Numbers, Profile, Profiler

Values = NDArray[np.float64] | Sequence[float] | Sequence[str | None]  # or an Arrow array of texts


def profile_of(
    features: Mapping[str, Values], scores: Mapping[str, Values] | None = None, *, source: str = "here"
) -> Profile:
    """The profile of these columns: texts are categories, in which None is a null; NaN in numbers is missing."""
    profiler = Profiler()
    rows = len(next(iter({**features, **(scores or {})}.values())))
    profiler.add(_columns(features), _columns(scores or {}), rows=rows)
    return profiler.result(source=source, model="")


def _columns(columns: Mapping[str, Values]) -> dict[str, Column]:
    return {name: _column(values) for name, values in columns.items()}


def _column(values: Values) -> Column:
    if isinstance(values, pa.Array):
        return Categories(values)
    if isinstance(values, np.ndarray):
        return Numbers(values)
    if any(isinstance(one, str) for one in values[:50]) or any(one is None for one in values):
        return Categories(pa.array(list(values), pa.string()))
    return Numbers(np.asarray(values))
