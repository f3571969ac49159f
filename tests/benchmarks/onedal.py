"""Trees on one thread: the kernel beside ONNX Runtime and, where it can be had, oneDAL, which is proprietary.

oneDAL runs in an environment of its own (onedal-requirements.txt) by onedal_score.py; the three take turns.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, bind
from mlserve_cli.session import Predictor, Unsupported, open_predictor, open_trees, read_facts, settle
from tests.benchmarks.figures import ROOT, Kernel

SCORE = ROOT / "tests" / "benchmarks" / "onedal_score.py"
ROWS, BATCH_ROWS, COMPARED_ROWS = 98_304, 4_096, 1_000
TOLERANCE = 1e-5
Rows = NDArray[np.float32]


def measure(models: Path, names: Sequence[str], *, python: Path | None, rounds: int) -> Iterator[Kernel]:
    """Rows a second for each model of trees; without `python` oneDAL is left out."""
    for name in names:
        path = models / f"{name}.onnx"
        if read_facts(str(path)).family == "trees":
            yield Kernel(name, _medians(path, python=python, rounds=rounds))


def _medians(path: Path, *, python: Path | None, rounds: int) -> dict[str, float]:
    facts = read_facts(str(path))
    contract = bind(facts)
    plain = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    contract = settle(contract, predictor=plain)
    rows = np.random.default_rng(1).normal(size=(ROWS, len(contract.columns))).astype(np.float32)
    rates = {"ONNX Runtime": partial(_rate, plain, contract, rows)}
    try:
        trees = open_trees(str(path), sha256=facts.sha256, contract=contract)
        rates["the kernel"] = partial(_rate, trees, contract, rows)
    except Unsupported as reason:
        print(f"{path.stem}: the kernel is left out: {reason}")
    if python is not None:
        expected = _scores(plain, contract, rows[:COMPARED_ROWS])
        rates["oneDAL"] = partial(_onedal_rate, path, python, expected)
    found: dict[str, list[float]] = {name: [] for name in rates}
    for number in range(rounds + 1):
        for name, rate in rates.items():
            found[name] += [rate()] if number else []
    return {name: round(median(each)) for name, each in found.items()}


def _rate(predictor: Predictor, contract: Contract, rows: Rows) -> float:
    (tensor,) = (part.tensor.name for part in contract.inputs)
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH_ROWS):
        predictor.predict({tensor: rows[start : start + BATCH_ROWS]})
    return len(rows) / (time.perf_counter() - began)


def _scores(predictor: Predictor, contract: Contract, rows: Rows) -> NDArray[np.float64]:
    """Of the last class."""
    (tensor,) = (part.tensor.name for part in contract.inputs)
    name = next(output.tensor.name for output in contract.outputs if output.role != "label")
    return np.asarray(predictor.predict({tensor: rows})[name], dtype=np.float64).reshape(len(rows), -1)[:, -1]


def _onedal_rate(path: Path, python: Path, expected: NDArray[np.float64]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        margins = Path(folder, "margins.npy")
        command = [str(python), str(SCORE), str(path), str(ROWS), str(margins)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        _check(np.load(margins), expected, path)
    return float(json.loads(done.stdout.splitlines()[-1])["rows_per_s"])


def _check(margins: NDArray[np.float64], expected: NDArray[np.float64], path: Path) -> None:
    """What is quick and wrong is not compared: its margins, or their sigmoid, must be ONNX Runtime's scores."""
    apart = min(float(np.abs(each - expected).max()) for each in (margins, 1 / (1 + np.exp(-margins))))
    if apart > TOLERANCE:
        raise SystemExit(f"oneDAL scores {path} otherwise than ONNX Runtime, by up to {apart:.2g}")
