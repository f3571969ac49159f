"""The report on a model: all that is wrong at once, what is odd, and nothing made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from mlserve_cli.contract import Declared, DeclaredInput
from mlserve_cli.registry import PackageFile, open_package, write_package
from mlserve_cli.validation import Finding, Validated, validate
from mlserve_cli.validation.apart import ProcessApart
from mlserve_cli.validation.findings import Outcome
from mlserve_cli.validation.rows import TrialRows
from mlserve_cli.validation.trials import Trial
from tests import models
from tests.cli.desk import Desk
from tests.scoring.runs import SAMPLES
from tests.trust.signed import make_package
from tests.validate import endings


def found(report: Validated, check: str, severity: str) -> list[Finding]:
    return [one for one in report.findings if (one.check, one.severity) == (check, severity)]


def saved(tmp_path: Path, model: onnx.ModelProto) -> str:
    return str(models.save(model, tmp_path / "m.onnx"))


def test_a_good_package_is_valid_with_every_check_done() -> None:
    report = validate(str(SAMPLES / "models" / "late-gbm"))
    assert (report.valid, report.exit_code, report.rows) == (True, 0, "golden rows")
    done = {one.check for one in report.findings if one.severity == "ok"}
    assert {"package", "contract", "structure", "checker", "runtime", "golden rows", "cost"} <= done
    assert found(report, "signature", "note")
    assert 0 < report.figures["microseconds_per_row"] < 1e5
    assert report.figures["session_memory_bytes"] > 0


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """A custom operator, an operator that no runtime knows, a newer opset, weights elsewhere, and a broken contract."""
    nodes = [
        helper.make_node("Mine", ["X"], ["a"], domain="my.domain"),
        helper.make_node("Frobnicate", ["a"], ["b"]),
        helper.make_node("Add", ["b", "W"], ["Y"]),
    ]
    inputs, outputs = [models.tensor("X", models.FLOAT, [None, 3])], [models.tensor("Y", models.FLOAT, [None, 3])]
    model = models.model_of(nodes, inputs, outputs, constants={"W": models.weights(3)}, opset=99, domains=["my.domain"])
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    described = PackageFile(format=1, name="bad", contract=Declared(inputs=(DeclaredInput("X", ("a", "b")),)))
    write_package(tmp_path / "bad", described=described, files={"model.onnx": model.SerializeToString()})

    report = validate(str(tmp_path / "bad"))

    assert report.exit_code == 78
    errors = "\n".join(one.what for one in report.findings if one.severity == "error")
    assert "custom operators: my.domain.Mine" in errors
    assert "does not know Frobnicate" in errors
    assert "weights outside its file" in errors
    assert "names 2 columns, the input X takes 3" in errors
    assert "opset 99" in found(report, "opset", "warning")[0].what
    assert found(report, "checker", "warning")


@pytest.mark.slow
def test_golden_rows_that_are_scored_otherwise_are_an_error(tmp_path: Path) -> None:
    package = make_package(tmp_path / "package")
    rows = pq.read_table(package / "golden.parquet").set_column(3, "expected_score", pa.array([7.0]))
    pq.write_table(rows, tmp_path / "golden.parquet")
    files = {"model.onnx": package / "model.onnx", "golden.parquet": tmp_path / "golden.parquet"}
    described = open_package(str(package)).described
    assert described is not None
    write_package(tmp_path / "other", described=described, files=files)
    report = validate(str(tmp_path / "other"))
    assert report.exit_code == 78
    assert "the package expects 7.0" in found(report, "golden rows", "error")[0].what


def test_a_package_whose_digests_do_not_hold_is_a_finding(tmp_path: Path) -> None:
    package = make_package(tmp_path / "package")
    (package / "model.onnx").write_bytes(b"x")
    report = validate(str(package))
    assert report.exit_code == 78
    assert "is not the file that was packaged" in found(report, "package", "error")[0].what


@pytest.mark.slow
def test_scores_that_change_from_call_to_call_are_an_error(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("RandomUniformLike", ["X"], ["R"]),
        helper.make_node("Add", ["X", "R"], ["Y"]),
    ]
    spec = [models.tensor("X", models.FLOAT, [None, 1])], [models.tensor("Y", models.FLOAT, [None, 1])]
    report = validate(saved(tmp_path, models.model_of(nodes, *spec)))
    assert report.exit_code == 78
    assert "other scores each time" in found(report, "same scores", "error")[0].what


@pytest.mark.slow
def test_a_row_that_depends_on_its_batch_is_told(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["X"], ["M"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["X", "M"], ["Y"]),
    ]
    spec = [models.tensor("X", models.FLOAT, [None, 1])], [models.tensor("Y", models.FLOAT, [None, 1])]
    report = validate(saved(tmp_path, models.model_of(nodes, *spec)))
    assert report.valid
    assert "a row's score depends on its batch" in found(report, "batches", "warning")[0].what


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (endings.crash, "killed by SIGSEGV"),
        pytest.param(endings.hang, "not done after", marks=pytest.mark.slow),  # all of its limit
    ],
)
def test_a_model_that_takes_its_process_along_is_a_finding_and_the_next_trial_runs(
    ending: Callable[[Trial], Outcome], words: str
) -> None:
    trial = Trial("m.onnx", "", frozenset(), None, None, None)
    with ProcessApart(None, limit_s=6.0) as apart:
        (ended,) = apart.run("same scores", ending, trial).findings
        (after,) = apart.run("runtime", endings.live, trial).findings
    assert ended.severity == "error"
    assert words in ended.what
    assert after.what == "it lives"


def test_on_made_up_rows_it_is_a_warning_that_names_the_option(tmp_path: Path) -> None:
    trial = Trial("m.onnx", "", frozenset(), None, None, None)
    with ProcessApart(TrialRows("made-up rows", {})) as apart:
        (ended,) = apart.run("same scores", endings.crash, trial).findings
    assert (ended.severity, "--data" in ended.hint) == ("warning", True)


@pytest.mark.slow
def test_what_a_missing_value_does_is_told_by_feature(tmp_path: Path) -> None:
    """Y = a + (b > 0): NaN goes through the sum, and a comparison makes a number of it."""
    nodes = [
        helper.make_node("Greater", ["b", "zero"], ["more"]),
        helper.make_node("Cast", ["more"], ["r"], to=models.FLOAT),
        helper.make_node("Add", ["a", "r"], ["Y"]),
    ]
    inputs = [models.tensor(name, models.FLOAT, [None, 1]) for name in ("a", "b", "unused")]
    outputs = [models.tensor("Y", models.FLOAT, [None, 1])]
    model = models.model_of(nodes, inputs, outputs, constants={"zero": np.zeros(1, np.float32)})
    report = validate(saved(tmp_path, model))
    told = found(report, "missing values", "note")
    assert any(one.what.startswith("NaN in a ") and "gives no finite score" in one.what for one in told)
    assert any("unused" in one.what and "changes no score" in one.what for one in told)


@pytest.mark.slow
def test_given_rows_are_tried_and_those_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    model = saved(tmp_path, models.linear(3, names=("a", "b", "c")))
    pq.write_table(pa.table({"a": [1.0, None], "b": [1.0, 2.0], "c": [1.0, 2.0]}), tmp_path / "rows.parquet")
    report = validate(model, data=[str(tmp_path / "rows.parquet")])
    assert report.rows == "data"
    assert report.valid
    assert "1 of the rows cannot be fed to it" in found(report, "data", "warning")[0].what


@pytest.mark.slow
def test_columns_without_names_are_a_warning_and_the_rest_is_still_tried(tmp_path: Path) -> None:
    report = validate(saved(tmp_path, models.linear(3)))
    assert report.valid
    assert "nothing names them" in found(report, "contract", "warning")[0].what
    assert found(report, "cost", "ok")


def test_the_command_shows_a_table_and_json_and_ends_with_78(desk: Desk) -> None:
    good = desk.run("model", "validate", desk.path("linear.onnx"))
    assert (good.code, good.last["status"]) == (0, "complete")
    assert "linear: valid, 0 errors" in good.out
    bad = desk.run("model", "validate", desk.write("bad.onnx", b"no model"))
    assert (bad.code, bad.last["exit_code"], bad.error["type"]) == (78, 78, "InvalidModel")
    assert "not valid, 1 error" in bad.out
    assert desk.run("model", "validate", desk.path("gone.onnx")).code == 66
    assert len(desk.run("model", "validate", desk.path("linear.onnx"), "--json").out.splitlines()) == 1
