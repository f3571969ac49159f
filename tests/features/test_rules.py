"""Values into tensors: each rule with the values on both sides of it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlserve_cli.contract import Faults, bind
from mlserve_cli.errors import TypeMismatch
from mlserve_cli.features import convert
from tests.features.columns import contract_for, converted, good, told

INF, NAN = math.inf, math.nan

# dtype, Arrow type, values -> what the good rows become
FITTING: list[tuple[str, pa.DataType, list[Any], list[Any]]] = [
    ("float32", pa.float32(), [1.5, -INF, INF], [1.5, -INF, INF]),
    ("float32", pa.float64(), [0.1, 1e-60, -INF], [float(np.float32(0.1)), 0.0, -INF]),
    ("float32", pa.float16(), [0.5, 2.0], [0.5, 2.0]),
    ("float32", pa.int64(), [2**24 + 1, -(2**53), 2**53], [2.0**24, -(2.0**53), 2.0**53]),
    ("float32", pa.uint64(), [0, 2**53], [0.0, 2.0**53]),
    ("float32", pa.uint8(), [0, 255], [0.0, 255.0]),
    ("float32", pa.bool_(), [True, False], [1.0, 0.0]),
    ("float32", pa.decimal128(10, 2), [Decimal("1.25"), Decimal("-3.50")], [1.25, -3.5]),
    ("float64", pa.decimal256(40, 1), [Decimal("0.1")], [0.1]),
    ("float64", pa.float32(), [0.5], [0.5]),
    ("float16", pa.float64(), [65504.0, 0.1], [65504.0, float(np.float16(0.1))]),
    ("int64", pa.int8(), [-128, 127], [-128, 127]),
    ("int64", pa.uint32(), [2**32 - 1], [2**32 - 1]),
    ("int64", pa.int64(), [2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]),
    ("int32", pa.bool_(), [True, False], [1, 0]),
    ("uint64", pa.uint64(), [2**64 - 1], [2**64 - 1]),
    ("bool", pa.bool_(), [True, False, True], [True, False, True]),
    ("string", pa.string(), ["", "ü", " x "], ["", "ü", " x "]),
    ("string", pa.large_string(), ["a", "b"], ["a", "b"]),
    ("string", pa.string_view(), ["a", "b"], ["a", "b"]),
    ("string", pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a"], ["a", "b", "a"]),
    ("float32", pa.dictionary(pa.int32(), pa.float64()), [1.0, 2.0, 1.0], [1.0, 2.0, 1.0]),
]

# dtype, Arrow type, a value, the reason why its row is bad, and the value as it is told
BAD: list[tuple[str, pa.DataType, Any, str, str]] = [
    ("float32", pa.float64(), None, "null", ""),
    ("float32", pa.float64(), NAN, "null", "nan"),
    ("float32", pa.float32(), NAN, "null", "nan"),
    ("float32", pa.float64(), 1e39, "overflows float32", "1e+39"),
    ("float16", pa.float32(), 65520.0, "overflows float16", "65520"),
    ("float16", pa.int32(), 70000, "overflows float16", "70000"),
    ("float32", pa.int64(), 2**53 + 1, "beyond ±2^53", "9007199254740993"),
    ("float64", pa.int64(), -(2**53) - 1, "beyond ±2^53", "-9007199254740993"),
    ("float32", pa.uint64(), 2**64 - 1, "beyond ±2^53", "18446744073709551615"),
    ("float32", pa.null(), None, "null", ""),
    ("int64", pa.int64(), None, "null", ""),
    ("bool", pa.bool_(), None, "null", ""),
    ("string", pa.string(), None, "null", ""),
    ("string", pa.dictionary(pa.int8(), pa.string()), None, "null", ""),
    ("int64", pa.null(), None, "null", ""),
    ("string", pa.null(), None, "null", ""),
]

# What strict refuses for the whole file; the last is whether coerce takes it
NEVER_IN_STRICT: list[tuple[str, pa.DataType, bool]] = [
    ("int64", pa.float64(), True),
    ("int32", pa.int64(), True),
    ("int64", pa.uint64(), True),
    ("uint8", pa.int8(), True),
    ("int64", pa.decimal128(9, 0), True),
    ("float32", pa.string(), True),
    ("int64", pa.string(), True),
    ("bool", pa.string(), True),
    ("bool", pa.int64(), True),
    ("bool", pa.float32(), False),
    ("bool", pa.decimal128(9, 0), False),
    ("string", pa.int64(), True),
    ("string", pa.float64(), True),
    ("string", pa.bool_(), True),
    ("string", pa.decimal128(9, 2), True),
    ("float32", pa.date32(), False),
    ("float32", pa.timestamp("us"), False),
    ("int64", pa.timestamp("ns", "UTC"), False),
    ("string", pa.timestamp("us"), False),
    ("string", pa.binary(), False),
    ("float32", pa.struct([("a", pa.float32())]), False),
    ("float32", pa.list_(pa.float32()), False),
    ("float32", pa.map_(pa.string(), pa.float32()), False),
    ("float32", pa.duration("s"), False),
]


@pytest.mark.parametrize(("dtype", "type_", "values", "expected"), FITTING, ids=str)
def test_a_value_that_fits_becomes_the_tensors_type(
    dtype: str, type_: pa.DataType, values: list[Any], expected: list[Any]
) -> None:
    features = converted(values, contract_for(dtype), type=type_)
    assert told(features) == []
    assert good(features) == expected
    ((_, (column,)),) = features.inputs
    assert column.dtype == (object if dtype == "string" else np.dtype(dtype))
    assert features.coerced == {}


@pytest.mark.parametrize(("dtype", "type_", "value", "reason", "seen"), BAD, ids=str)
def test_a_value_that_does_not_fit_is_a_bad_row(
    dtype: str, type_: pa.DataType, value: Any, reason: str, seen: str
) -> None:
    features = converted([value], contract_for(dtype), type=type_)
    assert told(features) == [(0, reason, seen)]
    assert features.bad.tolist() == [True]


@pytest.mark.parametrize(("dtype", "type_", "coercible"), NEVER_IN_STRICT, ids=str)
def test_another_kind_refuses_the_file_and_names_both_types(dtype: str, type_: pa.DataType, coercible: bool) -> None:
    with pytest.raises(TypeMismatch) as caught:
        converted(pa.nulls(2, type_), contract_for(dtype))
    assert dtype in caught.value.what
    assert str(type_) in caught.value.what
    assert "--schema-mode coerce" in caught.value.hint
    if coercible:
        assert len(converted(pa.nulls(2, type_), contract_for(dtype, mode="coerce")).faults) == 2
    else:
        with pytest.raises(TypeMismatch):
            converted(pa.nulls(2, type_), contract_for(dtype, mode="coerce"))


NUMBERS = {
    "1": 1.0, "-1": -1.0, "+1": 1.0, ".5": 0.5, "5.": 5.0, "1e5": 1e5, "1E+5": 1e5, "-2.5e-3": -2.5e-3, "00123": 123.0,
    "inf": INF, "-Infinity": -INF, "+INF": INF, "1e-400": 0.0, "-0": -0.0, "9007199254740992": 2.0**53, "1e20": 1e20,
    "+009007199254740992": 2.0**53,
}  # fmt: skip
NOT_NUMBERS = {
    "": "not a number", " 1": "not a number", "1 ": "not a number", "1_000": "not a number", "0x10": "not a number",
    "1,5": "not a number", "１": "not a number", "1e": "not a number", "e5": "not a number", ".": "not a number",
    "--1": "not a number", "+-1": "not a number", "1f": "not a number", "1d5": "not a number", "true": "not a number",
    "nan(ind)": "not a number", "infinit": "not a number", "NA": "not a number", "1\n": "not a number",
    "1\x00": "not a number", "nan": "null", "-NaN": "null", "1e400": "overflows float64", "-1e999": "overflows float64",
    "9007199254740993": "beyond ±2^53", "-9007199254740993": "beyond ±2^53", "1" + "0" * 40: "beyond ±2^53",
}  # fmt: skip


@pytest.mark.parametrize("text", sorted(NUMBERS), ids=repr)
def test_text_of_the_grammar_is_a_number(text: str) -> None:
    features = converted([text, "2"], contract_for("float64"), text=True)
    assert good(features) == [NUMBERS[text], 2.0]


@pytest.mark.parametrize("text", sorted(NOT_NUMBERS), ids=repr)
@pytest.mark.parametrize("beside", ["2", "x"], ids=["among good ones", "among bad ones"])
def test_text_outside_the_grammar_is_a_bad_row(text: str, beside: str) -> None:
    features = converted(["7", text, beside], contract_for("float64"), text=True)
    assert (1, NOT_NUMBERS[text], text[:80]) in told(features)
    assert good(features) == ([7.0, 2.0] if beside == "2" else [7.0])


@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [
        ("int64", "42", 42), ("int64", "+42", 42), ("int64", "-0", 0), ("int64", "00123", 123),
        ("int64", "-9223372036854775808", -(2**63)), ("int64", "9223372036854775807", 2**63 - 1),
        ("uint64", "18446744073709551615", 2**64 - 1), ("uint64", "-0", 0), ("int8", "-128", -128),
        ("int8", "127", 127), ("int64", "9223372036854775808", "out of range for int64"),
        ("int8", "128", "out of range for int8"),
        ("uint64", "-1", "out of range for uint64"), ("uint64", "18446744073709551616", "out of range for uint64"),
        ("int64", "9" * 400, "out of range for int64"), ("int64", "0x10", "not an integer"),
        ("int64", "1.0", "not an integer"), ("int64", "1e3", "not an integer"), ("int64", "", "not an integer"),
        ("int64", " 1", "not an integer"), ("int64", "nan", "not an integer"), ("int64", "true", "not an integer"),
        ("bool", "true", True), ("bool", "FALSE", False), ("bool", "1", True), ("bool", "0", False),
        ("bool", "yes", "not a boolean"), ("bool", "", "not a boolean"), ("bool", "1.0", "not a boolean"),
        ("bool", " true", "not a boolean"), ("string", "00123", "00123"), ("string", "", ""),
    ],
)  # fmt: skip
def test_text_for_other_types(dtype: str, text: str, expected: Any) -> None:
    features = converted([text], contract_for(dtype), text=True)
    if isinstance(expected, str) and dtype != "string":
        assert told(features) == [(0, expected, text[:80])]
    else:
        assert good(features) == [expected]
        assert features.coerced == {}


@pytest.mark.parametrize(
    ("dtype", "type_", "values", "expected", "coerced"),
    [
        ("float32", pa.string(), ["1.5", " 2 ", None], [1.5, 2.0], 2),
        ("float32", pa.int64(), [2**60, 5], [2.0**60, 5.0], 1),
        ("int64", pa.float64(), [3.0, -0.0], [3, 0], 2),
        ("int64", pa.string(), ["3.0", "1e3", " 7", "x"], [3, 1000, 7], 3),
        ("int32", pa.int64(), [5, 2**31], [5], 1),
        ("int64", pa.decimal128(20, 2), [Decimal("5.00"), Decimal("5.50")], [5], 1),
        ("int64", pa.decimal128(20, 0), [Decimal(2**53 + 1)], [2**53 + 1], 1),
        ("bool", pa.int8(), [1, 0, 2], [True, False], 2),
        ("bool", pa.string(), ["True", " 0", "no"], [True, False], 2),
        ("string", pa.int64(), [-5, 2**60], ["-5", "1152921504606846976"], 2),
        ("string", pa.bool_(), [True, False], ["true", "false"], 2),
        ("string", pa.float64(), [1.5, 3.0, NAN], ["1.5", "3"], 2),
    ],
)
def test_coerce_converts_and_counts_what_it_changed(
    dtype: str, type_: pa.DataType, values: list[Any], expected: list[Any], coerced: int
) -> None:
    features = converted(values, contract_for(dtype, mode="coerce"), type=type_)
    assert good(features) == expected
    assert features.coerced == {"c": coerced}


@pytest.mark.parametrize(
    ("dtype", "type_", "value", "reason"),
    [
        ("int64", pa.float64(), 1.5, "not an integer"),
        ("int64", pa.float64(), INF, "not an integer"),
        ("int64", pa.float64(), 2.0**63, "out of range for int64"),
        ("int64", pa.float64(), NAN, "null"),
        ("int32", pa.int64(), -(2**31) - 1, "out of range for int32"),
        ("uint64", pa.int64(), -1, "out of range for uint64"),
        ("int64", pa.uint64(), 2**63, "out of range for int64"),
        ("bool", pa.int64(), 2, "not a boolean"),
        ("float32", pa.string(), "1_0", "not a number"),
    ],
)
def test_coerce_loses_nothing_in_silence(dtype: str, type_: pa.DataType, value: Any, reason: str) -> None:
    features = converted([value], contract_for(dtype, mode="coerce"), type=type_)
    assert [why for _, why, _ in told(features)] == [reason]


def test_csv_text_is_parsed_in_coerce_without_being_counted() -> None:
    features = converted(["1", " 2"], contract_for("float32", mode="coerce"), text=True)
    assert good(features) == [1.0, 2.0]
    assert features.coerced == {"c": 1}  # the spaces


def test_missing_floats_are_nan_where_the_contract_says_so() -> None:
    for values, is_text in (([1.0, None, NAN], False), (["1", None, "nan"], True)):
        features = converted(values, contract_for("float32", nulls="nan"), text=is_text)
        assert len(features.faults) == 0
        ((_, (column,)),) = features.inputs
        np.testing.assert_array_equal(column, np.array([1, NAN, NAN], np.float32))


@pytest.mark.parametrize(("dtype", "type_", "fill"), [
    ("float32", pa.float64(), -1.0), ("int64", pa.int64(), 7), ("bool", pa.bool_(), True), ("string", pa.string(), "?"),
])  # fmt: skip
def test_a_fill_value_stands_for_null(dtype: str, type_: pa.DataType, fill: Any) -> None:
    features = converted([None], contract_for(dtype, fill=fill), type=type_)
    assert good(features) == [fill]


def test_a_fill_value_goes_before_nan_and_fills_nan_too() -> None:
    features = converted([None, NAN, 1.0], contract_for("float32", fill=0.5, nulls="nan"))
    assert good(features) == [0.5, 0.5, 1.0]


def test_a_long_value_is_told_cut() -> None:
    ((_, _, value),) = told(converted(["9" * 70 + "x" * 70], contract_for("float32"), text=True))
    assert value == "9" * 70 + "x" * 10


def test_faults_that_came_with_the_chunk_come_first_and_alone() -> None:
    known = Faults.at(np.array([1]), column="", reason="too few fields")
    table = pa.table({"c": pa.array(["x", None, "1"])})
    features = convert(table, contract_for("float32"), text={"c"}, faults=known)
    assert told(features) == [(0, "not a number", "x"), (1, "too few fields", "")]
    assert features.bad.tolist() == [True, True, False]


def test_the_file_is_named_by_its_own_column_names(tmp_path: Any) -> None:
    from mlserve_cli.session import read_facts
    from tests import models

    facts = read_facts(str(models.save(models.linear(2), tmp_path / "m.onnx")))
    contract = bind(facts, features=("a,b",), rename={"a": "A col"})
    features = convert(pa.table({"A col": ["x"], "b": ["1"]}), contract, text={"A col", "b"})
    assert features.faults.table["column"].to_pylist() == ["A col"]


# Lists


def test_lists_feed_a_vector_input() -> None:
    contract = contract_for("float32", shape=(None, 2))
    for type_ in (pa.list_(pa.float64(), 2), pa.list_(pa.float64()), pa.large_list(pa.float32())):
        assert good(converted([[1, 2], [3, 4]], contract, type=type_)) == [[1.0, 2.0], [3.0, 4.0]]


def test_a_list_of_another_length_or_with_a_null_in_it_is_a_bad_row() -> None:
    contract = contract_for("float32", shape=(None, 2))
    rows = [[1, 2], None, [1], [1, 2, 3], [None, 5], [6, 7], []]
    features = converted(rows, contract, type=pa.list_(pa.float64()))
    assert told(features) == [
        (1, "null", ""), (2, "not 2 values", ""), (3, "not 2 values", ""), (4, "null", ""), (6, "not 2 values", ""),
    ]  # fmt: skip
    assert good(features) == [[1.0, 2.0], [6.0, 7.0]]


def test_lists_of_lists_feed_a_rank_3_input() -> None:
    contract = contract_for("int64", shape=(None, 2, 3))
    nested = pa.list_(pa.list_(pa.int32(), 3), 2)
    rows = [[[1, 2, 3], [4, 5, 6]], None, [[7, 8, 9], [1, 1, 1]]]
    assert good(converted(rows, contract, type=nested)) == [[1, 2, 3, 4, 5, 6], [7, 8, 9, 1, 1, 1]]
    ragged = [[[1, 2, 3], [4, 5, 6]], [[1], [2, 3, 4]], [[1, 2, 3, 4, 5, 6]]]
    features = converted(ragged, contract, type=pa.list_(pa.list_(pa.int32())))
    assert [row for row, _, _ in told(features)] == [1]


def test_a_slice_of_a_list_column_is_converted_as_itself() -> None:
    column = pa.array([[1, 2], [3, 4], None, [5, 6]], pa.list_(pa.float64(), 2)).slice(1)
    features = converted(column, contract_for("float32", shape=(None, 2)))
    assert good(features) == [[3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize("type_", [pa.list_(pa.float32(), 3), pa.list_(pa.string(), 2), pa.float32()], ids=str)
def test_lists_of_another_width_or_item_refuse_the_file(type_: pa.DataType) -> None:
    with pytest.raises(TypeMismatch, match="a list of 2 float32"):
        converted(pa.nulls(1, type_), contract_for("float32", shape=(None, 2)))


def test_an_open_width_takes_a_number_or_a_list_of_fixed_size() -> None:
    contract = contract_for("float32", shape=(None, None))
    assert good(converted([1.0, 2.0], contract)) == [1.0, 2.0]
    assert good(converted([[1, 2]], contract, type=pa.list_(pa.float32(), 2))) == [[1.0, 2.0]]
    with pytest.raises(TypeMismatch):
        converted([[1, 2]], contract, type=pa.list_(pa.float32()))


def test_an_identifier_with_spaces_around_it_counts_once_under_coerce() -> None:
    features = converted(
        [" 9007199254740993", "9007199254740995", "1"], contract_for("float64", mode="coerce"), text=True
    )
    assert good(features) == [2.0**53, 2.0**53 + 4, 1.0]
    assert features.coerced == {"c": 2}
