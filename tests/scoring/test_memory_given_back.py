"""What opening models leaves behind is handed back before the rows come, whichever model left it."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from mlserve_cli.scoring import run as driver
from mlserve_cli.scoring import task
from tests.models import save
from tests.scoring.runs import ABC, model_file, numbers, run, shard
from tests.trees.ensembles import FEATURES, Forest, build


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who gave memory back; what it does is seen in test_machine.py."""
    found: list[str] = []
    monkeypatch.setattr(task, "give_back_memory", lambda: found.append("lanes"))
    monkeypatch.setattr(driver, "give_back_memory", lambda: found.append("driver"))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A linear champion, a forest, and rows for both."""
    names = tuple(f"f{i}" for i in range(FEATURES))
    forest = build(Forest(trees=3, depth=2), seed=1)
    helper.set_model_props(forest, {"feature_names": ",".join(names)})
    save(forest, tmp_path / "forest.onnx")
    model_file(tmp_path)
    for name in ("one", "two"):
        shard(tmp_path / "in" / f"{name}.parquet", numbers(8, columns=(*ABC, *names)))
    return tmp_path


def test_a_forest_among_the_challengers_is_enough(given_back: list[str], folder: Path) -> None:
    run(folder)
    assert given_back == []
    run(folder, output=str(folder / "both"), challengers=(str(folder / "forest.onnx"),))
    assert given_back == ["lanes"]


@pytest.mark.parametrize("cheap", [True, False])
def test_a_driver_gives_back_what_it_proved_whether_it_reads_rows_or_not(
    cheap: bool, given_back: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "sampling_is_cheap", lambda _: cheap)
    run(folder, workers=2)
    assert given_back == ["driver"]
