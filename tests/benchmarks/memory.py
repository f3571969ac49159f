"""Memory of whole runs over few and over many rows: does it stay under its limit, near its estimate, and flat?

    python -m tests.benchmarks.memory --models lgb mlp --rows 1000000 4000000 --memory-limit 1GiB
    python -m tests.benchmarks.memory --rows 1000000 16000000 --workers 2
    python -m tests.benchmarks.memory --shapes             # 2,000 columns, and a row group of five million rows

Peak memory is that of all processes of the run together, seen from outside. Exit 1 where it is over the limit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from mlserve_cli.benchmark.processes import run_process
from mlserve_cli.cli.parse import size_bytes
from tests.benchmarks import made
from tests.benchmarks.figures import MIB, Peak

# name, columns, rows, rows of a row group
SHAPES = (
    ("wide", 2_000, 60_000, 20_000),
    ("wide_large_groups", 2_000, 150_000, 50_000),
    ("one_row_group", 28, 5_000_000, 5_000_000),
)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mlp"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--memory-limit", default="1GiB")
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--shapes", action="store_true", help="tables of unusual shape instead, with models made up")
    made.add_arguments(parser)
    args = parser.parse_args()
    limit_bytes = size_bytes(args.memory_limit)
    if args.shapes:
        sys.exit(shapes(args.workers, limit=args.memory_limit) > limit_bytes)
    models, over = made.models(args.data, args.models), False
    for rows in args.rows:
        data = made.rows(args.data, rows)
        for model in args.models:
            for peak in measure(models / f"{model}.onnx", data, rows, args.workers, limit=args.memory_limit):
                over |= peak.peak_memory_bytes > limit_bytes
                print(line(peak), flush=True)
    sys.exit(over)


def measure(model: Path, data: Path, rows: int, *workers: str, limit: str | None = None) -> Iterator[Peak]:
    """A run for each number of workers."""
    for number in workers:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-P", "-m", "mlserve_cli", "score", f"--model={model}", f"--input={data}"]
            command += ["--id-column=id", f"--output={folder}/run", f"--workers={number}"]
            ended = run_process(command + ([f"--memory-limit={limit}"] if limit else []), watched=True)
            if ended.trouble:
                raise SystemExit(f"{' '.join(command)}\n{ended.trouble}\n{ended.errors}")
            throughput = json.loads(Path(folder, "run", "manifest.json").read_bytes())["throughput"]
        yield Peak(
            model=model.stem,
            rows=rows,
            workers=number,
            seconds=round(ended.seconds, 3),
            peak_memory_bytes=ended.peak_memory_bytes,
            estimated_bytes=throughput["estimated_peak_memory_bytes"],
        )


def shapes(workers: str, *, limit: str) -> int:
    """The highest peak of the shapes that ask most of a reader; a line for each."""
    highest = 0
    with tempfile.TemporaryDirectory() as name:
        for shape, columns, rows, row_group_rows in SHAPES:
            folder = Path(name, shape)
            model = write_model(folder, columns=columns)
            data = write_table(folder / "in", columns=columns, rows=rows, row_group_rows=row_group_rows)
            for peak in measure(model, data, rows, workers, limit=limit):
                highest = max(highest, peak.peak_memory_bytes)
                print(line(peak), flush=True)
            shutil.rmtree(folder)
    return highest


def write_model(folder: Path, *, columns: int) -> Path:
    """A linear model over so many columns, called as its folder."""
    folder.mkdir()
    weights = np.random.default_rng(1).normal(size=(columns, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["M"]), helper.make_node("Sigmoid", ["M"], ["score"])],
        "linear",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, columns])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(weights, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"feature_names": json.dumps([f"c{i}" for i in range(columns)])})
    path = folder / f"{folder.name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def write_table(folder: Path, *, columns: int, rows: int, row_group_rows: int) -> Path:
    """One Parquet shard, written row group by row group."""
    folder.mkdir()
    random = np.random.default_rng(2)
    names = ["id", *(f"c{i}" for i in range(columns))]
    schema = pa.schema([(name, pa.float32() if name != "id" else pa.int64()) for name in names])
    with pq.ParquetWriter(folder / "part-0.parquet", schema, compression="zstd") as writer:
        for start in range(0, rows, row_group_rows):
            count = min(row_group_rows, rows - start)
            arrays = [pa.array(random.standard_normal(count, np.float32)) for _ in range(columns)]
            ids = pa.array(np.arange(start, start + count))
            writer.write_table(pa.table([ids, *arrays], schema=schema), row_group_size=row_group_rows)
    return folder


def line(peak: Peak) -> str:
    """One run in a line."""
    return (
        f"{peak.model}, {peak.rows:,} rows, {peak.workers} workers: {peak.seconds:.2f} s, "
        f"peak {peak.peak_memory_bytes / MIB:.0f} MiB, estimated {peak.estimated_bytes / MIB:.0f} MiB "
        f"({peak.estimated_bytes / peak.peak_memory_bytes - 1:+.0%})"
    )


if __name__ == "__main__":
    main()
