"""When a look for repeats pays: a rule over the model's file and the rows, the same on every machine."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.contract import Contract, Input, ModelFacts, TensorSpec
from mlserve_cli.planning import LEAST_GAIN, row_costs, window_rows_for
from mlserve_cli.planning.repeats import WINDOW_BYTES, WINDOW_ROWS
from tests.planning.plans import Y

FACTS = ModelFacts(
    inputs=(),
    outputs=(),
    sha256="",
    size_bytes=200_000,
    opsets={},
    operators={},
    precision="float32",
    family="network",
    producer="",
    metadata={},
    classes={},
    labels=(),
    zipmaps={},
    external_files=(),
    fixed_batch=None,
)


def contract(dtype: str = "float32", columns: int = 10) -> Contract:
    names = tuple(f"c{place}" for place in range(columns))
    return Contract((Input(TensorSpec("X", dtype, (None, columns)), names),), (Y,))


def facts(**changes: object) -> ModelFacts:
    return msgspec.structs.replace(FACTS, **changes)


@given(st.integers(1, 100_000), st.integers(1, 1 << 24))
def test_a_window_is_a_whole_number_of_batches_within_its_bounds(batch_rows: int, row_bytes: int) -> None:
    rows = window_rows_for(batch_rows=batch_rows, row_bytes=row_bytes)
    assert rows % batch_rows == 0
    assert rows == batch_rows or (rows <= WINDOW_ROWS and rows * row_bytes <= WINDOW_BYTES)


@given(st.integers(0, 1 << 24), st.floats(0, 1), st.floats(0, 1))
def test_fewer_distinct_rows_never_make_it_slower(size_bytes: int, one: float, other: float) -> None:
    costs = row_costs(facts(size_bytes=size_bytes), contract())
    fewer, more = sorted((one, other))
    assert costs.gain(fewer) >= costs.gain(more)
    assert costs.gain(1.0) < 1


def test_a_cheap_model_never_pays_for_the_look_and_a_dear_one_does() -> None:
    assert row_costs(facts(family="linear", size_bytes=500), contract()).gain(0.0) < LEAST_GAIN
    assert row_costs(facts(), contract()).gain(0.2) > LEAST_GAIN
    assert row_costs(facts(family="trees"), contract(), kernel_trees=300).gain(0.2) > LEAST_GAIN


@pytest.mark.parametrize("dtype", ["bool", "float16", "float32", "float64", "int64", "uint8", "string"])
def test_a_wider_key_costs_more(dtype: str) -> None:
    narrow, wide = (row_costs(FACTS, contract(dtype, columns)).key_ns for columns in (2, 20))
    assert wide > narrow
    assert row_costs(FACTS, contract("string")).key_ns >= row_costs(FACTS, contract(dtype)).key_ns


def test_text_that_must_be_parsed_anyway_leaves_less_to_gain() -> None:
    parquet, csv = row_costs(FACTS, contract()), row_costs(FACTS, contract(), csv_bytes=200)
    assert csv.gain(0.2) < parquet.gain(0.2)
