"""ONNX Runtime over a large forest: which threads carry it out, and how many at once, does not show in a bit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlserve_cli import preview
from mlserve_cli.contract import bind
from mlserve_cli.scoring import layout
from mlserve_cli.session import Predictor, open_predictor, read_facts, threads_for
from tests.models import save
from tests.scoring.runs import data_bytes, request, run, shard
from tests.trees.ensembles import FEATURES, Forest, build

pytestmark = pytest.mark.slow  # a forest large enough for threads takes seconds to build and to score
NAMES = tuple(f"f{i}" for i in range(FEATURES))
# around what ONNX Runtime changes its way at: 50 rows, blocks of 128; and tails
SIZES = (1, 2, 13, 50, 51, 100, 127, 128, 129, 255, 256, 257, 384, 1_000, 1_025, 2_000)


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, more trees than the 80 from which ONNX Runtime divides them among threads, over 4 MiB."""
    path = tmp_path_factory.mktemp("forest") / "model.onnx"
    forest = Forest(kind="classifier", targets=3, trees=120, depth=10, modes=("BRANCH_LEQ",), uneven=0.05, grid=False)
    return save(build(forest, seed=8), path)


def opened(path: Path) -> Predictor:
    facts = read_facts(str(path))
    contract = bind(facts, features=(",".join(NAMES),))
    threads = threads_for(facts.family, size_bytes=facts.size_bytes)
    return open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=threads)


def rows_of(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(size).normal(size=(size, FEATURES)).astype(np.float32)


def scores(predictor: Predictor, size: int) -> bytes:
    return predictor.predict({"X": rows_of(size)})["S"].tobytes()


def test_a_large_forest_has_two_threads_and_nothing_else_has(forest: Path) -> None:
    size_bytes = forest.stat().st_size
    assert threads_for("trees", size_bytes=size_bytes) == 2
    assert threads_for("trees", size_bytes=size_bytes // 100) == 1
    assert threads_for("network", size_bytes=size_bytes) == 1


def test_two_sessions_and_three_lanes_at_once_give_the_same_bits(forest: Path) -> None:
    first, second = opened(forest), opened(forest)
    expected = {size: scores(first, size) for size in SIZES}
    with ThreadPoolExecutor(3) as lanes:
        for predictor in (first, second):
            found = lanes.map(lambda size, predictor=predictor: (size, scores(predictor, size)), SIZES * 4)
            assert [size for size, each in found if each != expected[size]] == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be bound to a core here")
def test_one_core_gives_the_same_bits_as_all(forest: Path) -> None:
    code = (
        "import hashlib, os, sys; from pathlib import Path; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from tests.trees.test_threads import SIZES, opened, scores; predictor = opened(Path(sys.argv[1]));"
        "print(hashlib.sha256(b''.join(scores(predictor, size) for size in SIZES)).hexdigest())"
    )
    alone = subprocess.run([sys.executable, "-c", code, forest], capture_output=True, text=True, check=True)
    predictor = opened(forest)
    here = hashlib.sha256(b"".join(scores(predictor, size) for size in SIZES)).hexdigest()
    assert alone.stdout.strip() == here


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_write_the_bytes_that_one_thread_writes(workers: int, forest: Path, tmp_path: Path) -> None:
    columns = {name: rows_of(1_300)[:, place].tolist() for place, name in enumerate(NAMES)}
    for number in range(2):
        shard(tmp_path / "in" / f"{number}.parquet", columns, row_group_rows=300)
    (tmp_path / "model.onnx").write_bytes(forest.read_bytes())
    ask = {"features": (",".join(NAMES),), "batch_rows": 256, "predictor": "onnxruntime"}
    one = run(tmp_path, output=str(tmp_path / "one"), workers=1, **ask)
    more = run(tmp_path, output=str(tmp_path / "more"), workers=workers, **ask)
    assert data_bytes(one.output) == data_bytes(more.output)


@pytest.mark.parametrize(("cores", "in_process", "workers"), [(1, True, 1), (2, True, 2), (4, False, 2), (8, False, 4)])
def test_there_are_as_many_workers_as_have_cores_for_their_sessions_threads(
    cores: int, in_process: bool, workers: int, forest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(layout.THREADS_ROWS, "trees", 0)  # any rows are many
    monkeypatch.setattr(layout, "usable_cores", lambda: cores)
    columns = {name: rows_of(1_300)[:, place].tolist() for place, name in enumerate(NAMES)}
    for number in range(8):
        shard(tmp_path / "in" / f"{number}.parquet", columns, row_group_rows=300)
    ask = {"features": (",".join(NAMES),), "predictor": "onnxruntime", "workers": None}
    found = preview(request(tmp_path, model=str(forest), **ask))
    assert found.plan.batch_rows == 32_768
    assert (found.layout.in_process, found.layout.lanes) == (in_process, workers)
