"""Memory of whole runs over few and over many rows: does it stay under its limit, near its estimate, and flat?

    python -m tests.benchmarks.memory --models lgb mlp --rows 1000000 4000000 --memory-limit 1GiB

Peak memory is that of all processes of the run together, seen from outside. Exit 1 where it is over the limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlserve_cli.benchmark.processes import run_process
from mlserve_cli.cli.parse import size_bytes
from tests.benchmarks import made
from tests.benchmarks.figures import MIB, Peak


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mlp"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--memory-limit", default="1GiB")
    parser.add_argument("--workers", default="auto")
    made.add_arguments(parser)
    args = parser.parse_args()
    models, limit_bytes, over = made.models(args.data, args.models), size_bytes(args.memory_limit), False
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


def line(peak: Peak) -> str:
    """One run in a line."""
    return (
        f"{peak.model}, {peak.rows:,} rows, {peak.workers} workers: {peak.seconds:.2f} s, "
        f"peak {peak.peak_memory_bytes / MIB:.0f} MiB, estimated {peak.estimated_bytes / MIB:.0f} MiB"
    )


if __name__ == "__main__":
    main()
