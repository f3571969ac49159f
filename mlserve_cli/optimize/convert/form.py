"""In which precision a model's trees compare, and how their thresholds are rounded: what moves the fewest rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import UsageError
from mlserve_cli.optimize.convert.source import Precision, Rounding, Source, Tensors, scoring
from mlserve_cli.optimize.rows import Rows


@dataclass(frozen=True, slots=True)
class Form:
    """What the ONNX model is to be like. `unfit` values of the rows are not the same in float32.

    `moved` counts the rows that take another leaf than in the library, in what is made and in a plain export.
    """

    precision: Precision
    rounding: Rounding
    unfit: int
    moved: Mapping[str, int] = field(default_factory=dict)


def choose_form(source: Source, rows: Rows, asked: Literal["auto", "float32", "float64"]) -> Form:
    """Doubles where the library compares doubles and the rows have some that float32 does not hold; or as asked.

    Float32 rows need no doubles, unless something is computed of them: thresholds rounded down send them as the library
    does. For doubles in a float32 model rounding down or to nearest is better, depending on the rows: the one that
    moves fewer of them.
    """
    unfit = _unfit(rows.tensors)
    if asked == "float64" and source.exact_in == "float32" and source.library != "sklearn":
        raise UsageError(f"{source.library} itself computes in float32", "--precision float64", "leave it out")
    wants_doubles = source.exact_in == "float64" and (unfit > 0 or source.computes)
    precision: Precision = ("float64" if wants_doubles else "float32") if asked == "auto" else asked
    if source.paths is None:
        return Form(precision, "exact", unfit)
    with scoring(source.library):
        down, nearest = _moved(source, rows.tensors)
    rounding: Rounding = "exact" if precision == "float64" else "down" if down <= nearest else "nearest"
    made = {"exact": 0, "down": down, "nearest": nearest}[rounding]
    return Form(precision, rounding, unfit, {"rows_in_other_leaf": made, "rows_in_other_leaf_if_rounded": nearest})


def _moved(source: Source, tensors: Tensors) -> tuple[int, int]:
    """How many rows take another leaf when they become float32 and thresholds are rounded down, and to nearest."""
    if source.paths is None:
        return 0, 0
    exact, single = source.paths("exact", tensors), _narrowed(tensors)
    apart = (source.paths(how, single) != exact for how in ("down", "nearest"))
    down, nearest = (int(np.count_nonzero(one.reshape(len(one), -1).any(axis=1))) for one in apart)
    return down, nearest


def _unfit(tensors: Tensors) -> int:
    """How many finite doubles are not the same in float32."""
    narrowed = _narrowed(tensors)
    doubles = [name for name, values in tensors.items() if values.dtype == np.float64]
    return sum(int(np.count_nonzero((narrowed[one] != tensors[one]) & np.isfinite(tensors[one]))) for one in doubles)


def _narrowed(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Doubles as float32 has them, as doubles again: what the library would see of float32 rows."""
    with np.errstate(over="ignore"):
        return {
            name: values.astype(np.float32).astype(np.float64) if values.dtype == np.float64 else values
            for name, values in tensors.items()
        }
