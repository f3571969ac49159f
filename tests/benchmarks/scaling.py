"""What a second worker gives, and whether both are busy to the end where shards differ much in size.

    python -m tests.benchmarks.scaling
    python -m tests.benchmarks.scaling --models mlp rf --rows 2000000 --rounds 5

One worker and two take turns over the same rows, on ONNX Runtime and, for trees, on the kernel; from the manifests come
the seconds of scoring, the start of the processes left out. Then two workers score one large shard and twenty small
ones. Exit 1 where two workers give less than 1.8 times one, or a worker is busy for less than 0.95 of the scoring.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.benchmark.processes import run_process
from tests.benchmarks import made

MODELS = ("mlp", "lgb", "xgb", "rf")
LEAST_SPEEDUP = 1.8
LEAST_BUSY = 0.95
LARGE_SHARE = 2 / 3  # of all rows, in one shard
SMALL_SHARDS = 20


def main() -> None:
    """Print a line for each model and predictor, then one for each run over skewed shards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    made.add_arguments(parser)
    args = parser.parse_args()
    models, rows = made.models(args.data, args.models), made.rows(args.data, args.rows)
    good = True
    with tempfile.TemporaryDirectory() as name:
        skewed = write_skewed(rows, Path(name, "skewed"))
        for model in (models / f"{each}.onnx" for each in args.models):
            for predictor in predictors_for(model):
                good &= speedup(model, rows, predictor, rounds=args.rounds) >= LEAST_SPEEDUP
                good &= busy(model, skewed, predictor) >= LEAST_BUSY
    sys.exit(not good)


def predictors_for(model: Path) -> tuple[str, ...]:
    """The kernel scores trees alone."""
    return ("onnxruntime",) if model.stem in ("lr", "mlp") else ("onnxruntime", "trees")


def speedup(model: Path, rows: Path, predictor: str, *, rounds: int) -> float:
    """How many times as fast two workers score as one: the median of the rounds' ratios."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for number, each in taken.items():
            each.append(seconds(scored(model, rows, predictor, number)))
    found = statistics.median(one / two for one, two in zip(taken[1], taken[2], strict=True))
    one, two = (statistics.median(taken[number]) for number in (1, 2))
    print(f"{model.stem:4} {predictor:12} one worker {one:6.2f} s, two {two:6.2f} s: {found:.2f} x", flush=True)
    return found


def busy(model: Path, rows: Path, predictor: str) -> float:
    """The busy share of the worker that has least to do."""
    throughput = scored(model, rows, predictor, 2)["throughput"]
    shares = [worker["busy_share"] for worker in throughput["workers"]]
    least = min(shares) if len(shares) > 1 else 0.0
    print(
        f"{model.stem:4} {predictor:12} skewed shards: busy {', '.join(f'{share:.2f}' for share in shares)}", flush=True
    )
    return least


def seconds(manifest: dict[str, Any]) -> float:
    """From the first task's start to the last one's end, near enough: what the stages took, by who was at them."""
    throughput = manifest["throughput"]
    return float(sum(throughput["stages"].values()) / sum(worker["busy_share"] for worker in throughput["workers"]))


def scored(model: Path, rows: Path, predictor: str, workers: int) -> dict[str, Any]:
    """The manifest of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "mlserve_cli", "score", f"--model={model}", f"--input={rows}"]
        command += ["--id-column=id", f"--output={folder}/run", f"--workers={workers}", f"--predictor={predictor}"]
        ended = run_process(command)
        if ended.trouble:
            raise SystemExit(f"{' '.join(command)}\n{ended.trouble}\n{ended.errors}")
        found: dict[str, Any] = json.loads(Path(folder, "run", "manifest.json").read_bytes())
    return found


def write_skewed(rows: Path, folder: Path) -> Path:
    """The same rows anew: most of them in one shard, the rest in twenty."""
    folder.mkdir()
    table = pa.concat_tables(pq.ParquetFile(path).read() for path in sorted(rows.glob("*.parquet")))
    for number, (start, stop) in enumerate(spans(table.num_rows)):
        pq.write_table(
            table.slice(start, stop - start),
            folder / f"part-{number:02}.parquet",
            compression="zstd",
            row_group_size=131_072,
        )
    return folder


def spans(rows: int) -> Iterator[tuple[int, int]]:
    """Where each shard begins and ends, the small ones first."""
    small = int(rows * (1 - LARGE_SHARE)) // SMALL_SHARDS
    starts: Sequence[int] = range(0, small * SMALL_SHARDS, small)
    yield from ((start, start + small) for start in starts)
    yield small * SMALL_SHARDS, rows


if __name__ == "__main__":
    main()
