"""A run's rows read back: in the input's order, in the plan's types, from any format, from the input where needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlserve_cli.errors import DataError, InputMissing, MissingColumn, RunMismatch
from mlserve_cli.manifest.find import FoundRun, find_runs
from mlserve_cli.monitoring import run_rows
from mlserve_cli.monitoring.run_rows import read_rows
from tests import models
from tests.scoring.runs import ABC, model_file, numbers, run, shard

OUTPUTS = ("out", "out.parquet", "out.csv")


def a_run(folder: Path, *, rows: int = 40, bad: int | None = None, output: str = "out", **options: object) -> FoundRun:
    """Two shards of numbered rows scored; row `bad` of the second cannot be."""
    for name, first in (("one", 0), ("two", rows)):
        columns: dict[str, list[object]] = {"id": list(range(first, first + rows))}
        columns |= {column: list(values) for column, values in numbers(rows, first=first).items()}
        columns["town"] = [f"town {row % 3}" for row in range(first, first + rows)]
        if name == "two" and bad is not None:
            columns["a"][bad] = None
        shard(folder / "in" / f"kind={name}" / "rows.parquet", columns)
    if not (folder / "model.onnx").exists():
        model_file(folder)
    run(folder, output=str(folder / output), **options)
    (found,) = find_runs(folder / output)
    return found


@pytest.mark.parametrize("output", OUTPUTS)
def test_rows_come_in_the_inputs_order_and_in_the_plans_types(folder: Path, output: str) -> None:
    found = a_run(folder, output=output, id_column="id")

    table = read_rows(found)

    assert table.schema.equals(pa.schema([("id", pa.int64()), ("Y", pa.float32())]))
    assert table["id"].to_pylist() == list(range(80))


def test_every_format_gives_the_same_rows(folder: Path) -> None:
    given = [read_rows(a_run(folder, output=output, id_column="id", passthrough=("town",))) for output in OUTPUTS]

    assert given[0].equals(given[1])
    assert given[0].equals(given[2])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_column_that_was_not_written_comes_from_the_input_row_by_row(folder: Path, output: str) -> None:
    found = a_run(folder, bad=7, output=output, on_error="quarantine")

    table = read_rows(found, ["town", "source_row", "id", "kind"])

    ids = [row for row in range(80) if row != 47]
    assert table.column_names == ["town", "source_row", "id", "kind"]
    assert table["id"].to_pylist() == ids
    assert table["town"].to_pylist() == [f"town {row % 3}" for row in ids]
    assert table["source_row"].to_pylist() == [row % 40 for row in ids]
    assert table["kind"].to_pylist() == ["one"] * 40 + ["two"] * 39


def test_an_input_that_was_written_again_is_refused(folder: Path) -> None:
    found = a_run(folder)
    shard(folder / "in" / "kind=two" / "rows.parquet", {"id": [1], **numbers(1), "town": ["x"]})

    with pytest.raises(DataError, match="another now") as raised:
        read_rows(found, ["town"])

    assert "--passthrough" in raised.value.hint


def test_a_column_that_nothing_has_is_named(folder: Path) -> None:
    with pytest.raises(MissingColumn, match="toun"):
        read_rows(a_run(folder), ["toun"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_that_is_not_the_manifests_is_refused(folder: Path, output: str) -> None:
    found = a_run(folder, output=output)
    path = found.manifest_path.parent / found.manifest.outputs[0].path
    path.write_bytes(path.read_bytes() + b"\n")

    with pytest.raises(RunMismatch, match="sha256"):
        read_rows(found)


def test_a_file_that_is_gone_is_refused(folder: Path) -> None:
    found = a_run(folder)
    (found.path / found.manifest.outputs[0].path).unlink()

    with pytest.raises(RunMismatch, match="missing"):
        read_rows(found)


def test_a_challenger_that_the_run_does_not_have_is_named(folder: Path) -> None:
    with pytest.raises(InputMissing, match="next-2"):
        read_rows(a_run(folder), challenger="next-2")


@pytest.mark.parametrize("output", OUTPUTS)
def test_vectors_become_a_matrix(folder: Path, output: str) -> None:
    model_file(folder, models.linear(3, 5, names=ABC))
    found = a_run(folder, output=output)
    contract = found.manifest.plan.contract

    table = read_rows(found)
    matrix = run_rows.matrix_of(table, run_rows.score_columns(contract))

    weights, bias = models.weights(3, 5), models.weights(5)
    rows = np.array([[row[name] for name in ABC] for row in pa.table(numbers(80)).to_pylist()], np.float32)
    assert np.allclose(matrix, rows @ weights + bias, atol=1e-5)


def test_a_classifiers_columns_are_told_apart(folder: Path) -> None:
    model_file(folder, models.classifier(3))
    found = a_run(folder, features=(",".join(ABC),))
    contract = found.manifest.plan.contract

    assert run_rows.score_columns(contract) == ("probability_0", "probability_1")
    assert run_rows.prediction_column(contract) in read_rows(found).column_names
    assert run_rows.id_columns(found.manifest) == ("source_file", "source_row")
