"""Laws of conversion, over anything."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlserve_cli.contract import Contract
from mlserve_cli.features import batch_tensors, convert
from tests.features.columns import contract_for, converted, good

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.one_of(
    finite.map(repr),
    st.integers().map(str),
    st.text("0123456789+-.eExX_ naifty", max_size=12),
    st.text(max_size=6),
)


@given(st.lists(finite.filter(lambda x: abs(x) < 3e38), min_size=1))
def test_a_double_printed_and_read_is_that_double_rounded(values: list[float]) -> None:
    features = converted([repr(value) for value in values], contract_for("float32"), text=True)
    assert good(features) == [float(np.float32(value)) for value in values]


@given(st.lists(st.floats(), min_size=1))
def test_a_float_column_keeps_what_is_in_range_and_names_the_rest(values: list[float]) -> None:
    features = converted(values, contract_for("float32"), type=pa.float64())
    with np.errstate(over="ignore"):
        rounded = [float(np.float32(value)) for value in values]
    bad = [
        math.isnan(value) or (math.isinf(after) and math.isfinite(value))
        for value, after in zip(values, rounded, strict=True)
    ]
    assert features.bad.tolist() == bad
    assert good(features) == [after for after, is_bad in zip(rounded, bad, strict=True) if not is_bad]


@given(st.lists(texts, min_size=1, max_size=8))
@example(["nan(1)"])
@example(["1e", "0x1p3", "1\n"])
def test_text_is_a_number_if_and_only_if_the_grammar_says_so(values: list[str]) -> None:
    features = converted(values, contract_for("float64", nulls="nan"), type=pa.string(), text=True)
    not_numbers = {
        fault["row"] for fault in features.faults.table.to_pylist() if fault["reason"] == "not a number"
    }  # fmt: skip
    assert not_numbers == {row for row, value in enumerate(values) if not NUMBER.fullmatch(value)}
    ((_, (column,)),) = features.inputs
    for row, value in enumerate(values):
        if not features.bad[row]:
            assert column[row] == float(value) or (math.isnan(column[row]) and math.isnan(float(value)))


@given(st.lists(st.one_of(st.integers(), st.integers(-300, 300)), min_size=1), st.sampled_from(["", "u"]), st.data())
def test_whole_numbers_as_text_are_ints_within_bounds(values: list[int], sign: str, data: st.DataObject) -> None:
    dtype = f"{sign}int{data.draw(st.sampled_from([8, 16, 32, 64]))}"
    limits = np.iinfo(dtype)
    features = converted([str(value) for value in values], contract_for(dtype), text=True)
    inside = [int(limits.min) <= value <= int(limits.max) for value in values]
    assert (~features.bad).tolist() == inside
    assert good(features) == [value for value, is_inside in zip(values, inside, strict=True) if is_inside]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_an_int_column_is_a_float_up_to_2_53_and_an_identifier_beyond(values: list[int]) -> None:
    features = converted(values, contract_for("float64"), type=pa.int64())
    assert features.bad.tolist() == [abs(value) > 2**53 for value in values]
    assert good(features) == [float(value) for value in values if abs(value) <= 2**53]


@given(st.lists(st.one_of(st.none(), st.text())))
def test_text_into_a_text_tensor_is_itself(values: list[str | None]) -> None:
    features = converted(values, contract_for("string"), type=pa.string())
    assert good(features) == [value for value in values if value is not None]


KINDS: dict[str, tuple[pa.DataType, bool, st.SearchStrategy[Any]]] = {
    "doubles": (pa.float64(), False, st.floats()),
    "floats": (pa.float32(), False, st.floats(width=32)),
    "ints": (pa.int64(), False, st.integers(-(2**63), 2**63 - 1)),
    "bools": (pa.bool_(), False, st.booleans()),
    "text": (pa.string(), True, texts),
    "categories": (pa.dictionary(pa.int8(), pa.string()), True, st.sampled_from(["1", "2.5", "x", ""])),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.data())
def test_a_chunk_converts_as_any_pieces_of_it_do(kind: str, data: st.DataObject) -> None:
    type_, text, values = KINDS[kind]
    column = pa.array(data.draw(st.lists(st.one_of(st.none(), values), min_size=1, max_size=20)), type_)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(column)), max_size=4)))
    contract = contract_for("float32")
    whole = converted(column, contract, text=text)
    pieces = [
        converted(column.slice(start, stop - start), contract, text=text)
        for start, stop in zip([0, *cuts], [*cuts, len(column)], strict=True)
    ]
    np.testing.assert_array_equal(whole.bad, np.concatenate([piece.bad for piece in pieces]))
    assert good(whole) == [value for piece in pieces for value in good(piece)]
    in_chunks = converted(
        pa.chunked_array([column.slice(0, cuts[0]), column.slice(cuts[0])]) if cuts else column, contract, text=text
    )
    assert in_chunks.faults.table.equals(whole.faults.table)


@given(
    st.lists(st.one_of(st.none(), st.floats(-9, 9, width=32)), min_size=2, max_size=30).filter(
        lambda v: any(x is not None for x in v)
    )
)
def test_a_bad_row_holds_its_place_and_changes_no_other(values: list[float | None]) -> None:
    mended = [0.0 if value is None else value for value in values]
    two = contract_for("float32", shape=(None, 2), columns=("c", "d"))
    broken = _batch(values, two)
    whole = _batch(mended, two)
    bad = np.array([value is None for value in values])
    np.testing.assert_array_equal(broken[~bad], whole[~bad])
    np.testing.assert_array_equal(broken[bad], np.repeat(whole[~bad][:1], bad.sum(), axis=0))


def _batch(values: Sequence[float | None], contract: Contract) -> np.ndarray[Any, np.dtype[np.float32]]:
    table = pa.table({"c": pa.array(values, pa.float32()), "d": pa.array(np.arange(len(values)), pa.int32())})
    return batch_tensors(convert(table, contract), 0, len(values))["X"]


@given(st.integers(1, 40), st.integers(1, 15), st.booleans())
def test_batches_together_are_the_chunk(rows: int, batch_rows: int, reuse: bool) -> None:
    columns = {name: pa.array(np.random.default_rng(seed).normal(size=rows)) for seed, name in enumerate("cde")}
    features = convert(pa.table(columns), contract_for("float32", shape=(None, 3), columns=("c", "d", "e")))
    buffers: dict[str, Any] | None = {} if reuse else None
    pieces = [
        batch_tensors(features, start, min(start + batch_rows, rows), buffers=buffers)["X"].copy()
        for start in range(0, rows, batch_rows)
    ]
    expected = np.stack([column.to_numpy() for column in columns.values()], axis=1).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate(pieces), expected)
