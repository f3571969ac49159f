"""A run's profile: of the rows that it wrote, made on the way, the same however the work was done, and proved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlserve_cli import Profile, RunResult, ScoreRequest, replay, score, verify
from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import RunMismatch, UsageError, WorkersDied
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.planning import profile_every_for
from mlserve_cli.profiles import Numbers, Profiler, quantiles, read_profile
from mlserve_cli.scoring import Silent, score_to_stream
from tests.models import classifier, linear, save
from tests.scoring.runs import ABC, SAMPLES, contents, data_bytes, model_file, numbers, request, run, scored, shard


def profile_of(result: RunResult) -> Profile:
    return read_profile(result.output)


def figures(profile: Profile) -> dict[str, Any]:
    """All of a profile that no random bits of a sketch and no order of a sum decide."""
    columns = {**profile.features, **{f"score {name}": one for name, one in profile.scores.items()}}
    return {
        name: (
            *(one.kind, one.rows, one.nulls, one.nans, one.infinities, one.minimum, one.maximum, one.sampled),
            *(one.frequent, one.other, None if one.mean is None else round(one.mean, 9), round(one.sum_of_squares, 6)),
        )
        for name, one in columns.items()
    }


@pytest.fixture
def work(folder: Path) -> Path:
    """Three shards; a null and a row with text that is none are for the quarantine."""
    model_file(folder)
    for number in range(3):
        columns = numbers(40, first=number * 40)
        shard(folder / "in" / f"s{number}.parquet", {**columns, "b": [None, *columns["b"][1:]]}, row_group_rows=10)
    return folder


def profiled(folder: Path, **options: Any) -> RunResult:
    return run(folder, **{"profile": "on", "on_error": "quarantine", "batch_rows": 5, **options})


# What it is of


def test_it_is_of_the_rows_that_were_written_and_of_their_scores(work: Path) -> None:
    result = profiled(work, passthrough=ABC)
    rows, found = scored(result), profile_of(result)
    assert (found.rows, result.manifest.rows.rows_out, result.manifest.rows.rows_quarantined) == (117, 117, 3)
    assert set(found.features) == set(ABC)
    assert set(found.scores) == {"Y"}
    assert found.model == result.manifest.model.digest
    for name, column in {**found.features, **found.scores}.items():
        values = rows[name].to_numpy().astype(np.float64)
        assert (column.rows, column.nulls, column.nans, column.sampled) == (117, 0, 0, 117)
        assert (column.minimum, column.maximum) == (values.min(), values.max())
        assert column.mean == pytest.approx(values.mean(), rel=1e-9)
        assert column.standard_deviation == pytest.approx(values.std(ddof=1), rel=1e-9)
        assert quantiles(column, [0.5])[0] == pytest.approx(np.quantile(values, 0.5, method="inverted_cdf"))


def test_what_is_missing_counts_as_that_whatever_the_model_is_given(work: Path) -> None:
    found = profile_of(profiled(work, nulls="nan", nan_scores="allow"))
    assert (found.features["b"].rows, found.features["b"].nulls, found.features["b"].nans) == (120, 3, 0)
    assert found.scores["Y"].nans == 3
    assert found.features["a"].nulls == 0


def test_csv_and_parquet_of_the_same_rows_have_the_same_profile(work: Path) -> None:
    for number in range(3):
        columns = numbers(40, first=number * 40)
        shard(work / "csv" / f"s{number}.csv", {**columns, "b": ["", *columns["b"][1:]]})
    for options in ({}, {"nulls": "nan", "nan_scores": "allow"}):
        once = profiled(work, output=str(work / f"p{len(options)}"), **options)
        again = profiled(work, output=str(work / f"c{len(options)}"), inputs=(str(work / "csv"),), **options)
        assert figures(profile_of(once)) == figures(profile_of(again))


def test_labels_are_categories_and_probabilities_numbers(folder: Path) -> None:
    save(classifier(3, (0, 1, 2)), folder / "model.onnx")
    shard(folder / "in" / "s.parquet", numbers(30))
    result = profiled(folder, features=("a,b,c",))
    found, rows = profile_of(result), scored(result)
    (label,) = [name for name, one in found.scores.items() if one.kind == "category"]
    counts = {str(value): rows[label].to_pylist().count(value) for value in set(rows[label].to_pylist())}
    assert found.scores[label].frequent == counts
    assert {one.kind for name, one in found.scores.items() if name != label} == {"number"}


def test_text_features_are_categories(folder: Path) -> None:
    package = SAMPLES / "models" / "late-pipeline"
    flights = str(SAMPLES / "flights" / "month=01")
    result = score(ScoreRequest(str(package), (flights,), str(folder / "out"), passthrough=("carrier", "distance")))
    found, rows = profile_of(result), scored(result)
    carriers = rows["carrier"].to_pylist()
    assert found.features["carrier"].frequent == {name: carriers.count(name) for name in set(carriers)}
    assert found.features["carrier"].kind == "category"
    assert found.features["distance"].mean == pytest.approx(np.mean(rows["distance"].to_numpy()))


# The same however the work was done


@pytest.mark.parametrize("options", [{"workers": 2}, {"batch_rows": 7}, {"output_format": "csv"}])
def test_the_figures_do_not_depend_on_how_the_work_was_done(work: Path, options: dict[str, Any]) -> None:
    one, other = profiled(work), profiled(work, output=str(work / "other"), **options)
    assert figures(profile_of(one)) == figures(profile_of(other))


class StopAfter(Silent):
    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        self.left -= not resumed
        if self.left == 0:
            raise WorkersDied("s", 0, 1, 3, f"after task {record.task}")


@pytest.mark.parametrize("output", ["out", "out.parquet"])
def test_a_run_that_was_taken_up_has_the_whole_profile(work: Path, output: str) -> None:
    asked = request(work, profile="on", on_error="quarantine", output=str(work / output))
    with pytest.raises(WorkersDied):
        score(asked, observer=StopAfter(2))
    again = profiled(work, if_exists="resume", batch_rows=None, output=str(work / output))
    assert again.manifest.run.resumed_tasks == 2
    assert figures(profile_of(again)) == figures(profile_of(profiled(work, batch_rows=None, output=str(work / "f"))))
    verify(str(again.output))


def test_parts_that_are_taken_over_are_profiled_though_not_scored(work: Path) -> None:
    for output_format in ("parquet", "csv"):
        kind: dict[str, Any] = {"nulls": "nan", "nan_scores": "allow", "output_format": output_format}
        plain = profiled(work, profile="off", output=str(work / f"plain {output_format}"), **kind)
        assert plain.manifest.profile is None
        taken = profiled(work, reuse=str(plain.output), output=str(work / f"taken {output_format}"), **kind)
        assert (taken.manifest.run.reused_tasks, taken.manifest.deduplication.scored_rows) == (
            len(taken.manifest.plan.tasks),
            0,
        )
        fresh = profiled(work, output=str(work / f"fresh {output_format}"), **kind)
        assert figures(profile_of(taken)) == figures(profile_of(fresh))
        assert data_bytes(taken.output / "data") == data_bytes(plain.output / "data")
        verify(str(taken.output))


def test_a_profile_changes_no_byte_of_the_data(work: Path) -> None:
    with_one, without = profiled(work), profiled(work, profile="off", output=str(work / "without"))
    assert contents(with_one.output / "data") == contents(without.output / "data")
    assert with_one.manifest.plan.work_id == without.manifest.plan.work_id
    assert replay(str(with_one.output)).identical


# When there is one, and where


def test_a_packages_run_into_a_folder_has_one_and_others_only_where_it_is_asked_for(work: Path) -> None:
    assert run(work, on_error="quarantine").manifest.profile is None
    flights = str(SAMPLES / "flights" / "month=02")
    package = str(SAMPLES / "models" / "late-gbm")
    made = score(ScoreRequest(package, (flights,), str(work / "of package")))
    assert made.manifest.profile is not None
    assert (made.output / "profile.json").is_file()
    alone = score(ScoreRequest(package, (flights,), str(work / "one.csv")))
    assert alone.manifest.profile is None
    off = score(ScoreRequest(package, (flights,), str(work / "off"), profile="off"))
    assert (off.manifest.profile, off.manifest.plan.profile_every) == (None, 0)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_beside_one_file_it_is_a_second_one_and_goes_where_it_is_replaced(work: Path, name: str) -> None:
    result = profiled(work, output=str(work / name))
    assert read_profile(work / name) == read_profile(work / f"{name}.profile.json")
    assert verify(str(work / name)).files == len(result.manifest.outputs)
    profiled(work, output=str(work / name), profile="off", if_exists="overwrite")
    assert not (work / f"{name}.profile.json").exists()


def test_standard_output_has_no_place_for_one(work: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="standard output"), (tmp_path / "stdout").open("wb") as stream:
        score_to_stream(request(work, output="-", profile="on"), stream)


def test_a_folder_with_a_profile_is_a_finished_run_and_may_be_replaced(work: Path) -> None:
    profiled(work)
    again = profiled(work, if_exists="overwrite", profile="whole")
    assert profile_of(again).rows == 117


# How many rows go to the quantiles


@pytest.mark.parametrize("rows", [0, 1, 9_999, 10_000, 40_000, 400_000, 1_000_000, 4_000_000, 10**9])
def test_about_as_many_rows_are_sampled_as_are_worth_it(rows: int) -> None:
    every = profile_every_for(rows)
    sampled = rows // every
    assert sampled == rows or 10_000 <= sampled <= max(50_000, 10_000)
    assert rows / profile_every_for(rows, whole=True) <= 1_000_000


def test_the_plan_says_which_rows_were_sampled(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", numbers(30_000), row_group_rows=7_000)
    result = profiled(folder, batch_rows=None)
    found = profile_of(result)
    assert result.manifest.plan.profile_every == 3
    assert found.rows == 30_000
    assert found.quantile_rows == found.features["a"].sampled == 10_000
    whole = profile_of(profiled(folder, profile="whole", batch_rows=None, output=str(folder / "whole")))
    assert whole.quantile_rows == 30_000


# verify


def test_verify_finds_a_profile_that_was_changed_or_is_gone(work: Path) -> None:
    out = profiled(work).output
    before = (out / "profile.json").read_bytes()
    for content in (before.replace(b'"rows": 117', b'"rows": 118'), before + b" "):
        (out / "profile.json").write_bytes(content)
        with pytest.raises(RunMismatch, match=r"profile\.json"):
            verify(str(out))
    (out / "profile.json").unlink()
    with pytest.raises(RunMismatch, match="missing"):
        verify(str(out))


def test_verify_finds_a_profile_that_no_plan_asked_for(work: Path) -> None:
    one = profiled(work).output
    other = profiled(work, profile="off", output=str(work / "other")).output
    shutil.copy(one / "profile.json", other / "profile.json")
    with pytest.raises(RunMismatch, match="not part of it"):
        verify(str(other))


def test_a_profile_is_refused_whose_seal_does_not_hold(tmp_path: Path) -> None:
    profiler = Profiler()
    profiler.add({"x": Numbers(np.arange(9.0))}, {}, rows=9)
    path = tmp_path / "profile.json"
    path.write_bytes(encode_sealed(profiler.result(source="", model="")).replace(b'"mean": 4.0', b'"mean": 5.0'))
    with pytest.raises(RunMismatch, match="digest"):
        read_profile(path)


def test_lists_are_profiled_place_by_place_up_to_a_bound(folder: Path) -> None:
    save_of = {"short": 4, "long": 40}
    for name, width in save_of.items():
        model_file(folder, linear(width), name=f"{name}.onnx")
        values = np.arange(width * 8, dtype=np.float32).reshape(8, width)
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width)
        shard(folder / name / "s.parquet", {"x": column})
        asked = request(
            folder,
            model=str(folder / f"{name}.onnx"),
            inputs=(str(folder / name),),
            output=str(folder / f"o {name}"),
            features=("x",),
            profile="on",
        )
        found = profile_of(score(asked))
        if width <= 16:
            assert [found.features[f"x[{place}]"].maximum for place in range(width)] == values.max(axis=0).tolist()
        else:
            assert (found.features, found.left_out) == ({}, ("x",))
