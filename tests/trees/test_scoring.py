"""Whole runs on the kernel: when it is chosen, what the plan and the manifest say of it, and that the laws hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlserve_cli import RunResult, preview, replay, verify
from mlserve_cli.errors import InvalidModel, OutputExists
from mlserve_cli.scoring import predictors
from tests.models import save
from tests.scoring.runs import SAMPLES, data_bytes, model_file, request, run, scored, shard
from tests.trees.ensembles import FEATURES, Forest, build

NAMES = tuple(f"f{i}" for i in range(FEATURES))
ASK = {"features": (",".join(NAMES),), "nulls": "nan", "batch_rows": 64}
BEYOND_ONE_BATCH = 500


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A forest, and two shards for it."""
    save(build(Forest(kind="classifier", targets=2, trees=20, depth=7, grid=False), seed=5), tmp_path / "model.onnx")
    random = np.random.default_rng(5)
    for number in range(2):
        columns = {name: random.normal(size=BEYOND_ONE_BATCH).astype(np.float32).tolist() for name in NAMES}
        shard(tmp_path / "in" / f"{number}.parquet", columns, row_group_rows=200)
    return tmp_path


def on(predictor: str, work: Path, **options: object) -> RunResult:
    return run(work, predictor=predictor, output=str(work / predictor), **{**ASK, **options})


def test_both_predictors_write_the_same_rows(work: Path) -> None:
    plain, trees = on("onnxruntime", work), on("trees", work)
    assert trees.manifest.model.predictor == "trees"
    assert plain.manifest.model.predictor == "onnxruntime"
    ours, theirs = scored(trees), scored(plain)
    assert ours.column_names == theirs.column_names
    for name in ours.column_names:
        if ours[name].type == "float":
            np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=0, atol=1e-6)
        else:
            assert ours[name].equals(theirs[name])
    verify(str(trees.output))
    assert replay(str(trees.output)).identical


def test_the_plan_names_the_predictor_and_so_does_its_id(work: Path) -> None:
    plain, trees = on("onnxruntime", work), on("trees", work)
    assert (plain.manifest.plan.predictor, trees.manifest.plan.predictor) == ("onnxruntime", "trees")
    assert plain.manifest.run.id != trees.manifest.run.id
    with pytest.raises(OutputExists, match="predictor"):
        run(work, predictor="onnxruntime", output=str(work / "trees"), if_exists="resume", **ASK)


def test_one_worker_two_workers_and_threads_write_the_same_bytes(work: Path) -> None:
    outputs = [
        run(work, predictor="trees", output=str(work / name), **ASK, **options).output
        for name, options in {
            "one": {"workers": 1},
            "two": {"workers": 2},
            "threads": {"workers": 1, "threads_per_worker": 3},
        }.items()
    ]
    one, two, threads = map(data_bytes, outputs)
    assert one == two == threads


def test_few_rows_are_not_worth_the_start_of_the_kernel(work: Path) -> None:
    manifest = on("auto", work).manifest
    assert manifest.model.predictor == "onnxruntime"
    assert "less time than the start of the kernel" in manifest.model.predictor_reason


def test_why_a_plan_has_its_predictor_is_no_part_of_it(work: Path) -> None:
    asked, chosen = on("onnxruntime", work), on("auto", work)
    assert asked.manifest.model.predictor_reason != chosen.manifest.model.predictor_reason
    assert asked.manifest.run.id == chosen.manifest.run.id


def test_many_trees_over_few_rows_are_worth_it(tmp_path: Path) -> None:
    rows = 20_000
    trees = predictors.LEAST_TREE_ROWS // rows + 1
    save(build(Forest(trees=trees, depth=1), seed=1), tmp_path / "model.onnx")
    shard(tmp_path / "in" / "a.parquet", {name: [0.5] * rows for name in NAMES}, row_group_rows=rows)
    assert preview(request(tmp_path, **ASK)).plan.predictor == "trees"
    assert preview(request(tmp_path, **ASK, limit=rows // 2)).plan.predictor == "onnxruntime"


def test_the_kernel_is_refused_for_a_model_without_trees(tmp_path: Path) -> None:
    model_file(tmp_path)
    shard(tmp_path / "in" / "a.parquet", {name: [1.0] for name in "abc"})
    with pytest.raises(InvalidModel, match="the model has no trees") as refused:
        run(tmp_path, predictor="trees")
    assert refused.value.exit_code == 78


def test_trees_that_the_kernel_does_not_take_are_run_by_onnx_runtime_and_the_manifest_says_why(tmp_path: Path) -> None:
    rows = 20_000
    trees = predictors.LEAST_TREE_ROWS // rows + 1
    forest = Forest(kind="classifier", targets=2, weighed="first", transform="PROBIT", positive=True, depth=1)
    save(build(replace(forest, trees=trees), seed=1), tmp_path / "model.onnx")
    shard(tmp_path / "in" / "a.parquet", {name: [0.5] * rows for name in NAMES}, row_group_rows=rows)
    plan = preview(request(tmp_path, **ASK)).plan
    assert (plan.predictor, plan.predictor_reason) == ("onnxruntime", "it asks for PROBIT over the score of one class")
    with pytest.raises(InvalidModel, match="PROBIT"):
        preview(request(tmp_path, predictor="trees", **ASK))


def test_the_golden_rows_of_a_package_are_scored_by_both(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        model=str(SAMPLES / "models" / "late-gbm"),
        inputs=(str(SAMPLES / "flights" / "month=01"),),
        id_column="flight_id",
        predictor="trees",
    )
    assert result.manifest.model.golden_rows == "passed"
    assert result.manifest.model.predictor == "trees"
