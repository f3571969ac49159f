"""Whether the kernel scores as ONNX Runtime does, found out before a run depends on it.

Each tree node is run by both on rows made of what separates one leaf from another: its thresholds, the numbers right
below and above them, NaN and the infinities. Then both whole models are run on made-up rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.session._predictor import OnnxPredictor, Predictor, made_up_rows, open_session
from mlserve_cli.session._runtime import RowsFailed
from mlserve_cli.session.trees._ensemble import Ensemble, Unsupported, distinct
from mlserve_cli.session.trees._predictor import TreeNode, TreesPredictor

TOLERANCE = 1e-6
MOST_ROWS = 4_096
LEAST_ROWS = 256
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)
SPECIAL_SHARE = 1 / 16

Outputs = dict[str, NDArray[Any]]


def prove_equal(trees: TreesPredictor, other: Predictor, contract: Contract) -> None:
    """Raise Unsupported with the reason unless both give the same labels, and scores within 1e-6 of each other."""
    for node in trees.nodes:
        if not node.alone:  # no second session is opened
            rows = boundary_rows(node.ensemble, dtype=_FED[node.dtype], width=contract.inputs[0].tensor.width)
            _compare(trees, other, {node.fed: rows})
        else:
            rows = boundary_rows(node.ensemble, dtype=_FED[node.dtype])
            _compare(node, _on_onnx_runtime(node), {node.fed: rows})
    made_up = made_up_rows(contract)
    try:
        other.predict(made_up)
    except RowsFailed:
        return  # such a row may be one that the model does not take
    _compare(trees, other, made_up)


def _on_onnx_runtime(node: TreeNode) -> Predictor:
    """The node alone."""
    session = open_session(node.alone, path="", threads=1)
    return OnnxPredictor(session, outputs=tuple(name for name in node.outputs if name), fixed_batch=None)


_FED: dict[int, np.dtype[Any]] = {
    code: np.dtype(name) for code, name in ((1, "float32"), (11, "float64"), (7, "int64"), (6, "int32"))
}


def boundary_rows(ensemble: Ensemble, *, dtype: np.dtype[Any], width: int | None = None) -> NDArray[Any]:
    """Rows whose features are thresholds of theirs, the neighbours of those, NaN and infinities, in random company.

    Each threshold and each neighbour stands in some row, as long as no feature has over 1,300 of them.
    """
    drawn = random.Random(1).randbytes  # numpy's own takes 20 ms to load
    values = [_boundaries(ensemble, feature) for feature in range(width or ensemble.highest_feature + 1)]
    count = min(max(LEAST_ROWS, *map(len, values)), MOST_ROWS)
    rows = np.stack([_shuffled(each, count, drawn) for each in values], axis=1)
    special = np.frombuffer(drawn(rows.size), np.uint8).reshape(rows.shape) < 256 * SPECIAL_SHARE
    rows[special] = np.array(SPECIAL)[np.frombuffer(drawn(int(special.sum())), np.uint8) % len(SPECIAL)]
    if dtype.kind == "i":
        rows = np.nan_to_num(np.clip(rows, -(2.0**20), 2.0**20))
    found: NDArray[Any] = rows.astype(dtype)
    return found


def _boundaries(ensemble: Ensemble, feature: int) -> NDArray[Any]:
    own = ~ensemble.is_leaf & (ensemble.feature == feature)
    members = [ensemble.members[node] for node in np.flatnonzero(own).tolist() if node in ensemble.members]
    found = distinct(np.concatenate([ensemble.threshold[own], *members]))
    with np.errstate(over="ignore"):  # beyond the largest number comes infinity
        down, up = (np.nextafter(found, found.dtype.type(end)) for end in (-np.inf, np.inf))
    return np.concatenate([down, found, up, np.zeros(1, found.dtype)])


def _shuffled(values: NDArray[Any], count: int, drawn: Callable[[int], bytes]) -> NDArray[Any]:
    turns = -(-count // len(values))
    keys = np.frombuffer(drawn(8 * turns * len(values)), np.uint64).reshape(turns, len(values))
    return values[np.argsort(keys, axis=1).reshape(-1)[:count]]


def _compare(ours: Predictor, theirs: Predictor, rows: Outputs) -> None:
    try:
        expected = theirs.predict(rows)
        found = ours.predict(rows)
    except RowsFailed as failure:
        raise Unsupported(f"rows at its thresholds cannot be scored: {failure.detail}") from failure
    _check(found, expected)


def _check(found: Outputs, expected: Outputs) -> None:
    for name, theirs in expected.items():
        ours = found[name]
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise Unsupported(f"output {name} is {ours.dtype}{ours.shape} there and {theirs.dtype}{theirs.shape} here")
        if theirs.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                far = ~((np.abs(ours - theirs) <= TOLERANCE) | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        else:
            far = np.asarray(ours != theirs)
        if np.any(far):
            raise Unsupported(f"{int(far.sum())} values of output {name} are not what ONNX Runtime gives")
