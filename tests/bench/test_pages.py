"""The results page says what was measured, and the goals what that is worth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mlserve_cli.benchmark import BenchResult, Measured, ModelResult, draw
from mlserve_cli.benchmark.results import ratios_of
from tests.benchmarks import goals, page
from tests.benchmarks.figures import (
    DOCS,
    FIGURES,
    MIB,
    PEERS,
    Figures,
    Kernel,
    Peak,
    Peer,
    Peers,
    Startup,
    read_figures,
)


@pytest.fixture
def kept() -> Figures:
    figures = read_figures()
    assert figures is not None
    return figures


def test_the_page_is_what_the_figures_beside_it_say(tmp_path: Path) -> None:
    for name in (FIGURES, PEERS):
        if (DOCS / name).exists():
            shutil.copy(DOCS / name, tmp_path)

    page.write(tmp_path)

    mend = "python -m tests.benchmarks.page"
    assert (tmp_path / page.RESULTS).read_text() == (DOCS / page.RESULTS).read_text(), mend


def test_the_picture_is_that_of_the_figures(kept: Figures) -> None:
    assert (DOCS / "benchmark.svg").read_text() == draw(kept.bench)


def test_no_folder_of_a_machine_stands_in_the_figures(kept: Figures) -> None:
    assert all("/" not in model.model for model in kept.bench.models)


# The goals


def measured(name: str, seconds: float) -> Measured:
    kind = {"mlserve": "mlserve", "mlserve, plain": "mlserve", "script": "peer"}.get(name, "limit")
    return Measured(name, kind, "", seconds=(seconds,), inner_seconds=(seconds,))  # type: ignore[arg-type]  # one of three


def model(name: str, **seconds: float) -> ModelResult:
    names = {"plain": "mlserve, plain", "limit": "back to back"}
    contenders = tuple(measured(names.get(short, short), each) for short, each in seconds.items())
    return ModelResult(name, "", "trees", 4_000_000, 8, 28, contenders, ratios_of(contenders))


@pytest.fixture
def verdict(kept: Figures) -> Callable[..., tuple[Any, str]]:
    """What is said of a goal where these are the figures."""

    def say(about: str, *, peers: Peers | None = None, **changes: object) -> tuple[Any, str]:
        empty = Figures("", structs.replace(kept.bench, models=()))
        found = goals.verdicts(structs.replace(empty, **changes), peers)
        return next((value, text) for goal, value, text in found if goal.about.startswith(about))

    return say


def with_models(kept: Figures, *models: ModelResult) -> BenchResult:
    return structs.replace(kept.bench, models=models)


@pytest.mark.parametrize(("script_s", "expected"), [(1.2, "as meant"), (1.05, "reached"), (0.95, "MISSED")])
def test_a_goal_is_reached_as_meant_or_missed(
    script_s: float, expected: str, kept: Figures, verdict: Callable[..., tuple[Any, str]]
) -> None:
    bench = with_models(kept, model("lr", mlserve=1.0, script=script_s, limit=0.9))
    assert verdict("lr against", bench=bench) == (pytest.approx(script_s), expected)
    assert verdict("lr: share", bench=bench) == (pytest.approx(0.9), "reached")


def test_what_was_not_measured_is_said(verdict: Callable[..., tuple[Any, str]]) -> None:
    assert {verdict(goal.about) for goal in goals.GOALS} == {(None, "not measured")}


def test_trees_are_held_to_the_fastest_that_uses_onnx_runtime(
    kept: Figures, verdict: Callable[..., tuple[Any, str]]
) -> None:
    bench = with_models(kept, model("xgb", mlserve=1.0, plain=2.0, script=5.0))
    assert verdict("xgb against", bench=bench) == (2.0, "MISSED")
    assert verdict("trees with", bench=bench) == (2.5, "as meant")


def test_the_slowest_peer_counts_for_nothing(verdict: Callable[..., tuple[Any, str]]) -> None:
    found = (
        Peer("mlserve", "", "lr", seconds=(1.0,), peak_memory_bytes=200),
        Peer("quick", "", "lr", seconds=(1.5,), peak_memory_bytes=900),
        Peer("small", "", "lr", seconds=(9.0,), peak_memory_bytes=100),
        Peer("broken", "", "lr", trouble="no Java"),
    )
    peers = Peers("", 1, 1, "", 2, found)
    assert verdict("times as fast", peers=peers) == (1.5, "as meant")
    assert verdict("the least memory", peers=peers) == (0.5, "MISSED")


def test_memory_kernel_and_start_have_their_goals(verdict: Callable[..., tuple[Any, str]]) -> None:
    memory = tuple(Peak("lr", rows, "2", 1.0, size * MIB, 0) for rows, size in ((1, 400), (16, 450)))
    assert verdict("peak memory", memory=memory) == (450, "as meant")
    assert verdict("its growth", memory=memory) == (12.5, "MISSED")
    kernel = (Kernel("lgb", {"the kernel": 80.0, "oneDAL": 100.0}), Kernel("rf", {"the kernel": 90.0}))
    assert verdict("the kernel", kernel=kernel) == (0.8, "reached")
    startup = (Startup(goals.SMALL, 0.15, "", 0.1), Startup(goals.HELP, 0.3, "", 0.1))
    assert verdict("1,000 rows", startup=startup) == (pytest.approx(1.5), "reached")
    assert verdict("`--help`", startup=startup) == (pytest.approx(3.0), "MISSED")
