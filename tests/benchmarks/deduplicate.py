"""What scoring repeated rows once gives, whole processes beside `--deduplicate off`, and what the look for them costs.

    python tests/benchmarks/deduplicate.py
    python tests/benchmarks/deduplicate.py --rows 1000000 --rounds 9

Rows of ten columns: `profiles` are 5,000 rows drawn again and again, `choices` have six values in each column, the
commonest in seven rows of ten, `unique` never repeat. `auto` and `off` take turns; medians, the median of the rounds'
ratios and its quartiles are printed, and what the look alone takes, which noise hides in whole processes: where nothing
repeats, it must be less than 2 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlserve_cli import ScoreRequest
from mlserve_cli.scoring import SILENT
from mlserve_cli.scoring.plan import make_plan
from mlserve_cli.scoring.repeats import choose_window
from mlserve_cli.scoring.resolve import resolve

COLUMNS = tuple(f"c{place}" for place in range(10))
SHARDS = 4
VALUES = 6
PROFILES = 5_000
LOOKS = 9
DATA = ("profiles", "choices", "unique")
LAYERS = (256, 128)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for data in DATA:
            write_shards(folder / data, rows=given.rows)
        for model in write_models(folder):
            for data in DATA:
                measure(model, folder / data, folder / "out", rounds=given.rounds)


def measure(model: Path, data: Path, out: Path, *, rounds: int) -> None:
    """Whole processes, in turns after a first go of each that does not count."""
    taken: dict[str, list[float]] = {"off": [], "auto": []}
    for number in range(rounds + 1):
        for choice in ("off", "auto") if number % 2 else ("auto", "off"):
            seconds = score(model, data, out, choice)
            if number:
                taken[choice].append(seconds)
    found = json.loads((out / "manifest.json").read_text())["deduplication"]  # after an even number of rounds, off's
    if not found["window_rows"]:
        score(model, data, out, "auto")
        found = json.loads((out / "manifest.json").read_text())["deduplication"]
    ratios = [off / auto for off, auto in zip(taken["off"], taken["auto"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    looked = look(model, data)
    print(
        f"{model.stem:8} {data.name:10} off {statistics.median(taken['off']):6.2f} s  "
        f"auto {statistics.median(taken['auto']):6.2f} s  {middle:5.2f} x ({low:.2f} to {high:.2f})  "
        f"{found['scored_rows']:,} of {found['rows']:,} rows scored: {found['reason']}; "
        f"the look took {1e3 * looked:.0f} ms, {looked / statistics.median(taken['off']):.1%} of the run"
    )


def look(model: Path, data: Path) -> float:
    """Seconds that planning takes longer for the look and the proof: the median of some goes."""
    features = (",".join(COLUMNS),)
    request = ScoreRequest(model=str(model), inputs=(str(data),), output="-", features=features, deduplicate="off")
    resolved = resolve(str(model))
    plan, predictor = make_plan(request, resolved, inputs=None, observer=SILENT)
    seconds = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        choose_window(plan, replace(request, deduplicate="auto"), facts=resolved.facts, predictor=predictor)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def score(model: Path, data: Path, out: Path, choice: str) -> float:
    """Seconds of one process from its start to its end."""
    command = [sys.executable, "-m", "mlserve_cli", "score", "--model", str(model), "--input", str(data), "--quiet"]
    options = ["--output", str(out), "--if-exists", "overwrite", "--deduplicate", choice]
    began = time.perf_counter()
    subprocess.run([*command, *options, "--features", ",".join(COLUMNS)], check=True, capture_output=True)
    return time.perf_counter() - began


def write_shards(folder: Path, *, rows: int) -> None:
    """Ten columns of float32, Parquet as anyone writes it."""
    folder.mkdir()
    random = np.random.default_rng(2)
    for number in range(SHARDS):
        count = rows // SHARDS
        columns = _columns(folder.name, random, count)
        table = pa.table([column.astype(np.float32) for column in columns], names=list(COLUMNS))
        pq.write_table(table, folder / f"part-{number}.parquet", compression="zstd")


def _columns(data: str, random: np.random.Generator, count: int) -> list[NDArray[Any]]:
    if data == "choices":
        return [np.minimum(random.geometric(0.7, size=count), VALUES) for _ in COLUMNS]
    if data == "profiles":
        profiles = np.random.default_rng(5).normal(size=(len(COLUMNS), PROFILES))
        return list(profiles[:, random.integers(0, PROFILES, size=count)])
    return [random.normal(size=count) for _ in COLUMNS]


def write_models(folder: Path) -> Iterator[Path]:
    """A network of 10-256-128-1, and 300 trees of 63 leaves."""
    for name, model in (("network", network()), ("trees", trees())):
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        yield path


def network() -> onnx.ModelProto:
    """Random weights: what they say does not matter here."""
    random = np.random.default_rng(3)
    sizes = (len(COLUMNS), *LAYERS, 1)
    nodes, constants, last = [], [], "X"
    for place, (before, after) in enumerate(pairwise(sizes)):
        weights = (random.normal(size=(before, after)) / before**0.5).astype(np.float32)
        constants += [numpy_helper.from_array(weights, f"W{place}")]
        nodes += [helper.make_node("MatMul", [last, f"W{place}"], [f"M{place}"])]
        nodes += [helper.make_node("Relu" if after > 1 else "Sigmoid", [f"M{place}"], [f"H{place}"])]
        last = f"H{place}"
    nodes[-1].output[0] = "score"
    return _model(nodes, constants)


def trees() -> onnx.ModelProto:
    """Balanced trees of six levels but one leaf, on thresholds between the values."""
    random = np.random.default_rng(4)
    inner, count = 63, 300
    columns: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes")}
    columns |= {"truenodeids": [], "falsenodeids": []}
    for tree in range(count):
        for node in range(2 * inner + 1):
            leaf = node >= inner
            columns["treeids"].append(tree)
            columns["nodeids"].append(node)
            columns["featureids"].append(0 if leaf else int(random.integers(len(COLUMNS))))
            columns["values"].append(0.0 if leaf else float(random.normal() + 1.0))
            columns["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            columns["truenodeids"].append(0 if leaf else 2 * node + 1)
            columns["falsenodeids"].append(0 if leaf else 2 * node + 2)
    leaves = [(tree, node) for tree in range(count) for node in range(inner, 2 * inner + 1)]
    nodes: dict[str, Any] = {f"nodes_{name}": values for name, values in columns.items()}
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["X"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        target_ids=[0] * len(leaves),
        target_treeids=[tree for tree, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_weights=random.normal(size=len(leaves)).astype(np.float32).tolist(),
        **nodes,
    )
    return _model([node], [])


def _model(nodes: list[Any], constants: list[Any]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, len(COLUMNS)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    main()
