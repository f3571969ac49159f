"""Runs with two models in them: a challenger beside the champion, the arms of a canary, over days."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mlserve_cli
from mlserve_cli import GateRequest
from mlserve_cli.errors import InputMissing, UsageError
from mlserve_cli.registry import Registry
from mlserve_cli.rollout import Asked, CompareRequest, Comparison
from tests.models import save
from tests.rollout.trial import came, customers, logistic, models, scored, write

ROWS, DAYS = 800, 4


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of a shop. `shadow/` has a run of each with a challenger, `canary/` one with a fifth, then half of it.

    The same customers come every day.
    """
    folder = tmp_path_factory.mktemp("days")
    registry = str(folder / "registry")
    for model, alias in zip(models(folder), ("champion", ""), strict=True):
        Registry(folder / "registry").add(model, name="churn", alias=alias)
    first = customers(ROWS, 20)
    for day in range(DAYS):
        rows = write(folder / f"day-{day}", on_day(first, day))
        more: dict[str, Any] = {"registry": registry, "threshold": 0.5, "challengers": ("churn:2",)}
        for kind, own in (("shadow", {}), ("canary", {"canary": 20.0 if day < 2 else 50.0})):
            (folder / kind).mkdir(exist_ok=True)
            scored("churn:1", rows, folder / kind / f"day-{day}", **more, **own)
    came(folder, first)
    return folder


def on_day(first: pa.Table, day: int) -> pa.Table:
    """The same customers, who have changed a little."""
    moved = np.asarray(first["a"]) + 0.1 * np.random.default_rng(day).normal(size=ROWS)
    return first.set_column(1, "a", pa.array(moved))


def compared(request: CompareRequest) -> Comparison:
    (found,) = mlserve_cli.compare(request).comparisons
    return found


def labelled(days: Path, kind: str, **more: Any) -> Comparison:
    labels = (str(days / "came.parquet"),)
    return compared(CompareRequest(str(days / kind), labels=labels, asked=Asked(positive="1"), **more))


def scores(run: Path, where: str = "data") -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in sorted((run / where).iterdir())])


def test_a_challenger_is_paired_with_its_champion(days: Path, tmp_path: Path) -> None:
    found = compared(CompareRequest(str(days / "shadow" / "day-0")))
    alone = [
        scored(str(days / f"{name}.onnx"), str(days / "day-0"), tmp_path / name, threshold=0.5)
        for name in ("old", "new")
    ]
    two = compared(CompareRequest(alone[0], alone[1]))
    assert (found.kind, found.a.spelled, found.b.spelled) == ("challenger", "churn:1", "churn:2")
    assert (found.columns, found.decisions, found.moved) == (two.columns, two.decisions, two.moved)
    assert found.cost_ratio is not None


def test_days_of_a_challenger_are_one_comparison_and_a_customer_counts_once(days: Path) -> None:
    found = labelled(days, "shadow")
    assert (found.runs, found.rows) == (DAYS, DAYS * ROWS)
    assert found.labelled is not None
    assert (found.labelled.rows, found.labelled.units) == (DAYS * ROWS, ROWS)
    (column,) = found.columns
    everything = [scores(days / "shadow" / f"day-{day}") for day in range(DAYS)]
    champion = np.concatenate([np.asarray(one["score"], np.float64) for one in everything])
    assert column.a_mean == pytest.approx(champion.mean())


def test_the_arms_of_a_canary_are_compared_on_rows_of_their_own(days: Path) -> None:
    found = labelled(days, "canary")
    whole = pa.concat_tables([scores(days / "canary" / f"day-{day}") for day in range(DAYS)])
    in_b = np.asarray(whole["model"].to_pylist()) == "churn:2"
    assert found.arms is not None
    assert (found.kind, found.runs) == ("arms", DAYS)
    assert (found.arms.a_rows, found.arms.b_rows) == (int((~in_b).sum()), int(in_b.sum()))
    assert (found.arms.a_share, found.arms.b_share, found.arms.periods) == (0.5, 0.5, 2)
    assert found.arms.mismatch_p_value > 0.05
    assert found.labelled is not None
    assert found.labelled.a_rows + found.labelled.b_rows == DAYS * ROWS
    assert found.labelled.units == ROWS
    accuracy = next(one for one in found.labelled.metrics if one.metric == "accuracy")
    truth = np.tile(np.asarray(customers(ROWS, 20)["came"]), DAYS)
    right = np.asarray(whole["prediction"]) == truth
    day = np.repeat(np.arange(DAYS), ROWS)
    halves = [(day < 2), (day >= 2)]  # a fifth, then a half: each compared by itself
    wanted = np.mean([right[half & in_b].mean() - right[half & ~in_b].mean() for half in halves])
    assert accuracy.gain.value == pytest.approx(wanted)


def test_arms_are_compared_without_any_label_by_what_they_say(days: Path) -> None:
    found = compared(CompareRequest(str(days / "canary")))
    assert found.labelled is None
    assert found.arms is not None
    last = pa.concat_tables([scores(days / "canary" / f"day-{day}") for day in (2, 3)])
    in_b = np.asarray(last["model"].to_pylist()) == "churn:2"
    said = np.asarray(last["score"], np.float64)
    assert found.arms.shift["score"].value == pytest.approx(said[in_b].mean() - said[~in_b].mean())


def test_rows_that_were_lost_on_the_way_are_noticed(days: Path, tmp_path: Path) -> None:
    """Somebody left out most customers of the second arm before they scored; the shares do not add up any more."""
    run = scores(days / "canary" / "day-3")
    keep = run.filter(pa.array((np.asarray(run["model"].to_pylist()) == "churn:1") | (np.arange(ROWS) % 4 == 0)))
    table = on_day(customers(ROWS, 20), 3)
    rows = write(tmp_path, table.filter(pa.array(np.isin(np.asarray(table["id"]), np.asarray(keep["id"])))))
    more = {"registry": str(days / "registry"), "challengers": ("churn:2",), "canary": 50.0, "threshold": 0.5}
    found = compared(CompareRequest(scored("churn:1", rows, tmp_path / "lost", **more)))
    assert found.arms is not None
    assert found.arms.mismatch_p_value < 1e-6
    assert any("find out what lost rows" in note for note in found.notes)


def test_too_few_labels_are_too_early(days: Path, tmp_path: Path) -> None:
    labels = came(tmp_path, customers(ROWS, 20).slice(0, 20))
    request = CompareRequest(str(days / "canary" / "day-0"), labels=(labels,), asked=Asked(positive="1"))
    found = compared(request)
    assert found.labelled is None
    assert any("30 labels of each arm" in note for note in found.notes)


def test_runs_of_an_earlier_experiment_are_left_out_and_counted(days: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(days / "shadow", runs)
    save(logistic((1.0, -0.5)), tmp_path / "third.onnx")
    more = {"registry": str(days / "registry"), "threshold": 0.5}
    for out, challenger in (("x", str(tmp_path / "third.onnx")), ("y", str(tmp_path / "third.onnx"))):
        scored("churn:1", str(days / "day-0"), runs / out, challengers=(challenger,), **more)
    found = compared(CompareRequest(str(runs)))
    assert (found.b.spelled, found.runs) == ("third", 2)
    assert found.notes[0] == "4 runs are of other models and left out"
    back = compared(CompareRequest(str(runs), challenger="churn:2"))
    assert (back.b.spelled, back.runs, back.notes) == ("churn:2", 4, ())


def test_which_challenger_is_meant_is_asked_where_there_are_several(days: Path, tmp_path: Path) -> None:
    challengers = ("churn:2", str(days / "new.onnx"))
    run = scored(
        "churn:1", str(days / "day-0"), tmp_path / "two", registry=str(days / "registry"), challengers=challengers
    )
    with pytest.raises(UsageError, match="several challengers") as error:
        compared(CompareRequest(run))
    assert error.value.hint == "--challenger names one of churn:2, new"
    assert compared(CompareRequest(run, challenger="new")).b.spelled == "new"
    with pytest.raises(InputMissing, match="no run has rows of a challenger fraud") as missing:
        compared(CompareRequest(run, challenger="fraud"))
    assert missing.value.hint == "there are churn:2, new"


def test_three_arms_are_each_compared_with_the_first(days: Path, tmp_path: Path) -> None:
    save(logistic((1.0, -0.5)), tmp_path / "third.onnx")
    run = scored(
        "",
        str(days / "day-0"),
        tmp_path / "three",
        registry=str(days / "registry"),
        split={"churn:1": 50.0, "churn:2": 25.0, str(tmp_path / "third.onnx"): 25.0},
        split_key="id",
    )
    found = mlserve_cli.compare(CompareRequest(run)).comparisons
    assert [(one.a.spelled, one.b.spelled) for one in found] == [("churn:1", "churn:2"), ("churn:1", "third")]
    assert compared(CompareRequest(run, challenger="third")).b.spelled == "third"
    with pytest.raises(InputMissing, match="no arm fraud"):
        compared(CompareRequest(run, challenger="fraud"))


def test_the_verdict_on_a_canary_promotes_it(days: Path, tmp_path: Path) -> None:
    """The whole way: shadow, canary, champion, each step on a gate of its own."""
    shutil.copytree(days / "registry", tmp_path / "registry")
    registry = Registry(tmp_path / "registry")
    (tmp_path / "gates.toml").write_text(
        "format = 1\n[gates.shadow]\nleast = { auc.gain_anytime_low = 0 }\n"
        "[gates.canary]\nleast = { units_b = 100, mismatch_p_value = 0.001, accuracy.gain_low = -0.1 }\n"
    )
    for gate, kind, alias in (("shadow", "shadow", "canary"), ("canary", "canary", "champion")):
        request = CompareRequest(
            str(days / kind),
            labels=(str(days / "came.parquet"),),
            asked=Asked(positive="1"),
            gate=GateRequest(str(tmp_path / "gates.toml"), gate, record=True, registry=str(registry.root)),
            expected_rows=500,
        )
        found = mlserve_cli.compare(request)
        assert found.verdict is not None
        assert found.verdict.passed, found.verdict.reasons
        assert registry.set_alias("churn", alias, 2, if_passes=gate).version == 2
    assert registry.history("churn").aliases == {"canary": 2, "champion": 2}
