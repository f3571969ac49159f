"""Every honest model from shard to part: both formats in, both formats out, proved and replayed; the others refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

from mlserve_cli import verify
from mlserve_cli.contract import ModelFacts, TensorSpec
from mlserve_cli.errors import InputMissing, InvalidModel, UsageError
from mlserve_cli.session import read_facts
from tests.dishonest import REFUSED
from tests.models import HONEST, linear
from tests.scoring.runs import ABC, model_file, numbers, run, scored, shard

ROWS = 41
TYPES = {
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
IN_PARQUET_ALONE = {"rank 3"}  # a list has no form in a CSV


def columns_for(spec: TensorSpec) -> dict[str, pa.Array]:
    """One column for each value of the input; one of lists for rank 3."""
    if len(spec.shape) > 2:
        lists = [[float(row + place) for place in range(spec.width or 1)] for row in range(ROWS)]
        return {spec.name: pa.array(lists, pa.list_(pa.float32()))}
    names = [spec.name] if spec.width == 1 else [f"{spec.name}_{place}" for place in range(spec.width or 2)]
    values = [[(row * 5 + place) % 7 - 3 for row in range(ROWS)] for place in range(len(names))]
    kind = TYPES[spec.dtype]
    return {name: pa.array(column).cast(kind) for name, column in zip(names, values, strict=True)}


def features_for(facts: ModelFacts) -> tuple[str, ...]:
    wide = [spec for spec in facts.inputs if spec.width != 1]
    return tuple(f"{spec.name}={','.join(columns_for(spec))}" for spec in wide)


def as_csv(array: pa.Array) -> list[object]:
    return [str(value).lower() if isinstance(value, bool) else value for value in array.to_pylist()]


@pytest.mark.parametrize("name", sorted(HONEST))
def test_an_honest_model_is_scored_from_both_formats_alike(folder: Path, name: str) -> None:
    path = model_file(folder, HONEST[name]())
    facts = read_facts(path)
    columns = {column: values for spec in facts.inputs for column, values in columns_for(spec).items()}
    shard(folder / "parquet" / "s.parquet", columns)
    shard(folder / "csv" / "s.csv", {column: as_csv(values) for column, values in columns.items()})
    options = {"features": features_for(facts), "passthrough": ("none",)}
    from_parquet = run(folder, inputs=(str(folder / "parquet"),), output=str(folder / "out-parquet"), **options)
    assert from_parquet.manifest.rows.rows_out == ROWS
    verify(str(from_parquet.output))
    if name in IN_PARQUET_ALONE:
        return
    from_csv = run(folder, inputs=(str(folder / "csv"),), output=str(folder / "out-csv"), **options)
    for column in scored(from_parquet).column_names[1:]:
        assert scored(from_csv)[column].equals(scored(from_parquet)[column]), column
    one_file = run(folder, inputs=(str(folder / "csv"),), output=str(folder / "one.csv"), **options)
    verify(str(one_file.output))


@pytest.mark.parametrize("batch", [1, 32])
def test_a_fixed_batch_is_obeyed_and_its_padding_never_written(folder: Path, batch: int) -> None:
    free, fixed = linear(3, names=ABC), linear(3, batch=batch, names=ABC)
    shard(folder / "in" / "s.parquet", numbers(77))
    model_file(folder, free)
    expected = scored(run(folder, output=str(folder / "free"), batch_rows=batch))
    model_file(folder, fixed)
    result = run(folder)
    assert result.manifest.plan.batch_rows == batch
    assert scored(result)["Y"].equals(expected["Y"])


def test_another_batch_than_the_model_s_is_a_usage_error(folder: Path) -> None:
    model_file(folder, linear(3, batch=32, names=ABC))
    shard(folder / "in" / "s.parquet", numbers(5))
    with pytest.raises(UsageError, match="takes 32 rows at a time"):
        run(folder, batch_rows=16)


def test_scores_are_those_of_onnx_runtime_called_by_hand(folder: Path) -> None:
    path = model_file(folder)
    columns = numbers(500)
    shard(folder / "in" / "s.parquet", columns)
    matrix = np.array([columns[name] for name in ABC], np.float32).T
    (by_hand,) = ort.InferenceSession(path).run(["Y"], {"X": matrix})
    found = np.array(scored(run(folder, batch_rows=500))["Y"].to_pylist(), np.float32)
    assert np.array_equal(found, by_hand.ravel())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_any_other_model_is_refused_by_name_and_nothing_is_written(folder: Path, name: str) -> None:
    make, word = REFUSED[name]
    model_file(folder, make())
    shard(folder / "in" / "s.parquet", {"X": [1.0, 2.0], "Z": [1.0, 2.0], "odd": [1.0, 2.0], **numbers(2)})
    wide = {"features": ("X,Z",)} if "classes" in name else {"features": ("a,b,c",)} if "external" in name else {}
    with pytest.raises(InvalidModel) as refused:
        run(folder, **wide)
    assert refused.value.exit_code == 78
    assert word in str(refused.value) or "opset" in name or "IR" in name
    assert sorted(path.name for path in folder.iterdir()) == ["in", "model.onnx"]


def test_no_model_and_no_input_are_66(folder: Path) -> None:
    shard(folder / "in" / "s.parquet", numbers(2))
    with pytest.raises(InputMissing):
        run(folder)
    model_file(folder)
    for missing in ("nothing", "in/*.csv"):
        with pytest.raises(InputMissing) as refused:
            run(folder, inputs=(str(folder / missing),))
        assert refused.value.exit_code == 66
