"""Before and after the trees stays with ONNX Runtime; what cannot be cut is left to it whole, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mlserve_cli.contract import bind
from mlserve_cli.session import Unsupported, open_trees, read_facts
from tests.trees.both import assert_alike, open_model
from tests.trees.ensembles import FEATURES, Forest, build, build_v5, model_of, rows_for

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def output(name: str, dtype: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, None)


def tree_node(forest: Forest, *, reads: str, writes: list[str], seed: int = 0) -> Any:
    node = build(forest, seed=seed).graph.node[0]
    node.input[0] = reads
    del node.output[:]
    node.output.extend(writes)
    return node


def constant(model: ModelProto, name: str, values: NDArray[Any]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(values, name))


CLASSIFIER = Forest(kind="classifier", targets=3)


def test_what_comes_before_and_after_is_run_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["X", "scale"], ["scaled"]),
        tree_node(CLASSIFIER, reads="scaled", writes=["L", "S"]),
        helper.make_node("Mul", ["S", "two"], ["doubled"]),
        helper.make_node("Add", ["doubled", "first"], ["D"]),
        helper.make_node("ReduceSum", ["X", "axis"], ["first"], keepdims=1),
    ]
    nodes.insert(3, nodes.pop())
    model = model_of(nodes, [output("L", INT64), output("D")])
    constant(model, "scale", np.array([1, 2, 0.5, 1, 4], np.float32))
    constant(model, "two", np.array([2], np.float32))
    constant(model, "axis", np.array([1], np.int64))
    trees, plain, _ = open_model(model, tmp_path)
    rows = {"X": np.random.default_rng(0).normal(size=(500, FEATURES)).astype(np.float32)}
    assert_alike(trees.predict(rows), plain.predict(rows), to_the_bit=True)


def test_several_tree_nodes_side_by_side(tmp_path: Path) -> None:
    nodes = [
        tree_node(Forest(), reads="X", writes=["a"], seed=1),
        tree_node(Forest(), reads="X", writes=["b"], seed=2),
        helper.make_node("Add", ["a", "b"], ["S"]),
    ]
    trees, plain, _ = open_model(model_of(nodes, [output("S")]), tmp_path)
    assert len(trees.nodes) == 2
    rows = {"X": rows_for(build(Forest(), seed=1))}
    assert_alike(trees.predict(rows), plain.predict(rows), to_the_bit=True)


@pytest.mark.parametrize("text_labels", [False, True])
def test_a_zipmap_is_cut_off_and_the_label_cast(text_labels: bool, tmp_path: Path) -> None:
    forest = Forest(kind="classifier", targets=2, text_labels=text_labels)
    key = "classlabels_strings" if text_labels else "classlabels_int64s"
    labels: dict[str, Any] = {key: ["c0", "c1"] if text_labels else [10, 11]}
    nodes = [
        tree_node(forest, reads="X", writes=["raw", "P"]),
        helper.make_node("Identity", ["raw"], ["L"]),
        helper.make_node("ZipMap", ["P"], ["Z"], domain="ai.onnx.ml", **labels),
    ]
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(
            TensorProto.STRING if text_labels else INT64, helper.make_tensor_type_proto(FLOAT, None)
        )
    )
    label = output("L", TensorProto.STRING if text_labels else INT64)
    model = model_of(nodes, [label, helper.make_value_info("Z", kind)])
    trees, plain, _ = open_model(model, tmp_path)
    rows = {"X": rows_for(build(forest, seed=0))}
    found, expected = trees.predict(rows), plain.predict(rows)
    assert set(found) == {"L", "P"}
    assert_alike(found, expected)


def test_only_what_is_asked_for_is_made(tmp_path: Path) -> None:
    model = build(Forest(kind="classifier", targets=2), seed=0)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b,c,d,e",), threshold=0.5)
    trees = open_trees(str(path), sha256=facts.sha256, contract=contract)
    assert set(trees.predict({"X": rows_for(model)})) == {"S"}


def test_a_fixed_batch_is_padded_around_the_trees_alone(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Identity", ["X"], ["same"]),
        tree_node(Forest(), reads="same", writes=["s"]),
        helper.make_node("Neg", ["s"], ["S"]),
    ]
    model = model_of(nodes, [output("S")])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 64
    trees, plain, _ = open_model(model, tmp_path)
    rows = {"X": rows_for(build(Forest(), seed=0), count=100)}
    assert_alike(trees.predict(rows), plain.predict(rows), to_the_bit=True)


# Left to ONNX Runtime


def refusal(model: ModelProto, folder: Path) -> str:
    with pytest.raises(Unsupported) as refused:
        open_model(model, folder)
    return str(refused.value)


def test_one_tree_node_feeding_another(tmp_path: Path) -> None:
    nodes = [
        tree_node(Forest(targets=FEATURES), reads="X", writes=["inner"]),
        tree_node(Forest(), reads="inner", writes=["S"]),
    ]
    assert refusal(model_of(nodes, [output("S")]), tmp_path) == "one tree node feeds another"


def test_a_graph_inside_a_node(tmp_path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Neg", ["s"], ["n"])], "branch", [], [output("n")])
    nodes = [
        tree_node(Forest(), reads="X", writes=["s"]),
        helper.make_node("If", ["yes"], ["S"], then_branch=branch, else_branch=branch),
    ]
    model = model_of(nodes, [output("S")])
    constant(model, "yes", np.array(True))
    assert refusal(model, tmp_path) == "the model has graphs inside a node (If)"


def test_a_model_without_trees(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Neg", ["X"], ["S"])], [output("S")])
    assert refusal(model, tmp_path) == "no tree node makes what is asked of the model"


def test_a_node_that_two_branches_lead_to(tmp_path: Path) -> None:
    model = build(Forest(trees=1, depth=2, uneven=0), seed=0)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "nodes_falsenodeids":
            attribute.ints[0] = 1
    assert refusal(model, tmp_path) == "two branches lead to one node"


def test_leaves_of_which_only_some_weigh_a_class(tmp_path: Path) -> None:
    model = build(Forest(kind="classifier", targets=3, trees=1), seed=0)
    for attribute in model.graph.node[0].attribute:
        if attribute.name in ("class_ids", "class_nodeids", "class_treeids"):
            del attribute.ints[-1]
        if attribute.name == "class_weights":
            del attribute.floats[-1]
    assert refusal(model, tmp_path) == "only some of its leaves weigh a class"


def test_a_threshold_that_is_nan(tmp_path: Path) -> None:
    model = build_v5(seed=0, modes=[0])
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "nodes_splits":
            attribute.t.float_data[0] = float("nan")
    assert refusal(model, tmp_path) == "a threshold is NaN"
