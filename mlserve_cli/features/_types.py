"""Which column type may feed which tensor type, decided on types alone, before any row is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from mlserve_cli.contract import Contract, Input
from mlserve_cli.errors import DuplicateColumn, MissingColumn, TypeMismatch

Fit = Literal["fine", "coerced", "never"]

_INTS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}
_FLOATS = {"halffloat", "float", "double"}
_STRINGS = {"string", "large_string", "string_view"}
_LIST = re.compile(r"(fixed_size_|large_)?list<[^:]*: (?P<item>.*?)( not null)?>(\[(?P<size>\d+)\])?")
_DICTIONARY = re.compile(r"dictionary<values=(?P<values>.+), indices=\w+, ordered=\d>")


def check_types(contract: Contract, columns: Sequence[tuple[str, str]], *, file: str) -> None:
    """Raise where a shard with `columns` (name, Arrow type as text, "text" for CSV) can never feed the model."""
    names = tuple(name for name, _ in columns)
    types, seen = dict(columns), Counter(names)
    for part in contract.inputs:
        for column in part.columns:
            source = contract.file_column(column)
            if source not in types:
                raise MissingColumn(file, source, names)
            if seen[source] > 1:
                raise DuplicateColumn(file, source)
            check_type(part, types[source], schema_mode=contract.schema_mode, column=source, file=file)


def check_type(part: Input, found: str, *, schema_mode: str, column: str, file: str) -> None:
    """Raise TypeMismatch where a column of type `found` can never feed the input `part`."""
    item, size = (item_of(found) if part.is_list else None) or (found, None)
    is_list = item != found
    fit = fit_of(kind_of(item), part.tensor.dtype)
    width = part.tensor.width
    wanted = part.tensor.dtype
    if part.is_list and width is not None:
        wanted = f"a list of {width} {wanted}"
    wrong_shape = (part.is_list and width is not None and not is_list) or (
        size is not None and width not in (None, size)
    )
    open_width = is_list and size is None and width is None
    if wrong_shape or open_width or fit == "never" or (fit == "coerced" and schema_mode == "strict"):
        raise TypeMismatch(file, column, found, wanted)


def kind_of(found: str) -> str:
    """The kind of an Arrow type: text, string, bool, decimal, float, null, an int type's own name, or other."""
    if dictionary := _DICTIONARY.fullmatch(found):
        return kind_of(dictionary["values"])
    if found in ("text", "bool", "null") or found in _INTS:
        return found
    if found in _STRINGS:
        return "string"
    if found in _FLOATS:
        return "float"
    return "decimal" if found.startswith("decimal") else "other"


def fit_of(kind: str, dtype: str) -> Fit:
    """Whether values of `kind` may feed a tensor of `dtype`: always, under coerce only, or never."""
    if kind in ("text", "null"):
        return "fine"
    if kind == "other":
        return "never"
    if dtype == "string":
        return "fine" if kind == "string" else "coerced"
    if dtype == "bool":
        return "fine" if kind == "bool" else "coerced" if kind in _INTS or kind == "string" else "never"
    if kind == "string":
        return "coerced"
    if dtype.startswith("float") or kind == "bool":
        return "fine"
    return "fine" if kind in _INTS and _contains(dtype, kind) else "coerced"


def item_of(found: str) -> tuple[str, int | None] | None:
    """The innermost item type of a list type and its values per row (None where open); None for what is no list."""
    size: int | None = 1
    matched = _LIST.fullmatch(found)
    if matched is None:
        return None
    while matched is not None:
        found = matched["item"]
        size = size * int(matched["size"]) if size is not None and matched["size"] else None
        matched = _LIST.fullmatch(found)
    return found, size


def _contains(outer: str, inner: str) -> bool:
    """Whether every value of one int type is one of the other."""
    (outer_sign, outer_bits), (inner_sign, inner_bits) = _INTS[outer], _INTS[inner]
    if outer_sign == inner_sign:
        return outer_bits >= inner_bits
    return inner_sign == "u" and outer_bits > inner_bits
