"""preview: what a run would do and take, checked against what it then did and took; and inspect, which runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mlserve_cli import Dialect, Manifest, inspect, preview, score, verify
from mlserve_cli.errors import BadRow, InputMissing, InvalidModel, MemoryTooSmall, MlserveError
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.planning import Estimate, Plan
from mlserve_cli.scoring import InspectedData, InspectedModel, Silent
from tests.models import linear
from tests.scoring.runs import SAMPLES, contents, data_bytes, model_file, numbers, request, run, shard


@pytest.fixture
def work(folder: Path) -> Path:
    model_file(folder)
    shard(folder / "in" / "k=1" / "r.parquet", {"id": ["x"] * 9, **numbers(9)})
    shard(folder / "in" / "k=2" / "s.csv", {"id": ["y"] * 5, **numbers(5)})
    (folder / "in" / "notes.txt").write_text("not a shard")
    return folder


class Heard(Silent):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.estimate: Estimate | None = None

    def stage(self, name: str) -> None:
        self.said.append(name)

    def warn(self, text: str) -> None:
        self.said.append(text)

    def planned(self, plan: Plan, estimate: Estimate) -> None:
        self.said.append(f"{plan.rows} rows")
        self.estimate = estimate

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        self.said.append(f"task {record.task}{' stood' * resumed}")


# Preview


def test_a_preview_is_the_plan_of_the_run_and_writes_nothing(work: Path) -> None:
    before = contents(work)
    seen = preview(request(work, passthrough=("id", "k")))
    assert contents(work) == before
    assert seen.output_columns == ("source_file", "source_row", "id", "k", "Y")
    result = run(work, passthrough=("id", "k"))
    assert seen.plan == result.manifest.plan
    assert seen.layout.lanes == 1
    assert result.manifest.throughput.estimated_peak_memory_bytes == seen.estimate.peak_memory_bytes


def test_a_preview_refuses_what_the_run_would(work: Path) -> None:
    with pytest.raises(InvalidModel):
        preview(request(work, output_columns={"Y": "source_row"}))
    with pytest.raises(InputMissing):
        preview(request(work, inputs=(str(work / "none"),)))


def test_the_estimates_are_of_the_size_of_what_the_run_takes(folder: Path) -> None:
    """In another process: this one's memory is the tests'. By a factor, since a busy machine must not fail this."""
    model = str(SAMPLES / "models" / "late-gbm")
    asked = request(folder, model=model, inputs=(str(SAMPLES / "flights"),), workers=2)
    seen = preview(asked)
    took = score(asked).manifest.throughput
    workers_bytes = sum(worker.peak_memory_bytes for worker in took.workers)
    assert workers_bytes / 6 < seen.estimate.peak_memory_bytes < workers_bytes * 6
    assert 0 < seen.expected_seconds < 60


def test_a_limit_below_the_need_is_refused_and_the_one_that_it_names_is_enough(work: Path) -> None:
    with pytest.raises(MemoryTooSmall) as refused:
        run(work, memory_limit=1 << 20)
    assert refused.value.exit_code == 78
    least = int(refused.value.hint.split("at least ")[1].split(" MiB")[0])
    narrow = run(work, memory_limit=least << 20)
    assert narrow.manifest.throughput.estimated_peak_memory_bytes <= least << 20
    assert data_bytes(narrow.output) == data_bytes(run(work, output=str(work / "wide")).output)


def test_a_run_tells_what_it_does_as_it_goes_on(work: Path) -> None:
    heard = Heard()
    score(request(work), observer=heard)
    skipped = "1 files of other kinds were skipped, the first: notes.txt"
    assert heard.said == ["planning", skipped, "14 rows", "scoring", "task 0", "task 1", "committing"]
    assert heard.estimate == preview(request(work)).estimate


# Inspect


def test_a_model_is_inspected_with_what_feeds_it(work: Path) -> None:
    found = inspect(str(work / "model.onnx"))
    assert isinstance(found, InspectedModel)
    assert found.contract is not None
    assert found.contract.columns == ("a", "b", "c")
    assert (found.model.facts.family, found.model.facts.precision) == ("linear", "float32")


def test_a_model_whose_columns_have_no_names_is_inspected_all_the_same(work: Path) -> None:
    path = model_file(work, linear(3), name="nameless.onnx")
    found = inspect(path)
    assert isinstance(found, InspectedModel)
    assert found.contract is None
    assert "--features" in found.unbound
    named = inspect(path, features=("x,y,z",))
    assert isinstance(named, InspectedModel)
    assert named.contract is not None


def test_a_package_is_inspected_as_a_model() -> None:
    found = inspect(str(SAMPLES / "models" / "late-pipeline"))
    assert isinstance(found, InspectedModel)
    assert found.contract is not None
    assert found.contract.fill == {"manufacturer": "unknown", "engines": 0}


def test_data_is_inspected_in_the_order_of_a_run(work: Path) -> None:
    found = inspect(str(work / "in"))
    assert isinstance(found, InspectedData)
    assert [(shard.name, shard.rows) for shard in found.shards] == [("k=1/r.parquet", 9), ("k=2/s.csv", 5)]
    assert (found.rows, found.skipped) == (14, ("notes.txt",))
    one = inspect(str(work / "in" / "k=*" / "*.csv"), dialect=Dialect(delimiter=";"))
    assert isinstance(one, InspectedData)
    assert [column.name for column in one.shards[0].columns] == ["id,a,b,c", "k"]


@pytest.mark.parametrize("target", ["out", "out/manifest.json", "one.csv.manifest.json"])
def test_a_run_is_inspected_as_its_manifest(work: Path, target: str) -> None:
    run(work)
    run(work, output=str(work / "one.csv"))
    found = inspect(str(work / target))
    assert isinstance(found, Manifest)
    assert found.rows.rows_out == 14


@pytest.mark.parametrize("target", ["nothing", "no.onnx", "none/manifest.json", "*.none", "a\0b"])
def test_what_is_not_there_is_66(work: Path, target: str) -> None:
    with pytest.raises(MlserveError) as refused:
        inspect(str(work / target))
    assert refused.value.exit_code == 66


def test_an_empty_name_is_no_name() -> None:
    with pytest.raises(MlserveError) as refused:
        inspect("")
    assert refused.value.exit_code == 2


# The functions


def test_results_are_values_that_compare_and_cannot_change(work: Path) -> None:
    result = run(work)
    again = run(work, if_exists="resume")
    assert again.manifest == result.manifest
    with pytest.raises(AttributeError):
        result.already = True  # type: ignore[misc]


def test_runs_beside_each_other_in_one_process_do_not_mix(work: Path) -> None:
    def go(batch_rows: int) -> dict[str, bytes]:
        return data_bytes(run(work, output=str(work / f"out{batch_rows}"), batch_rows=batch_rows, workers=None).output)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(go, range(1, 9)))
    for batch_rows, content in enumerate(found, 1):
        verify(str(work / f"out{batch_rows}"))
        assert content == data_bytes(
            run(work, output=str(work / "alone"), batch_rows=batch_rows, if_exists="overwrite").output
        )


def test_errors_of_a_worker_come_back_as_what_they_are(work: Path) -> None:
    values: Sequence[object] = [*np.zeros(8), None]
    shard(work / "in" / "k=1" / "r.parquet", {"id": ["x"] * 9, **numbers(9), "b": values})
    with pytest.raises(BadRow) as refused:
        run(work, workers=2)
    assert refused.value.args == ("k=1/r.parquet", 8, "b", "", "null")
