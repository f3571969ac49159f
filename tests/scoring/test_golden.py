"""The golden rows of a package: a machine that scores them otherwise writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli.errors import InvalidModel
from tests.models import argmax_classifier, linear, save, weights
from tests.scoring.runs import ABC, numbers, run, scored, shard

Columns = Mapping[str, Sequence[object] | pa.Array]
OUTPUT = '[[contract.outputs]]\ntensor = "Y"\ncolumns = ["score"]\n'


def package(folder: Path, golden: Columns, *, outputs: str = OUTPUT, model: Any = None, head: str = "") -> str:
    """A package of a linear model of a, b and c, with these golden rows."""
    place = folder / "package"
    place.mkdir(exist_ok=True)
    save(model or linear(3), place / "model.onnx")
    pq.write_table(pa.table(dict(golden)), place / "golden.parquet")
    digests = "\n".join(
        f'"{name}" = "sha256:{hashlib.sha256((place / name).read_bytes()).hexdigest()}"'
        for name in ("model.onnx", "golden.parquet")
    )
    (place / "package.toml").write_text(
        f'format = 1\nname = "p"\n[contract]\n{head}[[contract.inputs]]\ntensor = "X"\ncolumns = ["a", "b", "c"]\n'
        f"{outputs}[golden]\ntolerance = 1e-4\n[digests]\n{digests}\n"
    )
    return str(place)


def expected(columns: Columns) -> list[float]:
    matrix = np.array([columns[name] for name in ABC], np.float32).T
    return [float(value) for value in (matrix @ weights(3, 1) + weights(1)).ravel()]


@pytest.fixture
def shards(folder: Path) -> Path:
    shard(folder / "in" / "s.parquet", numbers(9))
    return folder


def refused(folder: Path, model: str, *words: str, **options: Any) -> None:
    with pytest.raises(InvalidModel) as error:
        run(folder, model=model, **options)
    assert error.value.exit_code == 78
    for word in words:
        assert word in str(error.value)
    assert not (folder / "out").exists()


ROWS = numbers(4, first=3)


def test_golden_rows_that_score_as_expected_let_the_run_pass(shards: Path) -> None:
    model = package(shards, {**ROWS, "expected_score": expected(ROWS)})
    assert run(shards, model=model).manifest.model.golden_rows == "passed"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_golden_row_that_scores_otherwise_ends_the_run_before_it_writes(shards: Path, workers: int) -> None:
    wrong = [*expected(ROWS)[:2], expected(ROWS)[2] + 0.5, expected(ROWS)[3]]
    refused(shards, package(shards, {**ROWS, "expected_score": wrong}), "golden row 2", "score", workers=workers)


def test_the_tolerance_is_the_package_s(shards: Path) -> None:
    near = [value + 9e-5 for value in expected(ROWS)]
    run(shards, model=package(shards, {**ROWS, "expected_score": near}), output=str(shards / "near"))
    far = [value + 2e-4 for value in expected(ROWS)]
    refused(shards, package(shards, {**ROWS, "expected_score": far}), "0.0001")


def test_golden_rows_keep_to_the_package_whatever_the_files_are_called(shards: Path) -> None:
    """Options that say what the files are like say nothing of the package's own rows."""
    model = package(shards, {**ROWS, "expected_score": expected(ROWS)})
    columns = numbers(9)
    shard(shards / "other" / "s.parquet", {"x": columns["a"], "b": columns["b"], "y": columns["c"]})
    plain = scored(run(shards, model=model, output=str(shards / "plain")))
    for name, options in (
        ("renamed", {"rename": {"a": "x", "c": "y"}}),
        ("featured", {"features": ("x,b,y",)}),
        ("other names", {"rename": {"a": "x", "c": "y"}, "output_columns": {"score": "churn"}}),
    ):
        found = run(shards, model=model, inputs=(str(shards / "other"),), output=str(shards / name), **options)
        assert scored(found).columns[-1].equals(plain["score"]), name


def test_nulls_in_golden_rows_are_what_training_saw_whatever_the_run_allows(shards: Path) -> None:
    filled = {**ROWS, "b": [0.0, 1.0, 0.0, 2.0]}
    _, second, _, fourth = expected(filled)
    golden = {**filled, "b": [None, 1.0, None, 2.0], "expected_score": [np.nan, second, np.nan, fourth]}
    run(shards, model=package(shards, golden, head='nulls = "nan"\n'), nulls="error")


def test_labels_are_compared_as_they_are(shards: Path) -> None:
    outputs = (
        '[[contract.outputs]]\ntensor = "output_label"\nrole = "label"\ncolumns = ["grade"]\n'
        '[[contract.outputs]]\ntensor = "probabilities"\nrole = "probability"\ncolumns = ["p"]\n'
    )
    model = argmax_classifier()
    logits = np.array([ROWS[name] for name in ABC], np.float32).T @ weights(3, 3)
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    grades = [("low", "mid", "high")[place] for place in likely.argmax(axis=1)]
    vectors = pa.array(likely.tolist(), pa.list_(pa.float64()))
    right = {**ROWS, "expected_grade": pa.array(grades).dictionary_encode(), "expected_p": vectors}
    run(shards, model=package(shards, right, outputs=outputs, model=model), output=str(shards / "right"))
    wrong = {**right, "expected_grade": [*grades[:3], "none"]}
    refused(shards, package(shards, wrong, outputs=outputs, model=model), "golden row 3", "grade", "none")


def test_golden_rows_without_any_expected_score_are_refused(shards: Path) -> None:
    refused(shards, package(shards, ROWS), "expected_score")


def test_golden_rows_that_lack_a_feature_are_refused(shards: Path) -> None:
    lacking = {"a": ROWS["a"], "c": ROWS["c"], "expected_score": expected(ROWS)}
    refused(shards, package(shards, lacking), "golden rows lack the column b")


def test_a_golden_row_that_cannot_be_scored_is_refused(shards: Path) -> None:
    bad = {**ROWS, "a": [*ROWS["a"][:3], 1e300], "expected_score": expected(ROWS)}
    refused(shards, package(shards, bad), "golden row 3 cannot be scored")


def test_no_golden_rows_at_all_are_refused(shards: Path) -> None:
    none = {name: pa.array([], pa.float64()) for name in (*ABC, "expected_score")}
    refused(shards, package(shards, none), "no golden row")
