"""Any ensemble scores as ONNX Runtime scores it, any rows, in any company; and what it is refused for is a sentence."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from mlserve_cli.session import Unsupported, prove_equal
from tests.trees.both import assert_alike, open_model
from tests.trees.ensembles import FEATURES, MODES, Forest, build, build_v5, rows_for

forests = st.builds(
    Forest,
    kind=st.sampled_from(["regressor", "classifier"]),
    trees=st.integers(1, 12),
    depth=st.integers(0, 8),
    modes=st.lists(st.sampled_from(MODES), min_size=1, unique=True),
    targets=st.integers(2, 4),
    missing=st.booleans(),
    aggregate=st.sampled_from(["SUM", "AVERAGE", "MIN", "MAX"]),
    transform=st.sampled_from(["NONE", "LOGISTIC", "SOFTMAX"]),
    text_labels=st.booleans(),
    dtype=st.sampled_from([TensorProto.FLOAT, TensorProto.DOUBLE]),
    weighed=st.sampled_from(["all", "one"]),
    positive=st.booleans(),
    grid=st.booleans(),
    uneven=st.floats(0, 0.9),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(forest=forests, seed=st.integers(0, 1_000_000), count=st.integers(1, 700))
def test_any_forest_scores_as_onnx_runtime_scores_it(forest: Forest, seed: int, count: int) -> None:
    model = build(forest, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        trees, plain, contract = open_model(model, Path(folder))
        rows = {"X": rows_for(model, count=count, seed=seed, dtype=forest.dtype)}
        assert_alike(trees.predict(rows), plain.predict(rows))
        prove_equal(trees, plain, contract)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000_000), targets=st.integers(1, 3), members=st.integers(1, 8), depth=st.integers(1, 7))
def test_any_version_5_scores_alike_or_is_refused(seed: int, targets: int, members: int, depth: int) -> None:
    model = build_v5(seed=seed, targets=targets, most_members=members, depth=depth)
    with tempfile.TemporaryDirectory() as folder:
        try:
            trees, plain, contract = open_model(model, Path(folder))
        except Unsupported:
            assert targets > 1  # of which some leaves say nothing
            return
        rows = {"X": rows_for(model, seed=seed)}
        assert_alike(trees.predict(rows), plain.predict(rows))
        prove_equal(trees, plain, contract)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000_000), cuts=st.lists(st.integers(1, 999), max_size=5))
def test_a_row_scores_the_same_in_any_batch(seed: int, cuts: list[int]) -> None:
    model = build(Forest(trees=20, depth=7, targets=2, grid=False), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        trees, _, _ = open_model(model, Path(folder))
    rows = rows_for(model, count=1000, seed=seed)
    whole = trees.predict({"X": rows})["S"]
    pieces = [trees.predict({"X": piece})["S"] for piece in np.split(rows, sorted(set(cuts)))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_threads_share_one_predictor(tmp_path: Path) -> None:
    model = build(Forest(trees=30, depth=8, targets=3, grid=False), seed=1)
    trees, _, _ = open_model(model, tmp_path)
    batches = [rows_for(model, count=1 + 37 * i, seed=i) for i in range(40)]
    alone = [trees.predict({"X": rows})["S"] for rows in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda rows: trees.predict({"X": rows})["S"], batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_that_are_not_contiguous_score_as_their_copies(tmp_path: Path) -> None:
    model = build(Forest(), seed=3)
    trees, _, _ = open_model(model, tmp_path)
    rows = rows_for(model, count=500)
    expected = trees.predict({"X": rows})["S"]
    np.testing.assert_array_equal(trees.predict({"X": np.asfortranarray(rows)})["S"], expected)
    wide = np.concatenate([rows, rows], axis=1)[:, :FEATURES]
    np.testing.assert_array_equal(trees.predict({"X": wide})["S"], expected)
