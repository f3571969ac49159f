"""One model of trees on oneDAL, one thread: run by onedal.py in an environment of its own, once in each round.

    python onedal_score.py MODEL.onnx ROWS SCORES.npy

The ONNX node goes into oneDAL by way of treelite's builder; `x <= t` is told to it as `x < the next float32 above t`.
Prints rows a second, and writes margins of some rows so that they can be compared.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import daal4py
import numpy as np
import onnx
from daal4py.mb import convert_model
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

COMPARED_ROWS = 1_000
GOES = 3


def main(path: str, rows: str, scores: str) -> None:
    """Convert, warm up, measure."""
    daal4py.daalinit(nthreads=1)
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in _node(path).attribute}
    features = 28
    model = convert_model(_built(attributes, features))
    x = np.random.default_rng(1).normal(size=(int(rows), features)).astype(np.float32)
    np.save(scores, np.asarray(model.predict(x[:COMPARED_ROWS]), dtype=np.float64).ravel())
    seconds = []
    for _ in range(GOES):
        began = time.perf_counter()
        model.predict(x)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"rows_per_s": len(x) / min(seconds)}))


def _node(path: str) -> onnx.NodeProto:
    nodes: list[onnx.NodeProto] = list(onnx.load(path).graph.node)
    return next(node for node in nodes if node.op_type.startswith("TreeEnsemble"))


def _built(of: dict[str, Any], features: int) -> Any:
    """One margin: that of class 1 where the node gives both classes a weight."""
    ids = list(zip(of["nodes_treeids"], of["nodes_nodeids"], strict=True))
    weights = zip(of["class_treeids"], of["class_nodeids"], of["class_ids"], of["class_weights"], strict=True)
    last = max(of["class_ids"])
    leaves = {(tree, node): weight for tree, node, number, weight in weights if number == last}
    trees: dict[int, list[int]] = {}
    for place, (tree, _) in enumerate(ids):
        trees.setdefault(tree, []).append(place)
    builder = ModelBuilder(
        threshold_type="float32",
        leaf_output_type="float32",
        metadata=Metadata(
            num_feature=features, task_type="kRegressor", average_tree_output=False, num_target=1, num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=TreeAnnotation(num_tree=len(trees), target_id=[0] * len(trees), class_id=[0] * len(trees)),
        postprocessor=PostProcessorFunc(name="identity"),
        base_scores=[float(sum(of.get("base_values", [])[-1:]))],
    )  # fmt: skip
    for places in trees.values():
        builder.start_tree()
        for place in places:
            builder.start_node(ids[place][1])
            _node_into(builder, of, place, leaf=leaves.get(ids[place], 0.0))
            builder.end_node()
        builder.end_tree()
    return builder.commit()


def _node_into(builder: Any, of: dict[str, Any], place: int, *, leaf: float) -> None:
    mode, value = of["nodes_modes"][place], np.float32(of["nodes_values"][place])
    if mode == b"LEAF":
        builder.leaf(leaf)
        return
    above = np.nextafter(value, np.float32(np.inf)) if mode == b"BRANCH_LEQ" else value
    assert mode in (b"BRANCH_LEQ", b"BRANCH_LT"), mode
    missing_true = of.get("nodes_missing_value_tracks_true", [])
    builder.numerical_test(
        feature_id=of["nodes_featureids"][place],
        threshold=float(above),
        default_left=bool(missing_true and missing_true[place]),
        opname="<",
        left_child_key=of["nodes_truenodeids"][place],
        right_child_key=of["nodes_falsenodeids"][place],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
