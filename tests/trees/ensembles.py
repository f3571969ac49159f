"""Tree ensembles built by hand, of every version, mode and kind, and rows that stand right at their thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
GRID = np.array([-2, -1, -0.5, 0, 0.5, 1, 2, 3, 1e-40, np.inf], np.float32)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
FEATURES = 5
Kind = Literal["regressor", "classifier"]
Weighed = Literal["all", "one", "first", "second"]
DTYPES: dict[int, type[np.generic]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
}


@dataclass(frozen=True, slots=True)
class Forest:
    """What to build. `weighed`: which targets each leaf weighs; `as_tensor`: doubles instead of floats."""

    kind: Kind = "regressor"
    trees: int = 5
    depth: int = 4
    modes: Sequence[str] = MODES
    targets: int = 1
    missing: bool = True
    aggregate: str = "SUM"
    transform: str = "NONE"
    base_values: int = 0
    text_labels: bool = False
    dtype: int = TensorProto.FLOAT
    weighed: Weighed = "all"
    positive: bool = False
    as_tensor: bool = False
    grid: bool = True
    uneven: float = 0.2


def build(forest: Forest, *, seed: int) -> ModelProto:
    """A model of that one node, over a matrix X; S are the scores, L the labels."""
    random = np.random.default_rng(seed)
    prefix = "class" if forest.kind == "classifier" else "target"
    nodes, weights = _nodes(forest, random)
    attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in nodes.items()}
    attributes |= {f"{prefix}_{name}": values for name, values in weights.items()}
    attributes["post_transform"] = forest.transform
    if forest.base_values:
        attributes["base_values"] = [float(np.float32(value)) for value in random.normal(size=forest.base_values)]
    outputs = [helper.make_tensor_value_info("S", TensorProto.FLOAT, None)]
    if forest.kind == "classifier":
        label = TensorProto.STRING if forest.text_labels else TensorProto.INT64
        outputs.insert(0, helper.make_tensor_value_info("L", label, None))
        key = "classlabels_strings" if forest.text_labels else "classlabels_int64s"
        attributes[key] = [f"c{i}" if forest.text_labels else 10 + i for i in range(forest.targets)]
    else:
        attributes |= {"n_targets": forest.targets, "aggregate_function": forest.aggregate}
    if forest.as_tensor:
        for name in ("nodes_values", f"{prefix}_weights", "base_values"):
            if name in attributes:
                values = attributes.pop(name)
                tensor = helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
                attributes[f"{name}_as_tensor"] = tensor
    operator = "TreeEnsembleClassifier" if forest.kind == "classifier" else "TreeEnsembleRegressor"
    node = helper.make_node(operator, ["X"], [value.name for value in outputs], domain="ai.onnx.ml", **attributes)
    return model_of([node], outputs, dtype=forest.dtype)


def model_of(
    nodes: Sequence[Any], outputs: Sequence[Any], *, dtype: int = TensorProto.FLOAT, ml_opset: int = 3
) -> ModelProto:
    """A model over the matrix X."""
    inputs = [helper.make_tensor_value_info("X", dtype, [None, FEATURES])]
    graph = helper.make_graph(list(nodes), "graph", inputs, list(outputs))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", ml_opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def rows_for(model: ModelProto, *, count: int = 300, seed: int = 0, dtype: int = TensorProto.FLOAT) -> NDArray[Any]:
    """Rows of thresholds, of the numbers right beside them, NaN, infinities and zeros of both signs."""
    random = np.random.default_rng(seed)
    thresholds = np.concatenate([GRID, _thresholds(model)])
    around = [np.nextafter(thresholds, np.float32(end)) for end in (-np.inf, np.inf)]
    values = np.concatenate([thresholds, *around, SPECIAL]).astype(np.float64)
    if dtype == TensorProto.DOUBLE:
        values = np.concatenate([values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf)])
    rows = values[random.integers(len(values), size=(count, FEATURES))]
    if dtype in (TensorProto.INT64, TensorProto.INT32):
        rows = np.nan_to_num(np.clip(rows, -1000, 1000))
    found: NDArray[Any] = rows.astype(DTYPES[dtype])
    return found


def _thresholds(model: ModelProto) -> NDArray[np.float32]:
    found: list[float] = []
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "nodes_values":
            found += attribute.floats
    return np.array(found, np.float32)


def _nodes(forest: Forest, random: np.random.Generator) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    names = ("treeids", "nodeids", "modes", "featureids", "values", "missing_value_tracks_true")
    nodes: dict[str, list[Any]] = {name: [] for name in (*names, "truenodeids", "falsenodeids")}
    weights: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(forest.trees):
        for number, (mode, feature, value, missing, true, false) in enumerate(_grow(forest, random)):
            row = (tree, number, mode, feature, value, missing, true, false)
            for name, each in zip((*names, "truenodeids", "falsenodeids"), row, strict=True):
                nodes[name].append(each)
            for target in _weighed(forest, tree) if mode == "LEAF" else ():
                weight = random.random() if forest.positive else random.normal()
                for name, each in zip(weights, (tree, number, target, float(np.float32(weight))), strict=True):
                    weights[name].append(each)
    if not forest.missing:
        del nodes["missing_value_tracks_true"]
    return nodes, weights


def _weighed(forest: Forest, tree: int) -> Sequence[int]:
    return {"all": range(forest.targets), "one": [tree % forest.targets], "first": [0], "second": [1]}[forest.weighed]


_Node = tuple[str, int, float, int, int, int]


def _grow(forest: Forest, random: np.random.Generator) -> list[_Node]:
    """(mode, feature, threshold, missing, true, false) of each node, the root first."""
    nodes: list[_Node] = []

    def grow(depth: int) -> int:
        number = len(nodes)
        nodes.append(("LEAF", 0, 0.0, 0, 0, 0))
        if depth > 0 and (depth == forest.depth or random.random() >= forest.uneven):
            value = float(random.choice(GRID)) if forest.grid else float(np.float32(random.normal()))
            mode, feature = str(random.choice(list(forest.modes))), int(random.integers(FEATURES))
            missing = int(random.integers(2))
            true, false = grow(depth - 1), grow(depth - 1)
            nodes[number] = (mode, feature, value, missing, true, false)
        return number

    grow(forest.depth)
    return nodes


# Version 5


def build_v5(
    *,
    seed: int,
    dtype: int = TensorProto.FLOAT,
    targets: int = 1,
    aggregate: int = 1,
    transform: int = 0,
    modes: Sequence[int] = (0, 1, 2, 3, 4, 5, 6),
    trees: int = 5,
    depth: int = 4,
    most_members: int = 4,
    missing: bool = True,
) -> ModelProto:
    """A TreeEnsemble of ai.onnx.ml 5: branches and leaves apart, mode 6 asks for membership in a set."""
    random = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("modes", "splits", "featureids", "truenodeids", "trueleafs", "falsenodeids", "falseleafs")
    }
    missing_true: list[int] = []
    leaves: list[tuple[int, float]] = []
    members: list[float] = []

    def grow(depth: int) -> tuple[int, int]:
        """(number, whether it is a leaf)."""
        if depth == 0:
            leaves.append((int(random.integers(targets)), float(np.float32(random.normal()))))
            return len(leaves) - 1, 1
        number = len(columns["modes"])
        for column in columns.values():
            column.append(0)
        missing_true.append(int(random.integers(2)))
        mode = int(random.choice(list(modes)))
        columns["modes"][number], columns["featureids"][number] = mode, int(random.integers(FEATURES))
        columns["splits"][number] = 0.0 if mode == 6 else float(random.choice(GRID))
        if mode == 6:
            chosen = random.choice(np.arange(12), size=int(random.integers(1, most_members + 1)), replace=False)
            members.extend([*chosen.astype(float).tolist(), float("nan")])
        for side in ("true", "false"):
            columns[f"{side}nodeids"][number], columns[f"{side}leafs"][number] = grow(depth - 1)
        return number, 0

    roots = [grow(depth)[0] for _ in range(trees)]
    attributes: dict[str, Any] = {
        "tree_roots": roots,
        "n_targets": targets,
        "aggregate_function": aggregate,
        "post_transform": transform,
        "leaf_targetids": [target for target, _ in leaves],
        "leaf_weights": helper.make_tensor("w", dtype, [len(leaves)], [weight for _, weight in leaves]),
        "nodes_modes": helper.make_tensor("m", TensorProto.UINT8, [len(columns["modes"])], columns.pop("modes")),
        "nodes_splits": helper.make_tensor("s", dtype, [len(columns["splits"])], columns.pop("splits")),
        **{f"nodes_{name}": values for name, values in columns.items()},
    }
    if missing:
        attributes["nodes_missing_value_tracks_true"] = missing_true
    if members:
        attributes["membership_values"] = helper.make_tensor("v", dtype, [len(members)], members)
    node = helper.make_node("TreeEnsemble", ["X"], ["S"], domain="ai.onnx.ml", **attributes)
    return model_of([node], [helper.make_tensor_value_info("S", dtype, None)], dtype=dtype, ml_opset=5)
