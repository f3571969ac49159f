"""A file of thresholds: what it may say, and that nothing in it is passed over."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mlserve_cli.errors import InvalidConfig
from mlserve_cli.profiles import Limits, Thresholds, read_thresholds


def written(folder: Path, text: str) -> Thresholds:
    path = folder / "drift.toml"
    path.write_text(text)
    return read_thresholds(str(path))


def test_without_a_file_the_usual_limits_hold() -> None:
    assert read_thresholds(None) == Thresholds()
    assert read_thresholds(None).of("any") == Limits(
        psi=0.2, js=math.inf, ks=math.inf, nulls=0.05, out_of_range=0.01, unseen=0.01, ignore=False
    )


def test_a_column_has_its_own_limits_and_for_the_rest_the_default_of_the_file(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        """
        format = 1
        false_alarm_rate = 0.001
        [default]
        psi = 0.1
        nulls = 1
        [columns.temp]
        psi = inf
        ks = 0.3
        [columns."day of month"]
        ignore = true
        """,
    )
    assert found.false_alarm_rate == 0.001
    assert found.of("else") == Limits(psi=0.1, nulls=1)
    assert found.of("temp") == Limits(psi=math.inf, ks=0.3, nulls=1)
    assert found.of("day of month").ignore


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("format = 2", "format 2 is not known"),
        ("psi = 0.1", "format None is not known"),
        ("format = 1\npsi = 0.1", "unknown field `psi`"),
        ("format = 1\n[default]\npsy = 0.1", "unknown field `psy`"),
        ("format = 1\n[columns.temp]\npsy = 0.1", "unknown field `psy`"),
        ("format = 1\n[columns.temp]\npsi = -0.1", ">= 0"),
        ("format = 1\n[columns.temp]\npsi = nan", ">= 0"),
        ("format = 1\n[columns.temp]\npsi = true", "Expected `float`"),
        ("format = 1\n[columns.temp]\nignore = 1", "Expected `bool`"),
        ("format = 1\nfalse_alarm_rate = 0", "> 0"),
        ("format = 1\nfalse_alarm_rate = 1", "< 1"),
        ("format = ", "not a TOML file"),
    ],
)
def test_what_is_not_known_or_no_limit_is_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        written(tmp_path, text)
    assert what in refused.value.what
    assert "drift.toml" in refused.value.where


@pytest.mark.parametrize("name", ["nothing.toml", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidConfig, match="no such file of thresholds"):
        read_thresholds(str(tmp_path / name))


def test_a_column_that_no_profile_has_was_mistyped(tmp_path: Path) -> None:
    found = written(tmp_path, "format = 1\n[columns.tmep]\npsi = 1")
    with pytest.raises(InvalidConfig, match="no profile has a column tmep") as refused:
        found.check_columns(["humid", "temp"])
    assert refused.value.hint == "did you mean temp?"
    found.check_columns(["tmep"])
