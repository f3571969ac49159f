"""`bench` on small files, in real processes: who takes part, what is compared, and what is reported instead."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import BenchResult, ScoreRequest, bench
from mlserve_cli.benchmark import Measured, ModelResult, Step
from mlserve_cli.errors import BadRow, UsageError
from tests import models
from tests.scoring.runs import ABC, SAMPLES, model_file, numbers, shard

pytestmark = pytest.mark.slow  # real processes, many of them

EVERYONE = ["mlserve", "script", "decode", "compute", "back to back"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 3,000 rows, a network and a forest."""
    folder = tmp_path_factory.mktemp("bench")
    for number in range(2):
        rows = numbers(3_000, first=number * 3_000)
        ids = {"id": [f"row-{number}-{row}" for row in range(3_000)]}
        shard(folder / "in" / f"{number}.parquet", {**ids, **rows}, row_group_rows=1_000)
    model_file(folder, models.mlp(3), name="network.onnx")
    model_file(folder, models.forest(3), name="forest.onnx")
    return folder


def request(folder: Path, model: str, **options: object) -> ScoreRequest:
    wanted = {"inputs": (str(folder / "in"),), "features": ("a,b,c",), "id_column": "id", "output": "", **options}
    return ScoreRequest(model=str(folder / model), **wanted)  # type: ignore[arg-type]  # as the caller names them


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return []


@pytest.fixture(scope="module")
def found(folder: Path, steps: list[Step]) -> BenchResult:
    """Two models, two rounds."""
    requests = [request(folder, "network.onnx"), request(folder, "forest.onnx", predictor="trees")]
    return bench(*requests, rounds=2, observer=steps.append)


@pytest.fixture(scope="module")
def network(found: BenchResult) -> ModelResult:
    return found.models[0]


def names(model: ModelResult) -> list[str]:
    return [one.name for one in model.contenders]


def test_everyone_takes_part_and_is_compared(network: ModelResult) -> None:
    assert names(network) == EVERYONE
    assert [one.trouble for one in network.contenders] == [""] * len(EVERYONE)
    assert network.ratios.keys() == set(EVERYONE)


def test_a_model_of_trees_is_also_scored_by_onnx_runtime(found: BenchResult) -> None:
    forest = found.models[1]
    assert names(forest) == ["mlserve", "mlserve, plain", *EVERYONE[1:]]
    predictors = {one.name: one.predictor for one in forest.contenders}
    assert predictors["mlserve"] == predictors["compute"] == "trees"
    assert predictors["mlserve, plain"] == predictors["script"] == "onnxruntime"
    assert all(one.is_compared for one in forest.contenders)


def test_what_was_measured_is_said_of_each(network: ModelResult) -> None:
    assert (network.rows, network.files, network.columns) == (6_000, 2, 3)
    for one in network.contenders:
        assert len(one.seconds) == len(one.inner_seconds) == 2
        assert all(0 < inner < whole for inner, whole in zip(one.inner_seconds, one.seconds, strict=True))
        assert one.peak_memory_bytes > 20 << 20


def test_everyone_scores_the_same(network: ModelResult) -> None:
    differences = {one.name: one.difference for one in network.contenders}
    assert differences.pop("decode") is None
    assert all(difference is not None and difference <= 1e-5 for difference in differences.values())


def test_the_ratios_are_those_of_the_medians(found: BenchResult) -> None:
    for model in found.models:
        medians = {one.name: one.median_s for one in model.contenders}
        for name, ratios in model.ratios.items():
            assert ratios["script"] == pytest.approx(medians["script"] / medians[name], abs=1e-4)
            assert ratios["limit"] == pytest.approx(medians["back to back"] / medians[name], abs=1e-4)


def test_the_back_to_back_limit_says_what_each_stage_took(network: ModelResult) -> None:
    limit = network.contender("back to back")
    assert limit is not None
    assert limit.stages_s.keys() == {"read", "inference", "write"}


def test_they_take_turns_after_a_round_that_does_not_count(steps: list[Step], found: BenchResult) -> None:
    turns = [(step.round, step.contender) for step in steps if step.model.endswith("network.onnx")]
    assert turns[:2] == [(0, "in this process"), (0, "the best batches")]
    assert turns[2:] == [(number, name) for number in (0, 1, 2) for name in EVERYONE]


def test_where_it_was_measured_is_said(found: BenchResult) -> None:
    assert found.rounds == 2
    assert found.cores >= 1
    assert found.environment.cpu
    assert found.polars


@pytest.mark.parametrize("model", ["late-gbm", "late-pipeline", "late-mlp"])
def test_the_script_scores_hive_folders_nulls_and_zipmaps_as_mlserve_does(model: str) -> None:
    asked = ScoreRequest(str(SAMPLES / "models" / model), (str(SAMPLES / "flights"),), "", id_column="flight_id")

    (result,) = bench(asked, rounds=1, against=("script",)).models

    script = result.contender("script")
    assert script is not None, result.contenders
    assert script.difference is not None
    assert script.difference <= 1e-6


def test_the_first_rows_alone_can_be_measured(folder: Path) -> None:
    (result,) = bench(request(folder, "network.onnx", limit=3_500), rounds=1).models

    assert result.rows == 3_500
    assert [one.trouble for one in result.contenders] == [""] * len(EVERYONE)


# What is wrong is reported, not compared


def contender(result: ModelResult, name: str) -> Measured:
    return next(one for one in result.contenders if one.name == name)


def test_one_with_other_scores_is_reported_and_not_compared(folder: Path) -> None:
    """A row's score moves with its batch in a dynamically quantised model, and the script has another batch."""
    model_file(folder, models.quantized("dynamic", features=3), name="moody.onnx")

    (result,) = bench(request(folder, "moody.onnx", batch_rows=7), rounds=1, against=("script",)).models

    script = contender(result, "script")
    assert script.trouble.startswith("its scores differ from mlserve's by up to ")
    assert script.difference is not None
    assert script.difference > 1e-5
    assert script.seconds == ()
    assert result.ratios == {"mlserve": {}}


def test_one_that_fails_is_reported_with_what_it_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [" 1"], "b": ["2"], "c": ["3"]}), tmp_path / "in.parquet")
    asked = ScoreRequest(model_file(tmp_path), (str(tmp_path / "in.parquet"),), "", schema_mode="coerce")

    (result,) = bench(asked, rounds=1, against=("script",)).models

    assert contender(result, "mlserve").is_compared
    assert contender(result, "script").trouble.startswith("it ended with 1: polars.exceptions.")


def test_what_is_wrong_with_the_data_is_said_as_score_says_it(tmp_path: Path) -> None:
    shard(tmp_path / "in.parquet", {"a": [1.0, None], "b": [1.0, 1.0], "c": [1.0, 1.0]})

    with pytest.raises(BadRow, match="null"):
        bench(ScoreRequest(model_file(tmp_path), (str(tmp_path / "in.parquet"),), ""), rounds=1)


def test_nothing_can_be_measured_with_no_rows(tmp_path: Path) -> None:
    shard(tmp_path / "in.parquet", {name: pa.array([], pa.float64()) for name in ABC})

    with pytest.raises(UsageError, match="no rows"):
        bench(ScoreRequest(model_file(tmp_path), (str(tmp_path / "in.parquet"),), ""), rounds=1)


def test_what_cannot_be_asked_is_refused(folder: Path) -> None:
    asked = request(folder, "network.onnx")
    with pytest.raises(UsageError, match="no model"):
        bench()
    with pytest.raises(UsageError, match="too few"):
        bench(asked, rounds=0)
    with pytest.raises(UsageError, match="'nothing' is nothing to measure against"):
        bench(asked, against=("nothing",))
    with pytest.raises(UsageError, match="once only"):
        bench(request(folder, "network.onnx", inputs=("-",)))
