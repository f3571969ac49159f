"""How fast trees are scored: the kernel beside ONNX Runtime on one thread, and whole runs of mlserve with either.

    python tests/benchmarks/trees.py
    python tests/benchmarks/trees.py --trained             # by LightGBM, XGBoost and scikit-learn, if they are there
    python tests/benchmarks/trees.py --end-to-end 1000000  # and whole processes over so many rows

Ensembles are made up in the shapes of a LightGBM model of 300 trees with 63 leaves, an XGBoost model of 200 trees six
deep and a random forest of 100 trees ten deep; with --trained they are trained, and the libraries themselves and oneDAL
are measured too where they can be imported. All take turns within a round; medians and their ratios are printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mlserve_cli.contract import Contract, bind
from mlserve_cli.session import Predictor, open_predictor, open_trees, prove_equal, read_facts, settle

FEATURES = 28
BATCH_ROWS = 4_096
SHARDS = 8
Rows = NDArray[np.float32]
Score = Callable[[Rows], object]
GOALS = {"xgb": "2.5, meant 4", "lgb": "1.7, meant 3", "rf": "2.5, meant 6"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=6 * BATCH_ROWS, help="rows scored in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trained", action="store_true", help="train with the libraries that are installed")
    parser.add_argument("--end-to-end", type=int, default=0, metavar="ROWS", help="whole processes over so many rows")
    given = parser.parse_args()
    rows = np.random.default_rng(1).normal(size=(given.rows, FEATURES)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for name, model, others in trained(Path(folder)) if given.trained else made_up():
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(model.SerializeToString())
            one_thread(name, path, others, rows=rows, rounds=given.rounds)
            if given.end_to_end:
                whole_runs(name, path, Path(folder), rows=given.end_to_end, rounds=given.rounds)


def one_thread(name: str, path: Path, others: dict[str, Score], *, rows: Rows, rounds: int) -> None:
    """Rows a second on one thread."""
    facts = read_facts(str(path))
    contract = bind(facts, features=(",".join(f"f{i}" for i in range(FEATURES)),))
    plain = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    contract = settle(contract, predictor=plain)
    began = time.perf_counter()
    trees = open_trees(str(path), sha256=facts.sha256, contract=contract)
    opened = time.perf_counter()
    prove_equal(trees, plain, contract)
    print(f"{name}: opened in {opened - began:.2f} s, proved equal in {time.perf_counter() - opened:.2f} s")
    scorers = {"ONNX Runtime": _by(plain, contract), "the kernel": _by(trees, contract), **others}
    seconds = in_turns({label: partial(score, rows) for label, score in scorers.items()}, rounds=rounds)
    for label, each in seconds.items():
        print(f"  {label:<16}{len(rows) / each / 1e3:9,.0f} k rows/s {seconds['ONNX Runtime'] / each:7.2f} x")


def whole_runs(name: str, path: Path, folder: Path, *, rows: int, rounds: int) -> None:
    """Seconds of whole processes, from their start to their end."""
    shards = folder / f"in-{rows}"
    if not shards.exists():
        write_shards(shards, rows=rows)
    names = ",".join(f"f{i}" for i in range(FEATURES))

    def score(predictor: str) -> None:
        out = ["--output", str(folder / "out"), "--if-exists", "overwrite", "--predictor", predictor, "--quiet"]
        command = [sys.executable, "-m", "mlserve_cli", "score", "--model", str(path), "--input", str(shards), *out]
        subprocess.run([*command, "--features", names, "--id-column", "id"], check=True, capture_output=True)

    seconds = in_turns({each: partial(score, each) for each in ("onnxruntime", "trees")}, rounds=rounds)
    ratio = seconds["onnxruntime"] / seconds["trees"]
    print(
        f"  whole runs over {rows:,} rows: onnxruntime {seconds['onnxruntime']:.2f} s, trees {seconds['trees']:.2f} s: "
        f"{ratio:.2f} x (at least {GOALS[name]})"
    )


def in_turns(works: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each, taking turns after a first go that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if number:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _by(predictor: Predictor, contract: Contract) -> Score:
    (tensor,) = (part.tensor.name for part in contract.inputs)

    def score(rows: Rows) -> None:
        for start in range(0, len(rows), BATCH_ROWS):
            predictor.predict({tensor: rows[start : start + BATCH_ROWS]})

    return score


def write_shards(folder: Path, *, rows: int) -> None:
    """Parquet shards of random numbers, zstd, row groups of 128k."""
    folder.mkdir()
    random = np.random.default_rng(2)
    for number in range(SHARDS):
        count = rows // SHARDS
        matrix = random.normal(size=(FEATURES, count)).astype(np.float32)
        ids = np.arange(number * count, (number + 1) * count)
        table = pa.table({"id": ids, **{f"f{i}": column for i, column in enumerate(matrix)}})
        pq.write_table(table, folder / f"part-{number}.parquet", compression="zstd", row_group_size=131_072)


# Made up: each split halves what is left of its feature, in normal quantiles, so that rows spread over all leaves


def made_up() -> Iterator[tuple[str, onnx.ModelProto, dict[str, Score]]]:
    """The three shapes, with nothing trained."""
    yield "lgb", ensemble(trees=300, leaves=63, depth=30, bins=255), {}
    yield "xgb", ensemble(trees=200, leaves=64, depth=6, bins=255), {}
    yield "rf", ensemble(trees=100, leaves=700, depth=10, bins=1 << 20), {}


def ensemble(*, trees: int, leaves: int, depth: int, bins: int) -> onnx.ModelProto:
    """A binary classifier in one margin: leaves are split at random until there are so many, down to `depth`."""
    random = np.random.default_rng(3)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    }
    leaf_ids: list[tuple[int, int]] = []
    for tree in range(trees):
        nodes = _grown(random, leaves=leaves, depth=depth, bins=bins)
        for number, (feature, value, true, false) in enumerate(nodes):
            mode = "BRANCH_LEQ" if true else "LEAF"
            for name, each in zip(columns, (tree, number, mode, feature, value, true, false), strict=True):
                columns[name].append(each)
        leaf_ids += [(tree, number) for number, node in enumerate(nodes) if not node[2]]
    nodes_of: dict[str, Any] = {f"nodes_{name}": values for name, values in columns.items()}
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        **nodes_of,
        class_treeids=[tree for tree, _ in leaf_ids],
        class_nodeids=[number for _, number in leaf_ids],
        class_ids=[0] * len(leaf_ids),
        class_weights=(random.normal(size=len(leaf_ids)) / 10).astype(np.float32).tolist(),
        classlabels_int64s=[0, 1],
        post_transform="LOGISTIC",
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, FEATURES])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _grown(random: np.random.Generator, *, leaves: int, depth: int, bins: int) -> list[tuple[int, float, int, int]]:
    """(feature, threshold, true, false) of each node; a leaf has no children."""
    nodes = [(0, 0.0, 0, 0)]
    open_leaves: list[tuple[int, int, dict[int, tuple[float, float]]]] = [(0, 0, {})]
    while open_leaves and len(nodes) < 2 * leaves - 1:
        number, level, ranges = open_leaves.pop(int(random.integers(len(open_leaves))))
        if level == depth:
            continue
        feature = int(random.integers(FEATURES))
        low, high = ranges.get(feature, (0.0, 1.0))
        cut = round((low + (high - low) * random.uniform(0.3, 0.7)) * bins) / bins
        if not low < cut < high:
            continue
        true, false = len(nodes), len(nodes) + 1
        nodes[number] = (feature, float(np.float32(statistics.NormalDist().inv_cdf(cut))), true, false)
        nodes += [(0, 0.0, 0, 0)] * 2
        open_leaves.append((true, level + 1, {**ranges, feature: (low, cut)}))
        open_leaves.append((false, level + 1, {**ranges, feature: (cut, high)}))
    return nodes


# Trained


def trained(folder: Path) -> Iterator[tuple[str, onnx.ModelProto, dict[str, Score]]]:
    """The same shapes from the libraries that are installed, each with its own predictor and oneDAL's."""
    random = np.random.default_rng(4)
    x = random.normal(size=(100_000, FEATURES)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3:8].sum(axis=1) + random.normal(size=len(x)) > 0).astype(int)
    for name, train in {"lgb": _lightgbm, "xgb": _xgboost, "rf": _sklearn}.items():
        try:
            yield name, *train(x, y)
        except ImportError as error:
            print(f"{name}: left out, {error}")


def _lightgbm(x: Rows, y: Any) -> tuple[onnx.ModelProto, dict[str, Score]]:
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = lightgbm.LGBMClassifier(n_estimators=300, num_leaves=63, verbose=-1).fit(x, y)
    exported = convert_lightgbm(model, "lgb", [("X", FloatTensorType([None, FEATURES]))], target_opset=15)
    own = {"LightGBM": lambda rows: model.booster_.predict(rows, num_threads=1)}
    return exported, {**own, **_onedal(model.booster_)}


def _xgboost(x: Rows, y: Any) -> tuple[onnx.ModelProto, dict[str, Score]]:
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = xgboost.XGBClassifier(n_estimators=200, max_depth=6).fit(x, y)
    exported = convert_xgboost(model, "xgb", [("X", FloatTensorType([None, FEATURES]))], target_opset=15)
    booster = model.get_booster()
    booster.set_param("nthread", 1)
    return exported, {"XGBoost": booster.inplace_predict, **_onedal(booster)}


def _sklearn(x: Rows, y: Any) -> tuple[onnx.ModelProto, dict[str, Score]]:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(100, max_depth=10, n_jobs=-1).fit(x, y)
    model.n_jobs = 1
    exported = to_onnx(model, x[:1], target_opset={"": 17, "ai.onnx.ml": 3})
    return exported, {"scikit-learn": model.predict_proba}


def _onedal(booster: Any) -> dict[str, Score]:
    """OneDAL's predictor, one thread; nothing where it cannot be had."""
    try:
        import daal4py
        from daal4py.mb import convert_model

        daal4py.daalinit(nthreads=1)
        return {"oneDAL": convert_model(booster).predict}
    except Exception as error:  # noqa: BLE001  whatever keeps another library from being measured is worth a line only
        print(f"oneDAL: left out, {str(error).splitlines()[0]}")
        return {}


if __name__ == "__main__":
    main()
