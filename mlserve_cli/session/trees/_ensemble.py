"""A TreeEnsemble node of any version as plain arrays: what its attributes say, checked, with nothing interpreted twice.

What ONNX Runtime makes of attributes that contradict each other is not guessed: such a node is `Unsupported`, and
ONNX Runtime runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Reals = NDArray[np.floating[Any]]
LEAF = 7


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values in order, each once. As numpy's unique(), which loads numpy.ma: 11 ms."""
    values = np.sort(values)
    is_first = np.concatenate([np.ones(min(len(values), 1), np.bool_), values[1:] != values[:-1]])
    found: NDArray[Any] = values[is_first]
    return found


class Mode(IntEnum):
    """How a node compares: the numbers are those of TreeEnsemble version 5."""

    LEQ = 0
    LT = 1
    GTE = 2
    GT = 3
    EQ = 4
    NEQ = 5
    MEMBER = 6


class Unsupported(Exception):
    """The fast kernel does not take this node, and why; it never ends a command unless the kernel was forced."""


class Ensemble(msgspec.Struct, frozen=True):
    """Trees of branches and leaves, one row per node, children by position; a tree starts at its root.

    `threshold` and `weights` are float32, or float64 where the node computes in it. A leaf's weights are the rows of
    `weight_leaf`, `weight_target`, `weight_value`. `members` holds the set of each MEMBER branch, by position.
    """

    roots: Ints
    is_leaf: Flags
    mode: NDArray[np.int8]
    feature: Ints
    threshold: Reals
    missing_true: Flags
    true: Ints
    false: Ints
    weight_leaf: Ints
    weight_target: Ints
    weight_value: Reals
    targets: int
    aggregate: str
    post_transform: str
    base_values: Reals
    labels: NDArray[Any] | None = None
    members: Mapping[int, Reals] = {}

    @property
    def highest_feature(self) -> int:
        """The number of the last feature that a branch reads."""
        return int(self.feature[~self.is_leaf].max(initial=0))

    @property
    def is_classifier(self) -> bool:
        """Whether the node has a label beside its scores."""
        return self.labels is not None


def read_ensemble(node: Any, *, double: bool) -> Ensemble:
    """The ensemble of a TreeEnsembleRegressor, TreeEnsembleClassifier or TreeEnsemble node over float or double rows.

    Raises Unsupported.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    reader = _Attributes(attributes, np.dtype(np.float64 if double else np.float32))
    ensemble = _read_v5(reader) if node.op_type == "TreeEnsemble" else _read_v3(reader, node.op_type)
    _check(ensemble)
    return ensemble


class _Attributes(msgspec.Struct, frozen=True):
    """Attributes by name as arrays; absent ones are empty."""

    found: Mapping[str, Any]
    dtype: np.dtype[Any]

    def ints(self, name: str) -> Ints:
        return np.array(self.found[name].ints if name in self.found else [], np.int64)

    def reals(self, name: str) -> Reals:
        """A list of floats, or the tensor of the same name with `_as_tensor` (or the same name) as its ending."""
        for key in (name, f"{name}_as_tensor"):
            if key in self.found:
                attribute = self.found[key]
                given = (
                    tensor_values(attribute.t) if attribute.HasField("t") else np.array(attribute.floats, np.float32)
                )
                if len(given):
                    return given.astype(self.dtype)
        return np.empty(0, self.dtype)

    def number(self, name: str, default: int) -> int:
        return int(self.found[name].i) if name in self.found else default

    def text(self, name: str, default: str) -> str:
        return str(self.found[name].s.decode()) if name in self.found else default

    def texts(self, name: str) -> list[bytes]:
        return list(self.found[name].strings) if name in self.found else []


def tensor_values(tensor: Any) -> NDArray[Any]:
    """A numeric constant's values, flat."""
    dtypes = {1: np.float32, 2: np.uint8, 7: np.int64, 11: np.float64}
    if tensor.data_type not in dtypes or tensor.external_data:
        raise Unsupported(f"an attribute is a tensor of type {tensor.data_type}")
    if tensor.raw_data:
        return np.frombuffer(tensor.raw_data, np.dtype(dtypes[tensor.data_type]).newbyteorder("<"))
    fields = {1: tensor.float_data, 2: tensor.int32_data, 7: tensor.int64_data, 11: tensor.double_data}
    return np.array(fields[tensor.data_type], dtypes[tensor.data_type])


# Versions 1 to 4: one row per node, leaves among them


def _read_v3(read: _Attributes, op_type: str) -> Ensemble:
    classifier = op_type == "TreeEnsembleClassifier"
    prefix = "class" if classifier else "target"
    modes = np.array([_MODES.get(mode, -1) for mode in read.texts("nodes_modes")], np.int8)
    trees, ids = read.ints("nodes_treeids"), read.ints("nodes_nodeids")
    thresholds, features = read.reals("nodes_values"), read.ints("nodes_featureids")
    _same_length(modes, trees, ids, thresholds, features)
    if np.any(modes < 0) or len(modes) == 0:
        raise Unsupported("it has no nodes, or a node of unknown mode")
    index = _Index(trees, ids)
    is_leaf = modes == LEAF
    inner = np.flatnonzero(~is_leaf)
    true, false = (_children(read.ints(f"nodes_{side}nodeids"), inner, index) for side in ("true", "false"))
    missing = read.ints("nodes_missing_value_tracks_true")
    leaves, targets, values = (read.ints(f"{prefix}_{name}") for name in ("nodeids", "ids", "treeids"))
    weights = read.reals(f"{prefix}_weights")
    _same_length(leaves, targets, values, weights)
    positions = index.find(values, leaves)
    kept = np.flatnonzero(is_leaf[positions])  # weights of branches, as old exporters wrote them, count for nothing
    labels = _labels(read) if classifier else None
    return Ensemble(
        roots=np.flatnonzero(np.diff(trees, prepend=trees[0] - 1)),
        is_leaf=is_leaf,
        mode=modes,
        feature=features,
        threshold=thresholds,
        missing_true=missing == 1 if len(missing) else np.zeros(len(modes), np.bool_),
        true=true,
        false=false,
        weight_leaf=positions[kept],
        weight_target=targets[kept],
        weight_value=weights[kept],
        targets=len(labels) if labels is not None else read.number("n_targets", 0),
        aggregate="SUM" if classifier else read.text("aggregate_function", "SUM"),
        post_transform=read.text("post_transform", "NONE"),
        base_values=read.reals("base_values"),
        labels=labels,
    )


_MODES = {f"BRANCH_{mode.name}".encode(): int(mode) for mode in Mode if mode is not Mode.MEMBER} | {b"LEAF": LEAF}


class _Index:
    """From (tree id, node id) to the node's position."""

    def __init__(self, trees: Ints, ids: Ints) -> None:
        self._span = int(ids.max(initial=0)) + 1
        if trees.min(initial=0) < 0 or ids.min(initial=0) < 0 or trees.max(initial=0) > (1 << 62) // self._span:
            raise Unsupported("a tree or node has an id out of range")
        keys = trees * self._span + ids
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        if np.any(np.diff(self._keys) == 0):
            raise Unsupported("two nodes of a tree have the same id")

    def find(self, trees: Ints, ids: Ints) -> Ints:
        keys = trees * self._span + ids
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        if np.any(self._keys[at] != keys) or np.any((ids < 0) | (ids >= self._span)):
            raise Unsupported("a node is named that is not there")
        found: Ints = self._order[at]
        return found

    def tree_of(self, positions: Ints) -> Ints:
        trees = np.empty(len(self._order), np.int64)
        trees[self._order] = self._keys // self._span
        return trees[positions]


def _children(ids: Ints, inner: Ints, index: _Index) -> Ints:
    children = np.zeros(len(ids), np.int64)
    if len(ids) < (inner.max(initial=-1) + 1):
        raise Unsupported("its attributes differ in length")
    children[inner] = index.find(index.tree_of(inner), ids[inner])
    return children


def _labels(read: _Attributes) -> NDArray[Any]:
    strings = read.texts("classlabels_strings")
    labels = np.array([text.decode() for text in strings], object) if strings else read.ints("classlabels_int64s")
    if len(labels) < 2:
        raise Unsupported("it has a single class")
    return labels


# Version 5: branches and leaves apart


def _read_v5(read: _Attributes) -> Ensemble:
    numbers, thresholds = read.reals("nodes_modes"), read.reals("nodes_splits")
    if not np.all(np.isin(numbers, [int(mode) for mode in Mode])):
        raise Unsupported("it has a node of unknown mode")
    modes = numbers.astype(np.int8)
    features, missing = read.ints("nodes_featureids"), read.ints("nodes_missing_value_tracks_true")
    targets, weights = read.ints("leaf_targetids"), read.reals("leaf_weights")
    _same_length(modes, thresholds, features)
    _same_length(targets, weights)
    branches = len(modes)
    true, true_leaf = _v5_children(read, "true", branches=branches, leaves=len(targets), copies_from=branches)
    false, false_leaf = _v5_children(
        read, "false", branches=branches, leaves=len(targets), copies_from=branches + len(true_leaf)
    )
    roots = read.ints("tree_roots")
    if np.any((roots < 0) | (roots >= branches)):
        raise Unsupported("a node is named that is not there")
    both = (true[roots] >= branches) & (false[roots] >= branches)
    if np.any(both & (read.ints("nodes_truenodeids")[roots] == read.ints("nodes_falsenodeids")[roots])):
        raise Unsupported("a tree is a single leaf")  # which leaf, ONNX Runtime reads in a way of its own
    leaves = np.concatenate([true_leaf, false_leaf])
    return Ensemble(
        roots=roots,
        is_leaf=np.arange(branches + len(leaves)) >= branches,
        mode=_padded(modes, len(leaves), LEAF),
        feature=_padded(features, len(leaves), 0),
        threshold=_padded(thresholds, len(leaves), 0),
        missing_true=_padded(missing == 1 if len(missing) else np.zeros(branches, np.bool_), len(leaves), False),
        true=_padded(true, len(leaves), 0),
        false=_padded(false, len(leaves), 0),
        weight_leaf=np.arange(branches, branches + len(leaves)),
        weight_target=targets[leaves],
        weight_value=weights[leaves],
        targets=read.number("n_targets", 0),
        aggregate=_pick(("AVERAGE", "SUM", "MIN", "MAX"), read.number("aggregate_function", 1)),
        post_transform=_pick(_V5_TRANSFORMS, read.number("post_transform", 0)),
        base_values=np.empty(0, read.dtype),
        members=_members(modes, read.reals("membership_values")),
    )


# ONNX Runtime's numbers, with which it scores; the standard has SOFTMAX before LOGISTIC
_V5_TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")


def _v5_children(read: _Attributes, side: str, *, branches: int, leaves: int, copies_from: int) -> tuple[Ints, Ints]:
    """Positions of one side's children; each leaf that is named gets a position of its own, from `copies_from` on."""
    ids, leafs = read.ints(f"nodes_{side}nodeids"), read.ints(f"nodes_{side}leafs")
    if not len(ids) == len(leafs) == branches:
        raise Unsupported("its attributes differ in length")
    to_leaf = np.flatnonzero(leafs)
    if np.any((ids < 0) | (ids >= np.where(leafs != 0, leaves, branches))):
        raise Unsupported("a node is named that is not there")
    children = ids.copy()
    children[to_leaf] = copies_from + np.arange(len(to_leaf))
    return children, ids[to_leaf]


def _members(modes: NDArray[np.int8], values: Reals) -> dict[int, Reals]:
    """The sets of the MEMBER branches in their order; NaN ends each."""
    branches = np.flatnonzero(modes == Mode.MEMBER)
    ends = [*np.flatnonzero(np.isnan(values)).tolist(), len(values)]
    if len(branches) > len(ends):
        raise Unsupported("a set of members is missing")
    starts = [0, *(end + 1 for end in ends)]
    return {int(node): values[starts[i] : ends[i]] for i, node in enumerate(branches)}


def _padded(values: NDArray[Any], count: int, fill: object) -> NDArray[Any]:
    return np.concatenate([values, np.full(count, fill, values.dtype)])


def _pick(names: tuple[str, ...], number: int) -> str:
    if not 0 <= number < len(names):
        raise Unsupported(f"it asks for function {number}")
    return names[number]


# Both


def _same_length(*columns: NDArray[Any]) -> None:
    if len({len(column) for column in columns}) > 1:
        raise Unsupported("its attributes differ in length")


def _check(ensemble: Ensemble) -> None:
    leaf = ensemble.is_leaf
    if ensemble.targets < 1 or np.any((ensemble.weight_target < 0) | (ensemble.weight_target >= ensemble.targets)):
        raise Unsupported("a weight is of a target that is not there")
    if np.any(ensemble.feature[~leaf] < 0):
        raise Unsupported("a feature's number is negative")
    if np.any(np.isnan(ensemble.threshold[~leaf])):
        raise Unsupported("a threshold is NaN")
    if not np.all(np.isfinite(ensemble.weight_value)):
        raise Unsupported("a weight is not finite")
    if ensemble.aggregate not in ("SUM", "AVERAGE", "MIN", "MAX"):
        raise Unsupported(f"it asks for aggregate function {ensemble.aggregate}")
    pairs = np.sort(ensemble.weight_leaf * ensemble.targets + ensemble.weight_target)  # unique() imports numpy.ma
    if np.any(pairs[1:] == pairs[:-1]):
        raise Unsupported("a leaf has two weights for one target")
    if not np.all(np.isin(np.flatnonzero(leaf), ensemble.weight_leaf)):
        raise Unsupported("a leaf has no weight")
