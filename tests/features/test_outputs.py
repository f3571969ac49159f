"""Output tensors into written columns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Output, TensorSpec, bind
from mlserve_cli.errors import InvalidModel
from mlserve_cli.features import bad_scores, output_schema, output_table
from mlserve_cli.session import read_facts
from tests import models
from tests.features.columns import contract_for


def writing(*outputs: Output, **changed: Any) -> Contract:
    """A contract that writes these."""
    return msgspec.structs.replace(contract_for("float32"), outputs=outputs, **changed)


def value(dtype: str, *axes: int, columns: tuple[str, ...] = ("y",)) -> Output:
    """A plain output of [None, *axes]."""
    return Output(TensorSpec("Y", dtype, (None, *axes)), "value", columns)


@pytest.mark.parametrize(
    ("output", "values", "type_", "expected"),
    [
        (value("float32"), np.array([1, 2], np.float32), pa.float32(), [1.0, 2.0]),
        (value("float32", 1), np.array([[1], [2]], np.float32), pa.float32(), [1.0, 2.0]),
        (value("float64", 1), np.array([[0.1], [2]]), pa.float64(), [0.1, 2.0]),
        (value("float16", 1), np.array([[0.5], [2]], np.float16), pa.float32(), [0.5, 2.0]),
        (value("int64", 1), np.array([[2**62], [-2]]), pa.int64(), [2**62, -2]),
        (value("uint8", 1), np.array([[255], [0]], np.uint8), pa.uint8(), [255, 0]),
        (value("bool", 1), np.array([[True], [False]]), pa.bool_(), [True, False]),
        (value("string"), np.array(["a", "ü"], object), pa.string(), ["a", "ü"]),
        (value("float32", 2), np.eye(2, dtype=np.float32), pa.list_(pa.float32(), 2), [[1, 0], [0, 1]]),
        (value("float16", 2), np.eye(2, dtype=np.float16), pa.list_(pa.float32(), 2), [[1, 0], [0, 1]]),
        (value("string", 2), np.array([["a", "b"]] * 2, object), pa.list_(pa.string(), 2), [["a", "b"]] * 2),
        (value("bool", 2), np.eye(2, dtype=bool), pa.list_(pa.bool_(), 2), [[True, False], [False, True]]),
        (
            value("float32", 2, 2),
            np.arange(8, dtype=np.float32).reshape(2, 2, 2),
            pa.list_(pa.float32(), 4),
            [[0, 1, 2, 3], [4, 5, 6, 7]],
        ),
    ],
    ids=str,
)  # fmt: skip
def test_an_output_becomes_a_column_of_its_type(
    output: Output, values: NDArray[Any], type_: pa.DataType, expected: list[Any]
) -> None:
    contract = writing(output)
    table = output_table(contract, {"Y": values})
    table.validate(full=True)
    assert table.schema == output_schema(contract) == pa.schema([("y", type_)])
    assert table["y"].to_pylist() == expected
    assert output_table(contract, {"Y": values[:0]}).num_rows == 0


def test_a_vector_with_a_name_for_each_value_becomes_that_many_columns() -> None:
    contract = writing(value("float32", 3, columns=("a", "b", "c")))
    table = output_table(contract, {"Y": np.arange(6, dtype=np.float32).reshape(2, 3)})
    assert table.to_pydict() == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}


def test_outputs_stand_in_the_contracts_order_with_the_prediction_last(tmp_path: Path) -> None:
    facts = read_facts(str(models.save(models.classifier(), tmp_path / "m.onnx")))
    found = {"label": np.array([1, 0]), "probabilities": np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)}
    plain = output_table(bind(facts, features=("a,b,c",)), found)
    assert plain.column_names == ["prediction", "probability_0", "probability_1"]
    lower = output_table(bind(facts, features=("a,b,c",), threshold=0.3), found)
    assert lower.column_names == ["probability_0", "probability_1", "prediction"]
    assert lower["prediction"].to_pylist() == [1, 1]


def test_a_threshold_reached_exactly_is_the_second_class_in_the_scores_own_precision() -> None:
    probability = Output(TensorSpec("Y", "float32", (None, 2)), "probability", ("p_no", "p_yes"), ("no", "yes"))
    contract = writing(probability, threshold=0.7, prediction="verdict")
    scores = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(0)), math.nan], np.float32)
    table = output_table(contract, {"Y": np.stack([1 - scores, scores], axis=1)})
    assert table["verdict"].to_pylist() == ["yes", "no", "no"]
    assert table.schema.field("verdict").type == pa.string()


def test_a_threshold_on_a_single_probability_predicts_1_and_0() -> None:
    contract = writing(value("float16", 1), threshold=0.5)
    table = output_table(contract, {"Y": np.array([[0.5], [0.49]], np.float16)})
    assert table["prediction"].to_pylist() == [1, 0]


def test_a_width_that_is_not_the_contracts_is_refused() -> None:
    for output in (value("float32", 2), value("float32", 2, columns=("a", "b")), value("float32", 1)):
        with pytest.raises(InvalidModel, match="has 3 values a row"):
            output_table(writing(output), {"Y": np.zeros((2, 3), np.float32)})


def test_a_score_that_is_not_finite_is_told_with_its_column() -> None:
    two = Output(TensorSpec("Y", "float32", (None, 2)), "probability", ("p_0", "p_1"), (0, 1))
    contract = writing(
        two, Output(TensorSpec("Z", "float64", (None, 3)), "value", ("z",)), value("int64", columns=("i",))
    )
    outputs = {
        "Y": np.array([[0, 1], [math.nan, 1], [1, math.inf], [1, 2]], np.float32),
        "Z": np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, -math.inf, math.nan]]),
    }
    contract = msgspec.structs.replace(contract, outputs=contract.outputs[:2])
    found = bad_scores(contract, outputs).table.to_pylist()
    assert [(one["row"], one["column"], one["reason"], one["value"]) for one in found] == [
        (1, "p_0", "score is not finite", "nan"),
        (2, "p_1", "score is not finite", "inf"),
        (3, "z", "score is not finite", "-inf"),
    ]
    assert len(bad_scores(msgspec.structs.replace(contract, nan_scores="allow"), outputs)) == 0


def test_large_finite_scores_are_no_fault_although_their_sum_is_infinite() -> None:
    contract = writing(value("float32", 1))
    assert len(bad_scores(contract, {"Y": np.full((9, 1), 3e38, np.float32)})) == 0
    assert len(bad_scores(contract, {"Y": np.zeros((0, 1), np.float32)})) == 0


def test_a_contract_that_was_never_settled_writes_nothing() -> None:
    open_width = Output(TensorSpec("Y", "float32", (None, None)), "value", ("y",))
    with pytest.raises(InvalidModel, match="width open"):
        output_schema(writing(open_width))
    with pytest.raises(InvalidModel, match="no probability"):
        output_table(writing(value("int64", 1), threshold=0.5), {"Y": np.zeros((2, 1), np.int64)})
