"""Text into numbers, by one strict grammar: optional sign, digits, point, exponent; nan, inf, infinity in any case.

Arrow's cast to float64 accepts that grammar and, of all else that was tried, only `nan(...)`; so a cast that succeeds
with finite values proves a column, at the cost of the cast. Only a column with something odd in it meets a regular
expression. Its cast to int64 also takes `0x10`, which is not ours.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc
from mlserve_cli.contract import text_array
from mlserve_cli.features._buffers import Mask, as_arrow, null_mask, values_of

_NUMBER = r"\A[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\z"
_SPECIAL = r"(?i)\A[+-]?(nan|inf|infinity)\z"
_WHOLE = r"\A[+-]?[0-9]+\z"
_LARGEST = 2**53  # up to here every whole number is a float64


class Parsed(msgspec.Struct, frozen=True):
    """Values of shape [n]; what stands where a row is in `wrong` or was null is a placeholder (NaN or 0).

    `wrong` are (reason, mask) in the order of importance; `changed` marks the values that only coerce takes.
    """

    values: NDArray[Any]
    wrong: list[tuple[str, Mask]] = []
    changed: Mask | None = None


def parse_floats(strings: pa.Array, dtype: np.dtype[Any], *, coerce: bool) -> Parsed:
    """Strings as float64, on their way to `dtype`; null becomes NaN."""
    nulls = null_mask(strings)
    try:
        parsed = Parsed(_filled(pc.cast(strings, pa.float64()), nulls))
    except pa.ArrowInvalid:
        parsed = _parse_odd_floats(strings, coerce=coerce)
    values = parsed.values
    if len(values) == 0 or (values.max() < _LARGEST and values.min() > -_LARGEST):  # false where any is NaN
        return parsed
    trimmed = pc.utf8_trim_whitespace(strings) if coerce else strings
    return _check_extremes(trimmed, parsed, nulls, dtype=dtype, coerce=coerce)


def parse_ints(strings: pa.Array, dtype: np.dtype[Any], *, coerce: bool) -> Parsed:
    """Strings as whole numbers of `dtype`; null becomes 0."""
    target = pa.from_numpy_dtype(dtype)
    if not _has_hexadecimal(strings):
        try:
            return Parsed(_filled(pc.cast(strings, target), null_mask(strings)))
        except pa.ArrowInvalid:  # something odd, or out of range
            pass
    return _parse_odd_ints(strings, target, coerce=coerce)


def parse_bools(strings: pa.Array, *, coerce: bool) -> Parsed:
    """Strings as bools: true, false in any case, 0, 1; null becomes False."""
    lower = pc.ascii_lower(pc.utf8_trim_whitespace(strings) if coerce else strings)
    true = pc.is_in(lower, text_array(["true", "1"]).cast(strings.type))
    false = pc.is_in(lower, text_array(["false", "0"]).cast(strings.type))
    wrong = ~(values_of(true) | values_of(false))
    nulls = null_mask(strings)
    if nulls is not None:
        wrong &= ~nulls
    return Parsed(values_of(true), [("not a boolean", wrong)] if wrong.any() else [])


def _parse_odd_floats(strings: pa.Array, *, coerce: bool) -> Parsed:
    trimmed = pc.utf8_trim_whitespace(strings) if coerce else strings
    good = _matches(trimmed, _NUMBER) | _matches(trimmed, _SPECIAL)
    numbers = pc.cast(_only(trimmed, good), pa.float64())
    wrong = ~good & ~_nulls(strings)
    changed = good & _values(pc.not_equal(trimmed, strings)) if coerce else None
    return Parsed(_filled(numbers, null_mask(numbers)), [("not a number", wrong)] if wrong.any() else [], changed)


def _check_extremes(
    strings: pa.Array, parsed: Parsed, nulls: Mask | None, *, dtype: np.dtype[Any], coerce: bool
) -> Parsed:
    """What is not finite must be spelled so; whole numbers beyond 2^53 are identifiers, which a float would change."""
    values, wrong = parsed.values, list(parsed.wrong)
    present = np.ones(len(values), np.bool_) if nulls is None else ~nulls
    odd = ~np.isfinite(values) & present
    for _, mask in wrong:
        odd &= ~mask
    if odd.any():
        odd &= ~_matches(strings, _SPECIAL)
        nan, infinite = odd & np.isnan(values), odd & np.isinf(values)
        wrong += [
            (reason, mask) for reason, mask in (("not a number", nan), (f"overflows {dtype}", infinite)) if mask.any()
        ]
    large = (np.abs(values) >= _LARGEST) & np.isfinite(values)
    if large.any():
        large &= _matches(strings, _WHOLE) & ~_matches(strings, rf"\A[+-]?0*{_LARGEST}\z")
    if not large.any():
        return Parsed(values, wrong, parsed.changed)
    if coerce:
        return Parsed(values, wrong, large if parsed.changed is None else parsed.changed | large)
    return Parsed(values, [*wrong, ("beyond ±2^53", large)], parsed.changed)


def _parse_odd_ints(strings: pa.Array, target: pa.DataType, *, coerce: bool) -> Parsed:
    trimmed = pc.utf8_trim_whitespace(strings) if coerce else strings
    whole = _matches(trimmed, _WHOLE)
    digits = pc.replace_substring_regex(trimmed, r"\A[+-]?0*", "")
    negative = _values(pc.starts_with(trimmed, "-"))
    fits = whole & _fits_digits(digits, negative, np.iinfo(target.to_pandas_dtype()))
    minus, zero, nothing = text_array(["-", "0", ""]).cast(strings.type)
    canonical = pc.binary_join_element_wise(
        pc.if_else(as_arrow(negative), minus, nothing),
        pc.if_else(pc.equal(digits, nothing), zero, digits),
        nothing,
    )
    if pa.types.is_unsigned_integer(target):
        minus, zero, nothing = text_array(["-", "0", ""]).cast(strings.type)
    canonical = pc.replace_substring_regex(canonical, r"\A-0\z", "0")
    numbers = pc.cast(_only(canonical, fits), target)
    values = _filled(numbers, null_mask(numbers))
    wrong, changed = ~whole & ~_nulls(strings), None
    if coerce:
        changed = fits & _values(pc.not_equal(trimmed, strings))
        values, rescued = _rescue_whole_floats(trimmed, wrong, values)
        wrong, changed = wrong & ~rescued, changed | rescued
    reasons = [("not an integer", wrong), (f"out of range for {target}", whole & ~fits)]
    return Parsed(values, [(reason, mask) for reason, mask in reasons if mask.any()], changed)


def _fits_digits(digits: pa.Array, negative: Mask, limits: np.iinfo[Any]) -> Mask:
    """Compared as text of one length, so that no number is too long to compare."""
    padded = pc.utf8_lpad(digits, width=20, padding="0")
    short = values_of(pc.utf8_length(digits)) <= 20
    highest, lowest = text_array([str(int(end)).zfill(20) for end in (limits.max, -int(limits.min))]).cast(digits.type)
    below, above = (_values(pc.less_equal(padded, limit)) for limit in (highest, lowest))
    return short & np.where(negative, above, below)


def _rescue_whole_floats(trimmed: pa.Array, wrong: Mask, values: NDArray[Any]) -> tuple[NDArray[Any], Mask]:
    """`3.0` and `1e3` are whole numbers under coerce."""
    floats = _parse_odd_floats(_only(trimmed, wrong), coerce=False).values
    limits = np.iinfo(values.dtype)
    with np.errstate(invalid="ignore"):
        rescued = wrong & (np.floor(floats) == floats) & (np.abs(floats) <= _LARGEST)
        rescued &= (floats >= limits.min) & (floats <= limits.max)
        return np.where(rescued, floats, values).astype(values.dtype) if rescued.any() else values, rescued


def _has_hexadecimal(strings: pa.Array) -> bool:
    data = strings.buffers()[2]
    return data is not None and any(letter in memoryview(data).tobytes() for letter in (b"x", b"X"))


def _matches(strings: pa.Array, pattern: str) -> Mask:
    return _values(pc.match_substring_regex(strings, pattern))


def _only(strings: pa.Array, kept: Mask) -> pa.Array:
    return pc.if_else(as_arrow(kept), strings, pa.nulls(1, strings.type)[0])


def _nulls(array: pa.Array) -> Mask:
    mask = null_mask(array)
    return np.zeros(len(array), np.bool_) if mask is None else mask


def _values(flags: pa.Array) -> Mask:
    """A bool array with null as False."""
    values: Mask = values_of(flags)
    nulls = null_mask(flags)
    return values if nulls is None else values & ~nulls


def _filled(numbers: pa.Array, nulls: Mask | None) -> NDArray[Any]:
    """Values with NaN, or 0 for ints, at the nulls."""
    values = values_of(numbers)
    if nulls is None:
        return values
    return np.where(nulls, values.dtype.type(np.nan if values.dtype.kind == "f" else 0), values)
