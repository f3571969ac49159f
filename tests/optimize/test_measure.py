"""Speed, dependence on the batch, and quality by labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.contract import Contract, Input, Output, TensorSpec
from mlserve_cli.errors import DataError, UsageError
from mlserve_cli.optimize.measure import auc, quality, quality_figures, speed_ratio
from mlserve_cli.optimize.parent import Parent, open_parent
from mlserve_cli.optimize.rows import Rows
from tests import models

X = Input(TensorSpec("X", "float32", (None, 1)), ("x",))


def contract_of(width: int, role: Any, classes: tuple[str | int, ...] = ()) -> Contract:
    output = Output(TensorSpec("P", "float32", (None, width)), role, tuple(f"p{i}" for i in range(width)), classes)
    return Contract(inputs=(X,), outputs=(output,))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    values, positive = np.array([value for value, _ in rows], np.float64), np.array([late for _, late in rows])
    ones, zeros = values[positive], values[~positive]
    if not len(ones) or not len(zeros):
        with pytest.raises(DataError, match="no AUC"):
            auc(values, positive)
        return

    pairs = [1.0 if one > zero else 0.5 if one == zero else 0.0 for one in ones for zero in zeros]

    assert auc(values, positive) == pytest.approx(np.mean(pairs))


def test_a_binary_classifier_is_judged_by_auc_and_log_loss() -> None:
    probabilities = {"P": np.array([[0.1], [0.8], [0.6]], np.float32)}

    found = quality(probabilities, np.array([0.0, 1.0, 0.0]), contract_of(1, "probability"))

    assert found["auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.4])), rel=1e-6)


def test_more_classes_are_judged_by_accuracy_and_named_by_text() -> None:
    probabilities = {"P": np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], np.float32)}
    contract = contract_of(3, "probability", ("a", "b", "c"))

    found = quality(probabilities, np.array(["a", "b"], object), contract)

    assert found["accuracy"] == 0.5
    with pytest.raises(DataError, match="none of the model's classes"):
        quality(probabilities, np.array(["a", "z"], object), contract)


def test_a_regressor_is_judged_by_rmse_and_loses_a_share_of_it() -> None:
    contract, labels = contract_of(1, "value"), np.array([0.0, 0.0])
    before = quality({"P": np.array([[1.0], [1.0]], np.float32)}, labels, contract)
    after = quality({"P": np.array([[1.1], [1.1]], np.float32)}, labels, contract)

    figures = quality_figures(before, after)

    assert figures["parent_rmse"] == 1.0
    assert figures["quality_loss"] == pytest.approx(0.1, rel=1e-5)


def test_several_scores_cannot_be_held_against_one_label() -> None:
    with pytest.raises(UsageError, match="one output"):
        quality({"P": np.zeros((2, 3), np.float32)}, np.zeros(2), contract_of(3, "value"))


def _opened(model: Any, folder: Path, name: str) -> Parent:
    return open_parent(str(models.save(model, folder / f"{name}.onnx")), features=("a,b,c,d",))


def test_a_larger_network_is_found_to_be_slower_and_a_smaller_one_faster(tmp_path: Path) -> None:
    small = _opened(models.mlp(hidden=8), tmp_path, "small")
    large = _opened(models.mlp(hidden=2_048), tmp_path, "large")
    rows = Rows({"X": np.ones((2_048, 4), np.float32)}, None, 0, "")

    slower = speed_ratio(small.predictor, large.predictor, rows, batch_rows=1_024, seconds=0.4)
    faster = speed_ratio(large.predictor, small.predictor, rows, batch_rows=1_024, seconds=0.4)

    assert slower["speed_ratio"] < 0.5
    assert faster["speed_ratio"] > 2
    assert slower["rows_per_s"] < slower["parent_rows_per_s"]
