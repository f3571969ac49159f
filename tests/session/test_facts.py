"""What an ONNX file says of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from mlserve_cli.contract import ModelFacts, TensorSpec
from mlserve_cli.session import read_facts
from tests import dishonest, models


def facts_of(model: Any, folder: Path) -> ModelFacts:
    """The facts of the model, by way of a file."""
    return read_facts(str(models.save(model, folder / "m.onnx")))


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    path = models.save(models.linear(3, 2, names=("a", "b", "c")), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    assert facts.inputs == (TensorSpec("X", "float32", (None, 3)),)
    assert facts.outputs == (TensorSpec("Y", "float32", (None, 2)),)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.size_bytes == path.stat().st_size
    assert facts.opsets == {"ai.onnx": models.OPSET, "ai.onnx.ml": models.ML_OPSET}
    assert facts.operators == {"Gemm": 1}
    assert facts.metadata == {"feature_names": "a,b,c"}
    assert facts.producer == "mlserve tests"
    assert (facts.fixed_batch, facts.external_files, facts.zipmaps) == (None, (), {})


@pytest.mark.parametrize(
    ("name", "family", "precision"),
    [
        ("one matrix", "linear", "float32"),
        ("double", "linear", "float64"),
        ("half precision", "linear", "float16"),
        ("network", "network", "float32"),
        ("binary classifier", "linear", "float32"),
        ("forest", "trees", "float32"),
        ("int64 matrix", "other", "float32"),
        ("dynamic int8", "network", "int8-dynamic"),
        ("static int8, QDQ", "network", "int8-qdq"),
        ("static int8, QOperator", "network", "int8-qoperator"),
    ],
)
def test_family_and_precision_are_what_people_call_them(name: str, family: str, precision: str, tmp_path: Path) -> None:
    facts = facts_of(models.HONEST[name](), tmp_path)
    assert (facts.family, facts.precision) == (family, precision)


@pytest.mark.parametrize("classes", [(0, 1), (-1, 0, 1), ("no", "yes")])
@pytest.mark.parametrize("zipmap", [True, False])
def test_classes_and_labels_are_read_from_the_graph(classes: Any, zipmap: bool, tmp_path: Path) -> None:
    facts = facts_of(models.classifier(3, classes, zipmap=zipmap), tmp_path)
    assert facts.classes["probabilities"] == classes
    assert facts.labels == ("label",)
    assert facts.zipmaps == ({"output_probability": "probabilities"} if zipmap else {})


def test_classes_are_found_through_the_nodes_that_exporters_put_between(tmp_path: Path) -> None:
    model = models.classifier(3, ("a", "b"))
    model.graph.node.append(helper.make_node("Cast", ["probabilities"], ["half"], to=models.HALF))
    model.graph.node.append(helper.make_node("Identity", ["half"], ["out"]))
    model.graph.node.append(helper.make_node("Identity", ["label"], ["verdict"]))
    del model.graph.output[:]
    model.graph.output.append(models.tensor("out", models.HALF, [None, 2]))
    model.graph.output.append(models.tensor("verdict", models.STRING, [None]))
    facts = facts_of(model, tmp_path)
    assert facts.classes == {"out": ("a", "b")}
    assert facts.labels == ("verdict",)


def test_the_one_matrix_beside_the_one_label_has_its_classes(tmp_path: Path) -> None:
    model = models.classifier(3, ("a", "b"))
    model.graph.node.append(helper.make_node("Mul", ["probabilities", "probabilities"], ["squares"]))
    model.graph.output[1].CopyFrom(models.tensor("squares", models.FLOAT, [None, 2]))
    assert facts_of(model, tmp_path).classes == {"squares": ("a", "b")}
    model.graph.output[1].CopyFrom(models.tensor("squares", models.FLOAT, [None, 3]))
    assert facts_of(model, tmp_path).classes == {}


def test_a_label_by_argmax_names_the_classes(tmp_path: Path) -> None:
    facts = facts_of(models.argmax_classifier(("x", "y", "z")), tmp_path)
    assert facts.classes == {"probabilities": ("x", "y", "z")}
    assert facts.labels == ("output_label",)


def test_a_graph_that_is_a_ring_ends(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["b"], ["a"]), helper.make_node("Identity", ["a"], ["b"])]
    model = models.model_of(nodes, [], [models.tensor("a", models.FLOAT, [None])])
    assert facts_of(model, tmp_path).classes == {}


def test_operators_and_weights_in_subgraphs_count(tmp_path: Path) -> None:
    facts = facts_of(dishonest.slow(), tmp_path)
    assert facts.operators["Sqrt"] == 1
    inner = helper.make_graph([helper.make_node("Mine", [], ["y"], domain="my.ops")], "then", [], [])
    model = models.linear()
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    assert facts_of(model, tmp_path).operators["my.ops.Mine"] == 2


def test_weights_kept_outside_are_named_wherever_they_hang(tmp_path: Path) -> None:
    model = models.linear()
    outside = dishonest.external("/etc/passwd").graph.initializer[0]
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=outside))
    assert facts_of(model, tmp_path).external_files == ("/etc/passwd",)


def test_constants_listed_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    model = models.linear()
    model.graph.input.append(models.tensor("W", models.FLOAT, [3, 1]))
    assert [spec.name for spec in facts_of(model, tmp_path).inputs] == ["X"]


@pytest.mark.parametrize(
    ("axes", "shape"), [([None, 3], (None, 3)), (["N", 0], (None, None)), ([-1, 3], (None, 3)), ([32, 3], (32, 3))]
)
def test_a_dimension_of_no_size_is_free(axes: Any, shape: Any, tmp_path: Path) -> None:
    facts = facts_of(models.identity(models.FLOAT, axes), tmp_path)
    assert facts.inputs[0].shape == shape
    assert facts.fixed_batch == shape[0]


def test_the_type_of_every_constant_kind_of_class_is_read(tmp_path: Path) -> None:
    model = models.argmax_classifier()
    for values in (np.array([3, 1, 2], np.int64), np.array([3, 1, 2], np.int32)):
        for initializer in model.graph.initializer:
            if initializer.name == "classes":
                initializer.CopyFrom(numpy_helper.from_array(values, "classes"))
        assert facts_of(model, tmp_path).classes == {"probabilities": (3, 1, 2)}


def test_weights_kept_sparsely_outside_are_named_too(tmp_path: Path) -> None:
    model = models.linear()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(dishonest.external("values.bin").graph.initializer[0])
    sparse.indices.data_location = 1
    assert facts_of(model, tmp_path).external_files == ("(no location)", "values.bin")


def test_a_type_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    model = models.linear()
    odd = model.graph.output.add(name="odd")
    odd.type.sparse_tensor_type.elem_type = models.FLOAT
    model.graph.output.add(name="odder").type.opaque_type.name = "secret"
    assert [spec.dtype for spec in facts_of(model, tmp_path).outputs] == ["float32", "sparse tensor", "opaque"]


def test_an_output_of_undeclared_shape_is_one_value_a_row_until_a_run_shows_more(tmp_path: Path) -> None:
    model = models.linear()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert facts_of(model, tmp_path).outputs == (TensorSpec("Y", "float32", (None,)),)


@pytest.mark.parametrize("attribute", ["classlabels_ints", "nothing"])
def test_a_classifier_without_classes_has_plain_outputs(attribute: str, tmp_path: Path) -> None:
    model = models.classifier()
    for one in list(model.graph.node[0].attribute):
        if one.name.startswith("classlabels"):
            model.graph.node[0].attribute.remove(one)
    model.graph.node[0].attribute.append(helper.make_attribute(attribute, "text"))
    assert facts_of(model, tmp_path).classes == {}


def test_classes_that_are_floats_are_none(tmp_path: Path) -> None:
    model = models.argmax_classifier()
    for initializer in model.graph.initializer:
        if initializer.name == "classes":
            initializer.CopyFrom(numpy_helper.from_array(np.array([0.5, 1.5, 2.5], np.float32), "classes"))
    assert facts_of(model, tmp_path).classes == {}


def test_a_matrix_beside_a_label_by_argmax_has_its_classes(tmp_path: Path) -> None:
    model = models.argmax_classifier()
    model.graph.node.append(helper.make_node("Mul", ["probabilities", "probabilities"], ["squares"]))
    model.graph.output[1].CopyFrom(models.tensor("squares", models.FLOAT, [None, 3]))
    assert facts_of(model, tmp_path).classes == {"squares": ("low", "mid", "high")}
