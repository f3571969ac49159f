"""Numbers into a tensor's number type, with what cannot be said in it marked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.features._buffers import Mask
from mlserve_cli.features._text import Parsed

_LARGEST = 2**53


def to_float(values: NDArray[Any], dtype: np.dtype[Any], *, coerce: bool, nulls: Mask | None) -> Parsed:
    """Rounded to nearest. A finite value that becomes infinite is wrong; infinity itself is a value."""
    if values.dtype == dtype:
        return Parsed(values)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = values.astype(dtype)
    if values.dtype.kind in "iu":
        return _check_identifiers(values, rounded, coerce=coerce, nulls=nulls)
    if values.dtype.itemsize <= dtype.itemsize or _all_finite(rounded):
        return Parsed(rounded)
    overflows = np.isinf(rounded) & np.isfinite(values)
    if nulls is not None:  # what stands at a null is anything
        overflows &= ~nulls
    return Parsed(rounded, [(f"overflows {dtype}", overflows)] if overflows.any() else [])


def to_int(values: NDArray[Any], dtype: np.dtype[Any], *, nulls: Mask | None) -> Parsed:
    """Only what is whole and in range. No NaN comes here: it is a null by then."""
    if values.dtype == dtype:
        return Parsed(values)
    if values.dtype.kind == "b" or np.can_cast(values.dtype, dtype, "safe"):
        return Parsed(values.astype(dtype))
    wrong: list[tuple[str, Mask]] = []
    present = np.ones(len(values), np.bool_) if nulls is None else ~nulls
    if values.dtype.kind == "f":
        broken = present & ((np.floor(values) != values) | np.isinf(values))
        wrong = [("not an integer", broken)] if broken.any() else []
        present = present & ~broken
    outside = present & ~_in_range(values, dtype)
    wrong += [(f"out of range for {dtype}", outside)] if outside.any() else []
    return Parsed(np.where(present & ~outside, values, 0).astype(dtype), wrong)


def to_bool(values: NDArray[Any], *, nulls: Mask | None) -> Parsed:
    """0 and 1 alone."""
    if values.dtype == np.bool_:
        return Parsed(values)
    wrong = (values != 0) & (values != 1)
    if nulls is not None:
        wrong &= ~nulls
    return Parsed(values == 1, [("not a boolean", wrong)] if wrong.any() else [])


def _check_identifiers(values: NDArray[Any], rounded: NDArray[Any], *, coerce: bool, nulls: Mask | None) -> Parsed:
    """Whole numbers beyond 2^53 are identifiers, not measurements; and a float16 ends at 65504."""
    large = _beyond(values, _LARGEST) if values.dtype.itemsize == 8 else None
    overflows = np.isinf(rounded) if rounded.dtype == np.float16 else None
    wrong = []
    changed = None
    for reason, mask in ((f"overflows {rounded.dtype}", overflows), ("beyond ±2^53", large)):
        if mask is None:
            continue
        mask = mask if nulls is None else mask & ~nulls
        if mask.any() and coerce and mask is not overflows and reason.startswith("beyond"):
            changed = mask
        elif mask.any():
            wrong.append((reason, mask))
    return Parsed(rounded, wrong, changed)


def _beyond(values: NDArray[Any], limit: int) -> Mask | None:
    """None where nothing is, which minimum and maximum tell without a mask."""
    if len(values) == 0 or (values.max() <= limit and (values.dtype.kind == "u" or values.min() >= -limit)):
        return None
    return (values > limit) | ((values < -limit) if values.dtype.kind == "i" else False)


def _in_range(values: NDArray[Any], dtype: np.dtype[Any]) -> Mask:
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f":  # 2^63 is a float64, 2^63 - 1 is not
        return (values >= float(limits.min)) & (values < float(int(limits.max) + 1))
    source = np.iinfo(values.dtype)
    low, high = max(int(limits.min), int(source.min)), min(int(limits.max), int(source.max))
    return (values >= low) & (values <= high)


def _all_finite(values: NDArray[Any]) -> bool:
    """A sum is finite only where every term is; much cheaper than a mask, and a false alarm only costs the mask."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))
