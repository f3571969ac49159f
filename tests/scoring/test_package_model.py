"""Packages that are made of a model and its data: what they say is what a run needs, and the run believes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import ScoreRequest, score
from mlserve_cli import model as life
from mlserve_cli.errors import DataError, GateFailed, InvalidModel, MissingColumn, OutputExists, UsageError
from mlserve_cli.registry import open_package
from mlserve_cli.scoring.package_model import Packaged, PackageRequest
from tests import models
from tests.scoring.runs import SAMPLES, model_file, numbers, shard

Make = Callable[..., Packaged]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Packages tmp_path/model.onnx with tmp_path/in as tmp_path/churn."""

    def make(output: str = "churn", **options: Any) -> Packaged:
        wanted = {"onnx": str(tmp_path / "model.onnx"), "data": (str(tmp_path / "in"),), "name": "churn"}
        return life.package(PackageRequest(**{**wanted, **options}), output=str(tmp_path / output))

    return make


def golden(made: Packaged) -> pa.Table:
    return pq.read_table(Path(made.folder) / "golden.parquet")


def run_of(tmp_path: Path, **options: Any) -> Any:
    request = ScoreRequest(
        model=str(tmp_path / "churn"), inputs=(str(tmp_path / "in"),), output=str(tmp_path / "out"), **options
    )
    return score(request).manifest


def test_a_run_with_the_package_needs_no_further_word(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path, models.classifier(3))
    shard(tmp_path / "in" / "s.parquet", numbers(200))
    made = make(features=("c,b,a",), nulls="nan", threshold=0.4, labels=False)
    assert made.described.contract is not None
    assert made.described.contract.inputs[0].columns == ("c", "b", "a")
    manifest = run_of(tmp_path)
    assert manifest.model.golden_rows == "passed"
    assert (manifest.plan.contract.nulls, manifest.plan.contract.threshold) == ("nan", 0.4)


def test_golden_rows_are_spread_over_all_the_data(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    for number in range(4):
        columns = {"a": [float(number)] * 50, "b": [0.0] * 50, "c": [0.0] * 50}
        shard(tmp_path / "in" / f"{number}.parquet", columns)
    rows = golden(make(golden_rows=8))
    assert rows["a"].to_pylist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert rows.column_names == ["a", "b", "c", "expected_Y"]


def test_fewer_rows_than_asked_for_are_all_golden(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.csv", numbers(5))
    assert golden(make()).num_rows == 5


def test_golden_scores_are_the_runtime_s_own(tmp_path: Path, make: Make) -> None:
    path = model_file(tmp_path)
    shard(tmp_path / "in" / "s.csv", numbers(40))
    rows = golden(make())
    fed = np.stack([rows[name].to_numpy() for name in "abc"], axis=1).astype(np.float32)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: fed})
    assert rows["expected_Y"].to_pylist() == found.reshape(-1).tolist()


def test_rows_that_cannot_be_scored_are_no_golden_ones(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", {**numbers(4), "a": [1.0, None, 2.0, None]})
    assert golden(make()).num_rows == 2
    shard(tmp_path / "in" / "s.parquet", {**numbers(2), "a": pa.array([None, None], pa.float64())})
    with pytest.raises(DataError, match="no row") as error:
        make("other")
    assert "--nulls nan" in error.value.hint


def test_the_training_library_s_scores_are_kept_where_they_agree_on_every_row(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    columns = numbers(100)
    shard(tmp_path / "in" / "s.parquet", columns)
    run = score(ScoreRequest(str(tmp_path / "model.onnx"), (str(tmp_path / "in"),), str(tmp_path / "scores.parquet")))
    theirs = [value + 1e-7 for value in pq.read_table(run.output)["Y"].to_pylist()]
    shard(tmp_path / "in" / "s.parquet", {**columns, "theirs": theirs})
    made = make(expected=("theirs",), golden_rows=10)
    (gate,) = made.described.gates
    assert (gate.name, gate.passed, gate.rows) == ("parity", True, 100)
    assert 0.9e-7 < gate.figures["mean_difference"] <= gate.figures["max_difference"] < 1.1e-7
    assert set(golden(made)["expected_Y"].to_pylist()) <= set(theirs)

    theirs[57] += 1  # no golden row, and found all the same
    shard(tmp_path / "in" / "s.parquet", {**columns, "theirs": theirs})
    with pytest.raises(GateFailed) as error:
        make("other", expected=("Y=theirs",), golden_rows=10)
    assert error.value.exit_code == 4
    assert "row 57" in error.value.where
    assert not (tmp_path / "other").exists()


def test_scores_in_a_csv_are_read_as_numbers(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.csv", numbers(10))
    run = score(ScoreRequest(str(tmp_path / "model.onnx"), (str(tmp_path / "in"),), str(tmp_path / "scores.parquet")))
    theirs = pq.read_table(run.output)["Y"].to_pylist()
    shard(tmp_path / "in" / "s.csv", {**numbers(10), "theirs": theirs})
    assert make(expected=("theirs",)).described.gates[0].rows == 10


def test_classes_that_the_graph_does_not_name_are_written(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path, models.mlp(3))
    shard(tmp_path / "in" / "s.parquet", numbers(20))
    found = make("plain", features=("a,b,c",)).described.contract
    assert found is not None
    width = open_width(tmp_path)
    classes = tuple(f"class {number}" for number in range(width)) if width > 1 else ("no", "yes")
    made = make(features=("a,b,c",), classes=classes, threshold=0.5 if len(classes) == 2 else None)
    assert made.described.contract is not None
    assert made.described.contract.outputs[0].classes == classes
    manifest = run_of(tmp_path)
    assert manifest.plan.contract.outputs[0].classes == classes
    with pytest.raises(UsageError, match="--classes names 7"):
        make("other", features=("a,b,c",), classes=tuple("abcdefg"))


def open_width(tmp_path: Path) -> int:
    session = ort.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (found, *_) = session.run(None, {session.get_inputs()[0].name: np.zeros((4, 3), np.float32)})
    return int(found.size // 4)


def test_nothing_is_guessed(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path, models.linear(3))
    shard(tmp_path / "in" / "s.parquet", numbers(5))
    with pytest.raises(InvalidModel, match="nothing names them"):
        make()
    with pytest.raises(MissingColumn):
        make(features=("a,b,d",))
    with pytest.raises(MissingColumn):
        make(features=("a,b,c",), expected=("theirs",))
    with pytest.raises(UsageError, match="--expected names 2"):
        make(features=("a,b,c",), expected=("a", "b"))
    assert not (tmp_path / "churn").exists()
    assert make(features=("file-order",)).described.contract is not None


def test_what_stands_for_a_null_is_of_the_column_s_type(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", numbers(5))
    with pytest.raises(UsageError, match="--fill names d"):
        make(fill={"d": "1"})
    with pytest.raises(UsageError, match="takes float32"):
        make(fill={"a": "x"})


def test_provenance_says_who_and_from_which_data(tmp_path: Path, make: Make) -> None:
    path = model_file(tmp_path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    data = shard(tmp_path / "in" / "s.parquet", numbers(5))
    made = make(
        who="ann", provenance={"trained_on": "May"}, metrics={"auc": 0.7}, license="MIT", description="who leaves"
    )
    said = made.described.provenance
    assert (said["who"], said["when"], said["trained_on"]) == ("ann", "2023-11-14T22:13:20Z", "May")
    assert (said["data_rows"], said["data_files"]) == (5, 1)
    import hashlib

    assert said["data_sha256"] == f"sha256:{hashlib.sha256(data.read_bytes()).hexdigest()}"
    assert made.described.metrics == {"auc": 0.7}
    assert (made.described.license, made.described.description) == ("MIT", "who leaves")


def test_a_retried_task_makes_no_second_version(tmp_path: Path) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", numbers(5))
    request = PackageRequest(str(tmp_path / "model.onnx"), (str(tmp_path / "in"),), "churn")
    made = [life.package(request, registry=str(tmp_path / "registry"), alias="champion") for _ in range(2)]
    assert [one.change.version for one in made if one.change] == [1, 1]
    assert [one.change.already for one in made if one.change] == [False, True]


def test_a_package_is_made_over_nothing_and_of_a_model_alone(tmp_path: Path, make: Make) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "s.parquet", numbers(5))
    make()
    with pytest.raises(OutputExists):
        make()
    with pytest.raises(UsageError, match="package already"):
        make("again", onnx=str(tmp_path / "churn"))
    with pytest.raises(UsageError, match="alias"):
        life.package(
            PackageRequest(str(tmp_path / "model.onnx"), (str(tmp_path / "in"),), "churn"),
            output=str(tmp_path / "more"),
            alias="champion",
        )


@pytest.mark.parametrize("name", ["late-gbm", "late-mlp", "late-mlp-int8", "late-pipeline"])
def test_each_sample_model_is_packaged_from_its_file_and_scores_as_its_own_package(name: str, tmp_path: Path) -> None:
    own = open_package(str(SAMPLES / "models" / name)).described
    assert own is not None
    assert own.contract is not None
    request = PackageRequest(
        onnx=str(SAMPLES / "models" / name / "model.onnx"),
        data=(str(SAMPLES / "flights"),),
        name=name,
        features=tuple(f"{one.tensor}={','.join(one.columns)}" for one in own.contract.inputs)
        if len(own.contract.inputs) == 1
        else (),
        nulls="nan",
        fill={column: str(value) for column, value in own.contract.fill.items()},
    )
    made = life.package(request, output=str(tmp_path / "made"))
    assert golden(made).num_rows == 64
    assert made.described.contract is not None
    assert made.described.contract.fill == own.contract.fill
    run = ScoreRequest(str(tmp_path / "made"), (str(SAMPLES / "flights"),), str(tmp_path / "out"), limit=500)
    assert score(run).manifest.model.golden_rows == "passed"
