"""Profiles, runs, models and data beside each other, and runs over time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlserve_cli import RunResult, drift, drift_history, model, profile
from mlserve_cli.errors import DataError, InputMissing, InvalidConfig, MlserveError, UsageError
from mlserve_cli.scoring.package_model import PackageRequest
from tests.scoring.runs import IN_MEMORY, model_file, request, run, shard

ROWS = 400


def rows(path: Path, *, seed: int, shift: float = 0.0, count: int = ROWS) -> Path:
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=count) for name in ("a", "b", "c")}
    return shard(path, {**columns, "a": columns["a"] + shift})


def month(folder: Path, name: str, *, shift: float = 0.0, output: str = "", **options: Any) -> RunResult:
    """A run of 400 rows."""
    model_file(folder)
    rows(folder / "data" / name / "s.parquet", seed=int(name), shift=shift)
    inputs = (str(folder / "data" / name),)
    return run(folder, inputs=inputs, output=str(folder / (output or f"runs/{name}")), **{"profile": "on", **options})


@pytest.fixture(scope="module")
def scored() -> Iterator[Path]:
    """Four months in which `a` rises, scored once for all tests."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        made = Path(name)
        (made / "runs").mkdir()
        for number, shift in (("01", 0.0), ("02", 0.1), ("03", 1.0), ("04", 2.0)):
            month(made, number, shift=shift)
        yield made


@pytest.fixture
def runs(folder: Path, scored: Path) -> Path:
    """The months, to be added to."""
    shutil.copytree(scored, folder, dirs_exist_ok=True)
    return folder / "runs"


@pytest.fixture
def package(folder: Path, runs: Path) -> str:
    """A package whose baseline is the first month."""
    model_file(folder)
    wanted = PackageRequest(
        onnx=str(folder / "model.onnx"),
        data=(str(folder / "data" / "01"),),
        name="linear",
        baseline=str(runs / "01"),
    )
    model.package(wanted, output=str(folder / "package"))
    return str(folder / "package")


# Two


def test_a_run_stands_beside_a_run_by_its_folder_its_manifest_and_its_profile(runs: Path) -> None:
    found = [drift(str(runs / "01"), str(runs / "03" / name)) for name in (".", "manifest.json", "profile.json")]
    assert found[0] == found[1] == found[2]
    assert [column.name for column in found[0].columns if column.reasons] == ["a", "Y"]


def test_a_run_of_one_file_has_its_profile_beside_it(folder: Path, runs: Path) -> None:
    month(folder, "05", output="one.csv")
    assert drift(str(runs / "01"), str(folder / "one.csv")).passed
    assert drift(str(runs / "01"), str(folder / "one.csv.manifest.json")).passed


def test_a_package_stands_for_the_rows_that_it_was_trained_on(package: str, runs: Path) -> None:
    found = drift(package, str(runs / "04"))
    assert (found.base, found.passed, found.base_rows) == ("the baseline of linear", False, ROWS)
    assert drift(package, str(runs / "01")).passed


def test_a_run_of_the_package_is_held_against_its_baseline_without_a_word(folder: Path, package: str) -> None:
    for shift, passed in ((0.0, True), (2.0, False)):
        rows(folder / "in" / "s.parquet", seed=9, shift=shift)
        result = run(folder, model=package, output=str(folder / f"held-{passed}"))
        assert result.manifest.drift is not None
        assert (result.manifest.drift.passed, result.exit_code) == (passed, 0)
    assert run(folder, model=package, output=str(folder / "failed"), fail_on_drift=True).exit_code == 4
    assert run(folder, model=package, output=str(folder / "off"), profile="off").manifest.drift is None


def test_a_model_of_the_registry_stands_for_its_version_s_rows(folder: Path, package: str, runs: Path) -> None:
    shelves = str(folder / "shelves")
    model.add(package, registry=shelves)
    found = drift("linear:1", str(runs / "04"), registry=shelves)
    assert (found.base, found.passed) == ("the baseline of linear:1", False)


def test_data_is_profiled_as_it_stands_or_as_a_model_takes_and_scores_it(folder: Path, runs: Path) -> None:
    data = str(folder / "data" / "01"), str(folder / "data" / "04" / "s.parquet")
    plain = drift(*data)
    assert {(column.name, column.role) for column in plain.columns} == {(name, "feature") for name in "abc"}
    scored = drift(*data, request=request(folder, inputs=(), output="-"))
    assert [(column.name, column.role) for column in scored.columns if column.reasons] == [
        ("a", "feature"),
        ("Y", "score"),
    ]
    assert drift(str(runs / "01"), data[0]).missing == ("Y",)


def test_a_profile_of_data_stands_beside_it(folder: Path, runs: Path) -> None:
    profile(str(folder / "data" / "01"), output=str(folder / "then.json"))
    assert drift(str(folder / "then.json"), str(folder / "data" / "0[1-2]")).passed


@pytest.mark.parametrize(
    ("base", "error", "what"),
    [
        ("nothing.json", InputMissing, "no profile"),
        ("nothing/", InputMissing, "no profile"),
        ("plain", InputMissing, "no profile"),
        ("model.onnx", UsageError, "model has no baseline"),
        ("other.parquet", DataError, "no column in common"),
    ],
)
def test_what_has_no_profile_or_no_common_column_is_named(
    folder: Path, runs: Path, base: str, error: type[MlserveError], what: str
) -> None:
    month(folder, "06", output="plain", profile="off")
    shard(folder / "other.parquet", {"x": [1.0]})
    with pytest.raises(error, match=what):
        drift(str(folder / base), str(runs / "01"))


def test_a_package_without_a_baseline_says_how_to_get_one(folder: Path, runs: Path) -> None:
    data = (str(folder / "data" / "01"),)
    model.package(PackageRequest(onnx=str(folder / "model.onnx"), data=data, name="bare"), output=str(folder / "bare"))
    with pytest.raises(UsageError, match="bare has no baseline") as refused:
        drift(str(folder / "bare"), str(runs / "01"))
    assert "mlserve model baseline" in refused.value.hint


def test_a_mistyped_column_of_the_thresholds_is_named(folder: Path, runs: Path) -> None:
    (folder / "drift.toml").write_text("format = 1\n[columns.d]\npsi = 1")
    for compare in (
        lambda: drift(str(runs / "01"), str(runs / "02"), thresholds=str(folder / "drift.toml")),
        lambda: drift_history(str(runs), thresholds=str(folder / "drift.toml")),
    ):
        with pytest.raises(InvalidConfig, match="no profile has a column d"):
            compare()


# Over time


def test_runs_follow_each_other_beside_the_first(runs: Path) -> None:
    found = drift_history(str(runs))
    assert [entry.run for entry in found.runs] == ["01", "02", "03", "04"]
    assert found.base == "01"
    assert [entry.drift.passed for entry in found.runs] == [True, True, False, False]
    assert found.ranked[0] == "a"
    indices = [entry.column("a").psi for entry in found.runs]  # type: ignore[union-attr]  # all of them have it
    assert indices == sorted(indices)
    assert indices[0] == 0


def test_runs_follow_each_other_beside_what_is_named(runs: Path, package: str) -> None:
    last = drift_history(str(runs), base=str(runs / "04"))
    assert [entry.drift.passed for entry in last.runs] == [False, False, False, True]
    assert drift_history(str(runs), base=package).base == "the baseline of linear"
    assert drift_history(str(runs / "02")).runs[0].run == "02"


def test_a_run_without_a_profile_or_with_damaged_files_is_left_out_by_name(folder: Path, runs: Path) -> None:
    month(folder, "05", profile="off")
    (runs / "06").mkdir()
    (runs / "06" / "manifest.json").write_text("{}")
    month(folder, "07")
    (runs / "07" / "profile.json").write_text("{}")
    month(folder, "08")
    (runs / "08" / "profile.json").unlink()
    found = drift_history(str(runs))
    assert len(found.runs) == 4
    assert found.skipped[0] == "05: it has no profile"
    assert sorted(path for reason in found.skipped[1:] for path in ("06", "07", "08") if f"/{path}" in reason) == [
        "06",
        "07",
        "08",
    ]


def test_without_any_profile_there_is_no_history(folder: Path) -> None:
    (folder / "runs").mkdir()
    month(folder, "01", profile="off")
    with pytest.raises(InputMissing, match="no run there has a profile"):
        drift_history(str(folder / "runs"))


def test_a_column_that_no_run_has_is_named(runs: Path) -> None:
    with pytest.raises(InvalidConfig, match="no run has a column z"):
        drift_history(str(runs), columns=["z"])
