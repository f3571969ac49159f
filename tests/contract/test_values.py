"""The contract's values: their one byte-exact form, and what they say of themselves."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.contract import (
    FAULT_SCHEMA,
    Contract,
    Faults,
    Input,
    Output,
    TensorSpec,
    empty_table,
    encode_canonical,
    sha256_of,
    text_array,
)

names = st.text(min_size=1, max_size=8)
shapes = st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=1, max_size=4).map(tuple)
specs = st.builds(TensorSpec, name=names, dtype=st.sampled_from(["float32", "int64", "string"]), shape=shapes)
inputs = st.builds(Input, tensor=specs, columns=st.lists(names, min_size=1, max_size=3).map(tuple))
outputs = st.builds(
    Output,
    tensor=specs,
    role=st.sampled_from(["probability", "label", "value"]),
    columns=st.lists(names, min_size=1, max_size=3).map(tuple),
    classes=st.one_of(st.just(()), st.lists(st.integers(0, 9)).map(tuple), st.lists(names).map(tuple)),
)
contracts = st.builds(
    Contract,
    inputs=st.lists(inputs, max_size=3).map(tuple),
    outputs=st.lists(outputs, max_size=3).map(tuple),
    nulls=st.sampled_from(["error", "nan"]),
    threshold=st.one_of(st.none(), st.floats(0, 1)),
    rename=st.dictionaries(names, names, max_size=3),
    fill=st.dictionaries(names, st.one_of(names, st.integers(-9, 9), st.booleans(), st.floats(0, 1)), max_size=3),
)


@given(contracts)
def test_a_contract_survives_the_round_trip(contract: Contract) -> None:
    assert msgspec.json.decode(encode_canonical(contract), type=Contract) == contract


@given(contracts)
def test_one_contract_has_one_form_and_one_digest(contract: Contract) -> None:
    again = msgspec.json.decode(encode_canonical(contract), type=Contract)
    backwards = msgspec.structs.replace(contract, rename=dict(reversed(contract.rename.items())))
    assert encode_canonical(again) == encode_canonical(backwards) == encode_canonical(contract)
    assert sha256_of(again) == sha256_of(contract)


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="thresold"):
        msgspec.json.decode(b'{"inputs":[],"outputs":[],"thresold":0.5}', type=Contract)


@pytest.mark.parametrize(
    ("shape", "width"), [((None,), 1), ((None, 1), 1), ((None, 4), 4), ((8, 2, 3), 6), ((None, None), None)]
)
def test_the_width_of_a_tensor_is_its_values_per_row(shape: tuple[int | None, ...], width: int | None) -> None:
    assert TensorSpec("X", "float32", shape).width == width


def test_faults_keep_the_order_in_which_they_were_found() -> None:
    first = Faults.at(np.array([4, 2]), column="b", reason="null")
    second = Faults.at(np.array([2]), column="a", reason="not a number", values=text_array(["x"]))
    both = Faults.together([first, Faults.none(), second])
    assert both.table.schema == FAULT_SCHEMA
    assert both.table.to_pylist() == [
        {"row": 4, "column": "b", "reason": "null", "value": ""},
        {"row": 2, "column": "b", "reason": "null", "value": ""},
        {"row": 2, "column": "a", "reason": "not a number", "value": "x"},
    ]
    assert both.rows.tolist() == [2, 4]
    assert both.row_of_each.tolist() == [4, 2, 2]
    assert len(both) == 3


def test_faults_move_with_their_rows() -> None:
    faults = Faults.at(np.array([0, 2]), column="c", reason="null")
    assert faults.moved_to(np.array([10, 20, 30])).row_of_each.tolist() == [10, 30]


def test_no_faults_are_no_rows() -> None:
    assert len(Faults.none()) == len(Faults.together([])) == 0
    assert Faults.none().rows.tolist() == []
    assert Faults.none().moved_to(np.array([1])).table.schema == FAULT_SCHEMA


@given(st.lists(st.text(max_size=5)))
def test_text_arrays_hold_what_they_were_made_of(values: list[str]) -> None:
    array = text_array(values)
    assert array.type == pa.string()
    assert array.to_pylist() == values


def test_an_empty_table_has_its_schema() -> None:
    schema = pa.schema([("a", pa.list_(pa.float32(), 2)), ("b", pa.dictionary(pa.int8(), pa.string()))])
    assert empty_table(schema).schema == schema
    assert empty_table(schema).num_rows == 0
