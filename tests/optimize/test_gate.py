"""Differences between two sets of scores, and what a gate makes of them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.contract import Contract, Input, Output, TensorSpec
from mlserve_cli.errors import GateFailed
from mlserve_cli.optimize.gate import Gate, compare, demand

X = Input(TensorSpec("X", "float32", (None, 1)), ("x",))
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def contract_of(*outputs: Output, threshold: float | None = None) -> Contract:
    return Contract(inputs=(X,), outputs=outputs, threshold=threshold)


def score(width: int = 1, role: Any = "probability") -> Output:
    return Output(TensorSpec("P", "float32", (None, width)), role, tuple(f"p{i}" for i in range(width)))


def scores(*values: object) -> dict[str, Any]:
    return {"P": np.array(values, np.float32).reshape(len(values), -1)}


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_scores_do_not_differ_from_themselves(values: list[float]) -> None:
    found = compare(scores(*values), scores(*values), contract=contract_of(score(), threshold=0.5))

    assert (found.max_difference, found.mean_difference, found.label_flips) == (0, 0, 0)


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=20))
def test_differences_are_the_same_both_ways_and_never_below_the_mean(pairs: list[tuple[float, float]]) -> None:
    one, other = scores(*(left for left, _ in pairs)), scores(*(right for _, right in pairs))
    contract = contract_of(score(), threshold=0.25)

    there, back = compare(one, other, contract=contract), compare(other, one, contract=contract)

    assert there == back
    assert there.max_difference >= there.mean_difference
    assert there.max_difference == abs(there.max_difference)


def test_a_number_and_a_nan_are_infinitely_far_apart_and_no_limit_lets_that_pass() -> None:
    found = compare(scores(0.5, 0.5), scores(0.5, np.nan), contract=contract_of(score()))
    result = Gate.on_differences("parity", max_difference=1e300, mean_difference=1e300).judge(found.figures, rows=2)

    assert (found.max_difference, found.worst_row) == (np.inf, 1)
    assert not result.passed


def test_a_figure_that_is_nan_keeps_no_limit() -> None:
    assert not Gate("quality", most={"quality_loss": 1.0}).judge({"quality_loss": np.nan}, rows=1).passed
    assert not Gate("speed", least={"speed_ratio": 1.0}).judge({"speed_ratio": np.nan}, rows=1).passed


def test_a_flip_is_a_row_on_the_other_side_of_the_threshold() -> None:
    before, after = scores(0.24, 0.25, 0.9), scores(0.25, 0.24, 0.8)

    found = compare(before, after, contract=contract_of(score(), threshold=0.25))

    assert found.label_flips == 2
    assert found.flip_share == pytest.approx(2 / 3)


def test_without_a_threshold_the_likeliest_class_decides_and_a_single_score_decides_nothing() -> None:
    before, after = scores([0.6, 0.3, 0.1], [0.1, 0.2, 0.7]), scores([0.3, 0.6, 0.1], [0.1, 0.2, 0.7])

    assert compare(before, after, contract=contract_of(score(3))).label_flips == 1
    alone = compare(scores(0.1), scores(0.9), contract=contract_of(score(role="value")))
    assert alone.label_flips is None
    assert "label_flips" not in alone.figures


def test_labels_that_the_model_gives_are_compared_as_they_are() -> None:
    label = Output(TensorSpec("L", "string", (None,)), "label", ("label",))
    before, after = ({"L": np.array(values, object)} for values in (["a", "b"], ["a", "c"]))

    assert compare(before, after, contract=contract_of(label)).label_flips == 1


def test_a_gate_that_says_no_ends_with_4_and_tells_every_figure_and_limit() -> None:
    figures = {"max_difference": 0.3, "mean_difference": 0.001, "label_flips": 7.0, "flip_share": 0.07}
    gate = Gate.on_differences("parity", max_difference=0.1, mean_difference=0.005, max_flips=0.01)

    with pytest.raises(GateFailed) as caught:
        demand([gate.judge(figures, rows=100)], where="made of churn:3")

    error = caught.value
    assert error.exit_code == 4
    assert "largest difference is 0.3, at most 0.1 is allowed" in error.what
    assert "share of label flips is 0.07, at most 0.01 is allowed" in error.what
    assert "mean difference is" not in error.what
    assert "mean difference 0.001" in error.where
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_gate_that_says_yes_stops_nothing() -> None:
    demand([Gate("speed", least={"speed_ratio": 1.0}).judge({"speed_ratio": 1.0}, rows=1)], where="")
