"""Quantised versions of the sample network and of small ones; harm is stopped, and told."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import helper

from mlserve_cli.errors import ExtraMissing, GateFailed, InvalidModel, UsageError
from mlserve_cli.optimize.exclude import Attempt, search
from mlserve_cli.optimize.gate import demand
from mlserve_cli.optimize.made import Made, Place
from mlserve_cli.optimize.methods import CALIBRATIONS, Calibration, Mode, Settings, prepare
from mlserve_cli.optimize.parent import open_parent
from mlserve_cli.optimize.quantize import QuantizeRequest, RowsRequest, judged_speed, quantize, read_rows
from mlserve_cli.optimize.rows import Rows
from mlserve_cli.optimize.trial import Bench, Limits
from mlserve_cli.registry import Registry
from mlserve_cli.session import read_facts
from tests import models
from tests.optimize.sample import BRIEFLY_S, FLIGHTS, MODELS, predictions

MLP = str(MODELS / "late-mlp")
HAS_PACKED = importlib.util.find_spec("onnx_ir") is not None
WIDE = Limits(max_difference=1.0, mean_difference=1.0, max_flips=1.0)


def made(mode: Mode, folder: Path, *, limits: Limits | None = None, name: str = "", **settings: Any) -> Made:
    request = QuantizeRequest(
        MLP,
        RowsRequest((str(FLIGHTS),)),
        Settings(mode, **settings),
        limits=limits or Limits(),
        allow_slower=True,
        speed_s=BRIEFLY_S,
    )
    return quantize(request, Place(output=str(folder / (name or mode))))


def precision_of(result: Made) -> str:
    return read_facts(str(Path(result.folder) / "model.onnx")).precision


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_static_int8_of_the_network_scores_alike_in_any_batch(tmp_path: Path, calibration: Calibration) -> None:
    result = made("static", tmp_path, calibration=calibration, limits=Limits(1.0, 0.05, 0.1))

    speed = result.described.gates[-1]
    assert precision_of(result) == "int8-qdq"
    assert speed.figures["batch_difference"] < 1e-6
    assert speed.figures["size_ratio"] < 1
    assert predictions(result.folder, tmp_path / "run").num_rows > 10_000


def test_dynamic_int8_of_the_network_says_that_scores_move_with_their_batch(tmp_path: Path) -> None:
    result = made("dynamic", tmp_path)

    moved = result.described.gates[-1].figures["batch_difference"]
    assert precision_of(result) == "int8-dynamic"
    assert moved > 1e-4
    assert any("with its batch" in note for note in result.notes)
    assert result.described.golden is not None
    assert result.described.golden.tolerance == pytest.approx(2 * moved)
    assert predictions(result.folder, tmp_path / "run").num_rows > 10_000


def test_fp16_of_the_network_is_half_as_large_and_its_columns_keep_their_types(tmp_path: Path) -> None:
    result = made("fp16", tmp_path)

    assert precision_of(result) == "float16"
    assert result.size_bytes < 0.65 * result.parent_bytes
    facts = read_facts(str(Path(result.folder) / "model.onnx"))
    assert {spec.dtype for spec in (*facts.inputs, *facts.outputs)} == {"float32"}
    before, after = predictions(MLP, tmp_path / "before"), predictions(result.folder, tmp_path / "after")
    assert before.schema.equals(after.schema, check_metadata=False)


@pytest.mark.skipif(not HAS_PACKED, reason="needs onnx-ir, of the extra `quantize`")
def test_packed_weights_of_the_network_are_smaller_with_fewer_bits(tmp_path: Path) -> None:
    eight = made("weight-only", tmp_path, bits=8)
    four = made("weight-only", tmp_path, name="four", bits=4, limits=WIDE)

    assert four.size_bytes < eight.size_bytes < eight.parent_bytes
    assert predictions(eight.folder, tmp_path / "run").num_rows > 10_000


@pytest.mark.skipif(HAS_PACKED, reason="onnx-ir is here")
def test_a_missing_library_is_named_with_its_extra(tmp_path: Path) -> None:
    with pytest.raises(ExtraMissing, match=r"mlserve-cli\[quantize\]"):
        made("weight-only", tmp_path)


def outlier_network(*, rough_layers: int, layers: int = 2) -> onnx.ModelProto:
    """Layers of which the first ones have a single weight that is a million times the others: one range for all of
    them leaves nothing of the others. The column that it stands in comes to nothing in the next layer."""
    nodes, constants, before = [], {}, "X"
    for layer in range(layers):
        weight = models.weights(8, 8) * np.float32(0.5)
        if layer < rough_layers:
            weight[0, 0] = 1e6
        if 0 < layer <= rough_layers:
            weight[0, :] = 0
        constants[f"W{layer}"] = weight
        nodes += [
            helper.make_node("MatMul", [before, f"W{layer}"], [f"H{layer}"], name=f"layer_{layer}"),
            helper.make_node("Tanh", [f"H{layer}"], [f"T{layer}"], name=f"tanh_{layer}"),
        ]
        before = f"T{layer}"
    constants["last"] = np.r_[np.zeros(1), np.ones(7)].astype(np.float32).reshape(8, 1)
    nodes.append(helper.make_node("Mul", [before, "mask"], ["M"]))
    constants["mask"] = np.r_[np.zeros(1), np.ones(7)].astype(np.float32)
    nodes.append(helper.make_node("ReduceMean", ["M"], ["score"], axes=[1], keepdims=1))
    del constants["last"]
    return models.model_of(
        nodes,
        [models.tensor("X", models.FLOAT, [None, 8])],
        [models.tensor("score", models.FLOAT, [None, 1])],
        constants=constants,
    )


FEATURES = tuple("abcdefgh")


def files(folder: Path, model: onnx.ModelProto) -> tuple[str, RowsRequest]:
    matrix = np.random.default_rng(7).normal(size=(3_000, 8)).astype(np.float32)
    rows = folder / "rows.parquet"
    pq.write_table(pa.table({name: matrix[:, place] for place, name in enumerate(FEATURES)}), rows)
    path = models.save(model, folder / "network.onnx")
    return str(path), RowsRequest((str(rows),), features=(",".join(FEATURES),))


def test_a_harmful_quantisation_is_stopped_by_the_gate_and_leaves_nothing(tmp_path: Path) -> None:
    model, rows = files(tmp_path, outlier_network(rough_layers=1, layers=1))
    request = QuantizeRequest(model, rows, Settings("dynamic", per_channel=False), allow_slower=True, speed_s=BRIEFLY_S)

    with pytest.raises(GateFailed, match="parity gate said no") as caught:
        quantize(request, Place(output=str(tmp_path / "harmed")))
    with pytest.raises(GateFailed):
        quantize(request, Place(name="harmed", registry=str(tmp_path / "registry")))

    for figure in ("largest difference", "mean difference", "speed ratio", "size ratio"):
        assert figure in caught.value.where
    assert not (tmp_path / "harmed").exists()
    assert "harmed" not in Registry(tmp_path / "registry").names()


def test_the_layer_that_does_the_harm_is_left_as_it_was_and_named(tmp_path: Path) -> None:
    model, rows = files(tmp_path, outlier_network(rough_layers=1, layers=2))
    settings = Settings("dynamic", per_channel=False)
    request = QuantizeRequest(model, rows, settings, Limits(0.5, 0.1), allow_slower=True, speed_s=BRIEFLY_S)

    result = quantize(request, Place(output=str(tmp_path / "made")))

    (step,) = result.steps
    assert step.startswith("layer_0 (MatMul) left as it was: alone it moves scores by ")
    assert result.described.lineage is not None
    assert result.described.lineage.parameters["excluded"] == "layer_0"
    kept = {node.name for node in onnx.load(Path(result.folder) / "model.onnx").graph.node if node.op_type == "MatMul"}
    assert kept == {"layer_0"}


def test_without_time_for_a_search_the_first_answer_counts(tmp_path: Path) -> None:
    model, rows = files(tmp_path, outlier_network(rough_layers=1, layers=2))
    parent = open_parent(model, features=rows.features)
    _, held_out = read_rows(parent, rows, calibrate=False)
    settings = Settings("dynamic", per_channel=False)
    bench = Bench.of(parent, held_out, Limits(0.5, 0.1))

    attempt = search(prepare(parent.data, settings), settings, bench, calibration=None, seconds=0)

    assert not attempt.passed
    assert (attempt.tried, attempt.excluded) == (1, ())


def test_what_is_slower_than_its_parent_is_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    small = open_parent(str(models.save(models.mlp(hidden=8), tmp_path / "small.onnx")), features=("a,b,c,d",))
    slow = models.mlp(hidden=4_096).SerializeToString()
    rows = Rows({"X": np.ones((2_048, 4), np.float32)}, None, 0, "")
    attempt = Attempt(slow, small.open_child(slow), (), (), 1)

    refused = judged_speed(small, attempt, rows, least=1.0, moved=0.0, seconds=0.4)
    allowed = judged_speed(small, attempt, rows, least=None, moved=0.0, seconds=BRIEFLY_S)

    with pytest.raises(GateFailed, match=r"speed ratio is 0\.\d+, at least 1 is allowed"):
        demand([refused], where="")
    assert allowed.passed
    assert allowed.figures["speed_ratio"] < 1


def test_labels_add_a_gate_and_the_metrics_of_the_child(tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.parquet"
    table = pq.ParquetDataset(FLIGHTS).read()
    late = pa.array([None if delay is None else delay > 15 for delay in table["arr_delay"].to_pylist()])
    pq.write_table(table.append_column("late", late), labelled)
    rows = RowsRequest((str(labelled),), labels="late")
    request = QuantizeRequest(MLP, rows, Settings("fp16"), allow_slower=True, speed_s=BRIEFLY_S)
    strict = replace(request, limits=Limits(max_quality_loss=-1.0))

    result = quantize(request, Place(output=str(tmp_path / "made")))
    with pytest.raises(GateFailed, match="quality gate said no: quality lost"):
        quantize(strict, Place(output=str(tmp_path / "strict")))

    assert [gate.name for gate in result.described.gates] == ["parity", "quality", "speed"]
    assert 0.7 < result.described.metrics["auc"] < 0.8
    assert any("305 rows" in note for note in result.notes)


def test_trees_have_nothing_to_quantise(tmp_path: Path) -> None:
    request = QuantizeRequest(str(MODELS / "late-gbm"), RowsRequest((str(FLIGHTS),)), Settings("static"))

    with pytest.raises(InvalidModel, match="nothing to quantise"):
        quantize(request, Place(output=str(tmp_path / "made")))


@pytest.mark.parametrize("place", [Place(), Place(output="made", name="made")])
def test_the_result_goes_to_exactly_one_place(place: Place) -> None:
    request = QuantizeRequest(MLP, RowsRequest((str(FLIGHTS),)), Settings("fp16"))

    with pytest.raises(UsageError, match="where the result goes"):
        quantize(request, place)


def mlserve(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlserve_cli", "model", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_registers_a_version_and_reports_size_speed_and_differences(tmp_path: Path) -> None:
    ended = mlserve(
        "quantize", MLP, "--mode", "static", "--data", str(FLIGHTS), "--name", "late", "--registry", "shelves",
        "--mean-difference", "0.05", "--max-flips", "10%", "--allow-slower", "--json", folder=tmp_path,
    )  # fmt: skip

    report = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert (ended.stderr, report["status"], report["name"], report["version"]) == ("", "complete", "late", 1)
    assert report["size_bytes"] < report["parent_bytes"]
    parity, speed = report["gates"]
    assert {"max_difference", "mean_difference", "label_flips"} <= parity["figures"].keys()
    assert {"speed_ratio", "rows_per_s", "parent_rows_per_s", "size_ratio"} <= speed["figures"].keys()


def test_the_command_ends_with_4_where_the_gate_says_no(tmp_path: Path) -> None:
    ended = mlserve(
        "quantize", MLP, "--mode", "fp16", "--data", str(FLIGHTS), "--output", "made", "--max-difference", "0",
        "--search-time", "0", "--allow-slower", folder=tmp_path,
    )  # fmt: skip

    assert ended.returncode == 4
    error = json.loads(ended.stdout.splitlines()[-1])["error"]
    assert error["type"] == "GateFailed"
    assert "largest difference" in error["what"]
    assert not (tmp_path / "made").exists()


def test_pruning_shows_its_steps_and_gates_to_people(tmp_path: Path) -> None:
    ended = mlserve("prune", str(MODELS / "late-gbm"), "--output", "made", folder=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "step      outputs that are not written: 1" in ended.stdout
    assert "identity gate passed on 64 rows" in ended.stdout
