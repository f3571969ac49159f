"""What is no honest model is refused by name, whatever is in the file."""

from __future__ import annotations

import inspect
import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mlserve_cli.contract import Declared, DeclaredOutput, TensorSpec, bind
from mlserve_cli.errors import Forbidden, InputMissing, InvalidModel
from mlserve_cli.session import check_supported, open_predictor, read_facts, settle
from mlserve_cli.session._runtime import FOREIGN
from tests import dishonest, models


@pytest.mark.parametrize("name", sorted(dishonest.REFUSED))
def test_a_model_that_cannot_be_run_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, word = dishonest.REFUSED[name]
    path = models.save(make(), tmp_path / "model.onnx")
    with pytest.raises(InvalidModel) as caught:
        _score_once(path)
    assert word in caught.value.what
    assert "\n" not in str(caught.value)


def _score_once(path: Path) -> None:
    """As far as the driver goes before the first batch."""
    facts = read_facts(str(path))
    names = tuple(f"c{place}" for place in range(facts.inputs[0].width or 1))
    named = () if all(spec.width == 1 for spec in facts.inputs) else (",".join(names),)
    contract = bind(facts, features=named)
    check_supported(facts, contract)
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    settle(contract, predictor=predictor)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = models.classifier(zipmap=True).SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidModel):
            _score_once(path)


@pytest.mark.parametrize("name", ["forest", "binary classifier with a ZipMap", "network", "one input per column"])
def test_a_flipped_bit_is_never_a_crash(name: str, tmp_path: Path) -> None:
    """In a process of its own: a crash of the runtime would take the tests along. Many flips still load and score."""
    path = models.save(models.HONEST[name](), tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("flip_bits.py")), str(path), "150"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    refused, scored = map(int, done.stdout.split())
    assert refused + scored == 150
    assert refused > 10


def test_only_the_digest_finds_every_flip(tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path / "model.onnx")
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b,c",))
    data = path.read_bytes()
    for place in random.Random(1).sample(range(len(data)), 60):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(InvalidModel, match="digest"):
            open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)


def test_a_model_that_is_not_there_or_not_a_file_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        read_facts(str(tmp_path / "none.onnx"))
    with pytest.raises(InvalidModel, match="folder"):
        read_facts(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_model_that_may_not_be_read_is_forbidden(tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path / "model.onnx")
    path.chmod(0)
    with pytest.raises(Forbidden):
        read_facts(str(path))


def test_external_data_is_read_from_the_models_folder_where_a_package_vouches_for_it(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(models.linear(300), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    facts = read_facts(str(path))
    assert facts.external_files == ("weights.bin",)
    contract = bind(facts, features=(",".join(f"c{i}" for i in range(300)),))
    with pytest.raises(InvalidModel, match=r"weights\.bin"):
        check_supported(facts, contract)
    vouched = frozenset({"weights.bin"})
    check_supported(facts, contract, allowed_external=vouched)
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1, allowed_external=vouched)
    ones = np.ones((2, 300), np.float32)
    expected = ones @ models.weights(300, 1) + models.weights(1)
    np.testing.assert_allclose(predictor.predict({"X": ones})["Y"], expected, rtol=1e-5)


def test_external_data_is_not_read_when_nobody_vouches_even_if_it_was_not_checked(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(models.linear(300), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    facts = read_facts(str(path))
    contract = bind(facts, features=(",".join(f"c{i}" for i in range(300)),))
    with pytest.raises(InvalidModel):
        open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)


def test_every_exception_class_of_onnx_runtime_is_translated() -> None:
    theirs = {kind for _, kind in inspect.getmembers(state, inspect.isclass) if issubclass(kind, BaseException)}
    assert theirs
    assert theirs <= set(FOREIGN)


def test_inputs_that_disagree_on_the_rows_are_refused(tmp_path: Path) -> None:
    model = models.several_matrices()
    for place, rows in enumerate((4, 8)):
        model.graph.input[place].type.tensor_type.shape.dim[0].dim_value = rows
    facts = read_facts(str(models.save(model, tmp_path / "m.onnx")))
    with pytest.raises(InvalidModel, match="fixes 4 rows, another input 8"):
        check_supported(facts, bind(facts, features=("left=a,b", "right=c,d,e")))


def test_an_output_that_is_not_wanted_may_be_anything(tmp_path: Path) -> None:
    model = models.linear()
    model.graph.node.append(helper.make_node("SequenceConstruct", ["X"], ["odd"]))
    kind = models.sequence_of(helper.make_tensor_type_proto(models.FLOAT, None))
    model.graph.output.append(helper.make_value_info("odd", kind))
    path = models.save(model, tmp_path / "m.onnx")
    facts = read_facts(str(path))
    with pytest.raises(InvalidModel, match="output odd"):
        check_supported(facts, bind(facts, features=("a,b,c",)))
    contract = bind(facts, Declared(outputs=(DeclaredOutput("Y", ("y",)),)), features=("a,b,c",))
    check_supported(facts, contract)
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    assert set(predictor.predict({"X": np.ones((2, 3), np.float32)})) == {"Y"}


def test_a_sequence_that_passes_for_a_tensor_is_refused_when_it_comes(tmp_path: Path) -> None:
    path = models.save(dishonest.REFUSED["sequence output"][0](), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    plain = msgspec.structs.replace(facts, outputs=(TensorSpec("odd", "float32", (None, 1)),))
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=bind(plain), threads=1)
    with pytest.raises(InvalidModel, match="odd is a list"):
        predictor.predict({"X": np.ones((2, 1), np.float32)})


def test_a_zipmap_beside_its_plain_tensor_is_only_taken_away(tmp_path: Path) -> None:
    model = models.classifier(zipmap=True)
    model.graph.output.append(models.tensor("probabilities", models.FLOAT, [None, 2]))
    facts = read_facts(str(models.save(model, tmp_path / "m.onnx")))
    package = Declared(outputs=(DeclaredOutput("probabilities", ("p", "q")),))
    contract = bind(facts, package, features=("a,b,c",))
    predictor = open_predictor(str(tmp_path / "m.onnx"), sha256=facts.sha256, contract=contract, threads=1)
    assert predictor.predict({"X": np.ones((2, 3), np.float32)})["probabilities"].shape == (2, 2)
