"""The seam to ONNX Runtime: padding, failing rows, what is asked for and what is not."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlserve_cli.contract import Declared, DeclaredOutput, bind
from mlserve_cli.errors import InvalidModel
from mlserve_cli.session import OnnxPredictor, Predictor, RowsFailed, Tensors, open_predictor, read_facts, settle
from mlserve_cli.session._runtime import first_line
from tests import dishonest, models


@pytest.mark.parametrize("batch", [1, 4, 32])
@pytest.mark.parametrize("rows", [1, 3, 32, 83])
def test_a_fixed_batch_is_obeyed_by_padding_and_cutting(batch: int, rows: int, tmp_path: Path) -> None:
    predictor = _opened(models.save(models.linear(batch=batch), tmp_path / "m.onnx"))
    matrix = models.weights(rows, 3)
    expected = matrix @ models.weights(3, 1) + models.weights(1)
    np.testing.assert_allclose(predictor.predict({"X": matrix})["Y"], expected, rtol=1e-5, atol=1e-6)


def test_a_row_on_which_the_model_fails_is_rows_failed_and_the_others_score(tmp_path: Path) -> None:
    predictor = _opened(models.save(dishonest.picky(), tmp_path / "m.onnx"))
    with pytest.raises(RowsFailed, match="out of data bounds") as caught:
        predictor.predict({"X": np.array([[1], [99]])})
    assert caught.value.rows == 2
    assert predictor.predict({"X": np.array([[1], [3]])})["Y"].tolist() == [[1.0], [3.0]]


def test_a_batch_too_large_for_memory_is_rows_failed(tmp_path: Path) -> None:
    predictor = _opened(models.save(dishonest.greedy(), tmp_path / "m.onnx"))
    with pytest.raises(RowsFailed):
        predictor.predict({"X": np.array([[1e9]], np.float32)})
    assert predictor.predict({"X": np.array([[0]], np.float32)})["Y"].tolist() == [[0.0]]


def test_outputs_stay_when_the_inputs_memory_is_used_again(tmp_path: Path) -> None:
    path = models.save(models.identity(models.FLOAT, [None, 2]), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b",))
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    memory = np.ones((4, 2), np.float32)
    first = predictor.predict({"X": memory})["Y"]
    memory[:] = 2
    predictor.predict({"X": memory})
    assert first.tolist() == [[1, 1]] * 4


@pytest.mark.parametrize(("cores", "most"), [(2, 1), (3, 1), (4, 2)])
def test_no_more_batches_run_at_once_than_have_a_core_for_each_thread(cores: int, most: int, tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b,c",))
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=2, cores=cores)
    assert isinstance(predictor, OnnxPredictor)
    predictor._session = session = _Counting(predictor._session)
    matrix = models.weights(8, 3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: predictor.predict({"X": matrix})["Y"].tobytes(), range(12)))
    assert session.most_at_once == most
    assert len(set(found)) == 1


def test_rows_failed_crosses_a_process_border() -> None:
    again = pickle.loads(pickle.dumps(RowsFailed(7, "why")))
    assert (again.rows, again.detail, str(again)) == (7, "why", "the model failed on a batch of 7 rows: why")


def test_a_zipmap_is_cut_off_and_an_unwanted_label_is_not_computed(tmp_path: Path) -> None:
    path = models.save(models.classifier(zipmap=True), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b,c",), labels=False)
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    found = predictor.predict({"X": models.weights(4, 3)})
    assert {name: values.shape for name, values in found.items()} == {"probabilities": (4, 2)}


def test_the_first_line_of_an_error_is_what_a_person_can_read() -> None:
    text = "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:/src/model.cc:256 f(int, a&&) Unsupported IR"
    assert first_line(RuntimeError(text + "\nstack")) == "Unsupported IR"
    assert first_line(RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Protobuf parsing failed.")) == (
        "Protobuf parsing failed."
    )
    assert first_line(RuntimeError()) == "RuntimeError"
    assert first_line(RuntimeError("plain words")) == "plain words"


def test_an_undeclared_output_width_is_settled_by_made_up_rows(tmp_path: Path) -> None:
    path = models.save(models.identity(models.FLOAT, [None, 3], out_axes=[None, None]), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    contract = bind(facts, features=("a,b,c",))
    assert contract.outputs[0].tensor.width is None
    settled = settle(contract, predictor=_opened(path))
    assert settled.outputs[0].tensor.shape == (None, 3)


def test_a_threshold_on_an_output_that_turns_out_wide_is_refused_before_the_first_batch(tmp_path: Path) -> None:
    path = models.save(models.identity(models.FLOAT, [None, 3], out_axes=[None, None]), tmp_path / "m.onnx")
    contract = bind(read_facts(str(path)), features=("a,b,c",), threshold=0.5)
    with pytest.raises(InvalidModel, match="--threshold"):
        settle(contract, predictor=_opened(path))


def test_a_model_that_cannot_score_made_up_rows_keeps_what_it_declared(tmp_path: Path) -> None:
    facts = read_facts(str(models.save(models.linear(3, 2), tmp_path / "m.onnx")))
    contract = bind(facts, features=("a,b,c",))
    assert settle(contract, predictor=_Failing()) == contract


def test_an_output_that_stays_open_is_refused(tmp_path: Path) -> None:
    model = models.identity(models.FLOAT, [None, 3], out_axes=[None, None])
    facts = read_facts(str(models.save(model, tmp_path / "m.onnx")))
    with pytest.raises(InvalidModel, match="width open"):
        settle(bind(facts, features=("a,b,c",)), predictor=_Failing())


def test_an_output_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path / "m.onnx")
    facts = read_facts(str(path))
    other = read_facts(str(models.save(models.mlp(3), tmp_path / "other.onnx")))
    declared = Declared(outputs=(DeclaredOutput("score", ("s",)),))
    contract = bind(other, declared, features=("a,b,c",))
    with pytest.raises(InvalidModel, match="no output score"):
        open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)


def test_nothing_is_written_under_home_and_nothing_printed(tmp_path: Path) -> None:
    """ONNX Runtime's wheel for Linux writes a device id and events unless it is told otherwise before its import."""
    path = models.save(models.linear(), tmp_path / "m.onnx")
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import sys, numpy as np\n"
        "from mlserve_cli.contract import bind\n"
        "from mlserve_cli.session import open_predictor, read_facts\n"
        "facts = read_facts(sys.argv[1])\n"
        "contract = bind(facts, features=('a,b,c',))\n"
        "predictor = open_predictor(sys.argv[1], sha256=facts.sha256, contract=contract, threads=1)\n"
        "predictor.predict({'X': np.zeros((2, 3), np.float32)})\n"
        "assert not {'pandas', 'onnx', 'polars'} & set(sys.modules), sorted(sys.modules)\n"
    )
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(home.rglob("*")) == []


def _opened(path: Path) -> Predictor:
    facts = read_facts(str(path))
    named = () if facts.inputs[0].width == 1 else (",".join(f"c{i}" for i in range(facts.inputs[0].width or 1)),)
    predictor = open_predictor(str(path), sha256=facts.sha256, contract=bind(facts, features=named), threads=1)
    assert isinstance(predictor, OnnxPredictor)
    return predictor


class _Counting:
    """A session that stays in each run for a moment, and counts those that are in it."""

    def __init__(self, session: Any) -> None:
        self._session, self._inside, self._lock = session, 0, threading.Lock()
        self.most_at_once = 0

    def run(self, outputs: list[str], tensors: Tensors) -> Any:
        with self._lock:
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
        time.sleep(0.02)
        with self._lock:
            self._inside -= 1
        return self._session.run(outputs, tensors)


class _Failing:
    """A predictor that cannot score anything."""

    def predict(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        raise RowsFailed(2, f"none of {sorted(tensors)}")
