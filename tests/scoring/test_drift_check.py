"""A run held against the rows that it should look like: committed whatever comes of it, and 4 where that is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlserve_cli import RunResult
from mlserve_cli.errors import DataError, InputMissing, InvalidConfig, MlserveError, UnknownModel, UsageError
from mlserve_cli.manifest import read_manifest
from mlserve_cli.scoring import preview, verify
from tests.scoring.runs import data_bytes, model_file, request, run, shard

ROWS = 400


@pytest.fixture
def place(folder: Path) -> Path:
    """A model of a, b and c, and the profile of a run over normal rows: `base`."""
    model_file(folder)
    rows(folder / "then" / "s.parquet", seed=1)
    run(folder, inputs=(str(folder / "then"),), output=str(folder / "base"), profile="on")
    rows(folder / "in" / "s.parquet", seed=2)
    return folder


def rows(path: Path, *, seed: int, shift: float = 0.0, count: int = ROWS) -> Path:
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=count) for name in ("a", "b", "c")}
    return shard(path, {**columns, "a": columns["a"] + shift})


def held(folder: Path, **options: Any) -> RunResult:
    return run(folder, **{"drift_profile": str(folder / "base"), **options})


def test_rows_that_look_like_those_of_then_have_not_drifted(place: Path) -> None:
    result = held(place, fail_on_drift=True)
    assert result.exit_code == 0
    assert result.manifest.drift is not None
    assert result.manifest.drift.passed
    assert {column.name for column in result.manifest.drift.columns} == {"a", "b", "c", "Y"}


def test_a_drift_is_told_and_only_on_request_ends_with_4(place: Path) -> None:
    rows(place / "in" / "s.parquet", seed=2, shift=2)
    told = held(place)
    failed = held(place, fail_on_drift=True, output=str(place / "other"))
    for result, code in ((told, 0), (failed, 4)):
        drift = read_manifest(result.manifest_path).drift
        assert drift is not None
        assert not drift.passed
        assert drift.columns[0].name == "a"
        assert (result.exit_code, result.manifest.run.exit_code, result.manifest.run.status) == (code, code, "complete")


def test_a_run_that_ends_with_4_is_committed_to_the_last_byte(place: Path) -> None:
    rows(place / "in" / "s.parquet", seed=2, shift=2)
    held(place, fail_on_drift=True)
    assert verify(str(place / "out")).manifest.rows.rows_out == ROWS
    run(place, output=str(place / "plain"))
    plain = data_bytes(place / "plain")
    assert {name: content for name, content in data_bytes(place / "out").items() if name in plain} == plain


def test_4_counts_for_more_than_3(place: Path) -> None:
    random = np.random.default_rng(3)
    columns: dict[str, Any] = {name: list(random.normal(3, 1, ROWS)) for name in ("a", "b", "c")}
    columns["b"][7] = None
    shard(place / "in" / "s.parquet", columns)
    result = held(place, fail_on_drift=True, on_error="quarantine")
    assert (result.exit_code, result.manifest.rows.rows_quarantined) == (4, 1)
    assert held(place, on_error="quarantine", output=str(place / "other")).exit_code == 3


@pytest.mark.parametrize("output", ["out", "out.parquet", "out.csv"])
def test_a_drift_option_has_the_run_profiled_whatever_its_output(place: Path, output: str) -> None:
    result = held(place, output=str(place / output))
    assert result.manifest.profile is not None
    assert result.manifest.drift is not None
    assert run(place, output=str(place / f"plain-{output}")).manifest.drift is None


def test_thresholds_are_by_column(place: Path) -> None:
    rows(place / "in" / "s.parquet", seed=2, shift=2)
    (place / "drift.toml").write_text(
        "format = 1\n[columns.a]\nignore = true\n[columns.Y]\npsi = inf\nout_of_range = 1"
    )
    result = held(place, drift_thresholds=str(place / "drift.toml"), fail_on_drift=True)
    assert result.exit_code == 0
    assert result.manifest.drift is not None
    assert {column.name for column in result.manifest.drift.columns} == {"b", "c", "Y"}


def test_a_run_that_stands_keeps_its_verdict(place: Path) -> None:
    rows(place / "in" / "s.parquet", seed=2, shift=2)
    held(place, fail_on_drift=True)
    again = held(place, fail_on_drift=True, if_exists="resume")
    assert (again.already, again.exit_code) == (True, 4)


# Refused before anything is scored


def mistyped(folder: Path) -> dict[str, Any]:
    (folder / "drift.toml").write_text("format = 1\n[columns.aa]\npsi = 1")
    return {"drift_thresholds": str(folder / "drift.toml")}


def of_other_data(folder: Path) -> dict[str, Any]:
    from mlserve_cli import profile

    shard(folder / "other.parquet", {"x": [1.0, 2.0]})
    profile(str(folder / "other.parquet"), output=str(folder / "other.json"))
    return {"drift_profile": str(folder / "other.json")}


def damaged(folder: Path) -> dict[str, Any]:
    path = folder / "base" / "profile.json"
    path.write_bytes(path.read_bytes().replace(b'"rows": 400', b'"rows": 401'))
    return {}


def nothing(folder: Path) -> dict[str, Any]:
    return {"drift_profile": str(folder / "nothing.json")}


def given(**options: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda _: options


REFUSED: dict[str, tuple[Callable[[Path], dict[str, Any]], type[MlserveError], str]] = {
    "no profile": (nothing, InputMissing, "no profile"),
    "no model of that name": (given(drift_profile="churn:1"), UnknownModel, "churn"),
    "no baseline": (given(drift_profile=None, fail_on_drift=True), UsageError, "model has no baseline"),
    "profile off": (given(profile="off"), UsageError, "--drift-profile contradicts --profile off"),
    "mistyped column": (mistyped, InvalidConfig, "no profile has a column aa"),
    "other data": (of_other_data, InvalidConfig, "none of the columns that the model reads"),
    "damaged": (damaged, DataError, "its own digest"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_not_be_judged_is_refused_before_the_run(place: Path, case: str) -> None:
    options, error, what = REFUSED[case]
    asked = {"drift_profile": str(place / "base"), "registry": str(place / "shelves"), **options(place)}
    for start in (run, lambda folder, **given: preview(request(folder, **given))):
        with pytest.raises(error, match=what):
            start(place, **asked)
    assert not (place / "out").exists()
