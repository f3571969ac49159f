"""A chunk's columns into checked arrays of the tensors' types, column by column, with every fault named."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Faults, Input, text_array
from mlserve_cli.contract import compute as pc
from mlserve_cli.features._buffers import ARROW_TYPES, Mask, as_arrow, null_mask, one_array, rows_where, values_of
from mlserve_cli.features._lists import fixed_width, flattened, has_wrong_length, is_list
from mlserve_cli.features._numbers import to_bool, to_float, to_int
from mlserve_cli.features._strings import objects_of, printed
from mlserve_cli.features._text import Parsed, parse_bools, parse_floats, parse_ints
from mlserve_cli.features._types import check_type, fit_of, kind_of

NULL = "null"
_NO_FAULTS = Faults.none()


class Features(msgspec.Struct, frozen=True):
    """A chunk, converted: each input with its columns in order, of shape [rows], or one of [rows, width] for a list.

    `bad` (bool, [rows]) marks the rows of `faults`; what stands there in the columns is a placeholder.
    `coerced` counts the values per file column that only --schema-mode coerce takes.
    """

    rows: int
    inputs: tuple[tuple[Input, tuple[NDArray[Any], ...]], ...]
    faults: Faults
    bad: Mask
    coerced: dict[str, int] = {}


class Column(msgspec.Struct, frozen=True):
    """The file's column `source`, converted: values of shape [rows] or [rows, width], and its own faults."""

    source: str
    values: NDArray[Any]
    faults: Faults
    coerced: int = 0


def convert(
    table: pa.Table, contract: Contract, *, text: Collection[str] = (), faults: Faults | None = None, file: str = ""
) -> Features:
    """Every model column of the chunk `table`, typed and checked.

    `text` names the table's columns whose text has no type yet (CSV fields, Hive keys): parsing those is no coercion.
    `faults` are the chunk's own (rows with too few fields): they come first, and such rows get no others.
    """
    known = faults or Faults.none()
    inputs = [(part, _convert_input(table, part, contract, text=text, file=file)) for part in contract.inputs]
    columns = [column for _, several in inputs for column in several]
    every = Faults.together([known, _on_other_rows(Faults.together([one.faults for one in columns]), known)])
    bad = np.zeros(table.num_rows, np.bool_)
    bad[every.rows] = True
    return Features(
        rows=table.num_rows,
        inputs=tuple((part, tuple(column.values for column in several)) for part, several in inputs),
        faults=every,
        bad=bad,
        coerced={column.source: column.coerced for column in columns if column.coerced},
    )


def _convert_input(
    table: pa.Table, part: Input, contract: Contract, *, text: Collection[str], file: str
) -> list[Column]:
    sources = [contract.file_column(column) for column in part.columns]
    return [
        _convert_column(one_array(table[source]), column, part, contract, is_text=source in text, file=file)
        for column, source in zip(part.columns, sources, strict=True)
    ]


def _convert_column(
    array: pa.Array, column: str, part: Input, contract: Contract, *, is_text: bool, file: str
) -> Column:
    source = contract.file_column(column)
    if (values := _ready(array, part)) is not None:
        return Column(source, values, _NO_FAULTS)
    check_type(part, _type_name(array.type, is_text), schema_mode=contract.schema_mode, column=source, file=file)
    if part.is_list and is_list(array.type):
        return _convert_lists(array, column, part, contract)
    dtype = part.tensor.dtype
    array = _plain(array, dtype)
    parsed = _parse(array, dtype, coerce=contract.schema_mode == "coerce")
    parsed, missing = _fill_missing(parsed, null_mask(array), column, contract)
    faults = [
        Faults.at(rows_where(mask), column=source, reason=reason, values=_seen(array, mask))
        for reason, mask in [*([(NULL, missing)] if missing is not None else []), *parsed.wrong]
    ]
    other_kind = fit_of(kind_of(_type_name(array.type, is_text)), dtype) == "coerced"
    changed = _count_coerced(array, parsed, whole_column=other_kind)
    return Column(source, parsed.values, Faults.together(faults), changed)


def _ready(array: pa.Array, part: Input) -> NDArray[Any] | None:
    """The column's own buffer where it has the tensor's type already and nothing is missing: most columns, most days.

    What follows costs 40 µs a column, as much as the look for NaN in 100,000 values.
    """
    dtype = part.tensor.dtype
    if ARROW_TYPES.get(dtype) != array.type or array.null_count or part.is_list:
        return None
    values = values_of(array)
    if values.dtype.kind == "f" and np.isnan(values.min(initial=0)):  # a third faster than looking for one
        return None
    return values


def _parse(array: pa.Array, dtype: str, *, coerce: bool) -> Parsed:
    """The column's values in the tensor's type, whatever type they have."""
    kind, nulls = kind_of(str(array.type)), null_mask(array)
    if dtype == "string":
        return Parsed(objects_of(printed(array)))
    target = np.dtype(dtype)
    if kind == "null":
        return Parsed(np.zeros(len(array), target))
    if kind == "string":
        if dtype == "bool":
            return parse_bools(array, coerce=coerce)
        if target.kind in "iu":
            return parse_ints(array, target, coerce=coerce)
        parsed = parse_floats(array, target, coerce=coerce)
        rounded = to_float(parsed.values, target, coerce=coerce, nulls=nulls)
        return Parsed(rounded.values, [*parsed.wrong, *rounded.wrong], parsed.changed)
    if kind == "decimal" and target.kind in "iu":  # by way of text: a float would round what is beyond 2^53
        return parse_ints(pc.cast(array, pa.string()), target, coerce=True)
    values = values_of(pc.cast(array, pa.float64()) if kind == "decimal" else array)
    if dtype == "bool":
        return to_bool(values, nulls=nulls)
    if target.kind in "iu":
        return to_int(values, target, nulls=nulls)
    return to_float(values, target, coerce=coerce, nulls=nulls)


def _fill_missing(parsed: Parsed, nulls: Mask | None, column: str, contract: Contract) -> tuple[Parsed, Mask | None]:
    """Null and NaN are one thing, missing: filled where the contract says with what, NaN where it allows, else wrong.

    Returns the rows where that is a fault; None where it is none.
    """
    values, fill = parsed.values, contract.fill.get(column)
    is_float = values.dtype.kind == "f"
    if is_float and fill is None and contract.nulls == "nan":  # then a NaN is as good as any
        return (parsed if nulls is None else _replaced(parsed, nulls, np.nan)), None
    missing = nulls
    if is_float and np.isnan(values.min(initial=0)):
        nan = np.isnan(values)
        for _, mask in parsed.wrong:
            nan &= ~mask
        missing = nan if nulls is None else nan | nulls
    if missing is None or not missing.any():
        return parsed, None
    if fill is not None:
        return _replaced(parsed, missing, fill), None
    return parsed, missing


def _convert_lists(array: pa.Array, column: str, part: Input, contract: Contract) -> Column:
    """A list per row into [rows, width]; lists in lists are one row of their values in order.

    A fault inside a list is its row's.
    """
    source = contract.file_column(column)
    width = part.tensor.width or fixed_width(array.type)
    wrong_length = has_wrong_length(array, width)
    nulls = null_mask(array)
    present = ~wrong_length if nulls is None else ~wrong_length & ~nulls
    values = flattened(array if present.all() else array.filter(as_arrow(present)))
    scalar = Input(part.tensor, (column, column))  # the same type, one value each
    inner = _convert_column(values, column, scalar, contract, is_text=False, file="")
    rows = inner.values.reshape(-1, width)
    if not present.all():
        rows = np.zeros((len(array), width), inner.values.dtype)
        rows[present] = inner.values.reshape(-1, width)
    faults = [
        Faults.at(rows_where(mask), column=source, reason=reason)
        for reason, mask in ((NULL, nulls), (f"not {width} values", wrong_length))
        if mask is not None and mask.any()
    ]
    owners = rows_where(present)[inner.faults.row_of_each // width] if len(inner.faults) else None
    if owners is not None:
        faults.append(Faults(inner.faults.table.set_column(0, "row", as_arrow(owners))))
    return Column(source, rows, Faults.together(faults), inner.coerced)


def _plain(array: pa.Array, dtype: str) -> pa.Array:
    """Dictionaries decoded, string views as strings, and NaN as the null that it is where no float is wanted."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        return pc.cast(array, pa.string())
    if pa.types.is_floating(array.type) and not dtype.startswith("float"):
        return pc.if_else(pc.is_nan(array), pa.nulls(1, array.type)[0], array)
    return array


def _type_name(kind: pa.DataType, is_text: bool) -> str:
    return "text" if is_text and kind_of(str(kind)) == "string" else str(kind)


def _replaced(parsed: Parsed, where: Mask, value: Any) -> Parsed:
    values = parsed.values
    typed = value if values.dtype == object else values.dtype.type(value)
    return Parsed(np.where(where, typed, values), parsed.wrong, parsed.changed)


def _count_coerced(array: pa.Array, parsed: Parsed, *, whole_column: bool) -> int:
    """How many values only coerce takes: all good ones of a column of another kind, else the few that were odd."""
    if not whole_column:
        return 0 if parsed.changed is None else int(np.count_nonzero(parsed.changed))
    wrong = sum(int(np.count_nonzero(mask)) for _, mask in parsed.wrong)
    return len(array) - int(array.null_count) - wrong


def _seen(array: pa.Array, mask: Mask) -> pa.Array:
    """What stands at the marked rows, as text cut to a line; empty for null."""
    taken = array.filter(as_arrow(mask))
    texts = pc.utf8_slice_codeunits(printed(taken).cast(pa.string()), 0, 80)
    return pc.fill_null(texts, text_array([""])[0])


def _on_other_rows(faults: Faults, known: Faults) -> Faults:
    if not len(known) or not len(faults):
        return faults
    fresh = ~np.isin(faults.row_of_each, known.rows)
    return Faults(faults.table.filter(as_arrow(fresh)))
