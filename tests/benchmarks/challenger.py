"""What a challenger costs: a run with one beside the same run without, and the inference that it brings along.

    python tests/benchmarks/challenger.py
    python tests/benchmarks/challenger.py --rows 2000000 --rounds 9
    python tests/benchmarks/challenger.py --champion champion.onnx --challenger other.onnx --data rows/

Whole processes take turns. Of each round's difference the challenger's own inference is taken off, as its manifest has
it and by as many threads as the run had; what is left, as a share of the run without it, must stay under 5 %. Printed
beside: what a canary of a tenth and a split of halves between both models cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.deduplicate import COLUMNS, SHARDS, write_models

GOAL = 0.05
WAYS = ("alone", "beside", "canary", "halves")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--champion", type=Path)
    parser.add_argument("--challenger", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--key", default="id", help="by which rows are split")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.champion and given.challenger and given.data:
            measure(given.champion, given.challenger, given.data, folder / "out", given.key, rounds=given.rounds)
            return
        write_rows(folder / "rows", rows=given.rows)
        network, trees = write_models(folder)
        for champion, challenger in ((trees, network), (trees, trees), (network, trees)):
            other = folder / f"{challenger.stem}-2.onnx"
            other.write_bytes(challenger.read_bytes())
            measure(champion, other, folder / "rows", folder / "out", given.key, rounds=given.rounds)


def measure(champion: Path, challenger: Path, data: Path, out: Path, key: str, *, rounds: int) -> None:
    """Whole processes, in turns after a first go of each that does not count."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    own: list[float] = []
    for number in range(rounds + 1):
        for way in WAYS if number % 2 else reversed(WAYS):
            seconds, manifest = score(champion, challenger, data, out, key, way)
            if number:
                taken[way].append(seconds)
            if number and way == "beside":
                own.append(inference_s(manifest))
    rest = [
        (both - own_s - alone) / alone for both, own_s, alone in zip(taken["beside"], own, taken["alone"], strict=True)
    ]
    low, middle, high = statistics.quantiles(rest, n=4)
    medians = {way: statistics.median(times) for way, times in taken.items()}
    print(
        f"{champion.stem} with {challenger.stem}: alone {medians['alone']:.2f} s, beside {medians['beside']:.2f} s, of "
        f"which its inference {statistics.median(own):.2f} s; the rest {middle:+.1%} of the run ({low:+.1%} to "
        f"{high:+.1%}), {'within' if middle <= GOAL else 'OVER'} {GOAL:.0%}; canary of 10 % {medians['canary']:.2f} s, "
        f"halves {medians['halves']:.2f} s"
    )


def inference_s(manifest: dict[str, Any]) -> float:
    """The challenger's inference, as seconds of the run: over all threads that scored at once."""
    (account,) = manifest["challengers"]
    assert account["status"] == "complete", account["error"]
    threads = max(len(manifest["throughput"]["workers"]), 1) * manifest["environment"]["threads_per_worker"]
    return float(account["inference_s"]) / threads


def score(champion: Path, challenger: Path, data: Path, out: Path, key: str, way: str) -> tuple[float, dict[str, Any]]:
    """Seconds of one process from its start to its end, and its manifest."""
    command = [sys.executable, "-m", "mlserve_cli", "score", "--input", str(data), "--quiet", "--id-column", key]
    command += ["--output", str(out), "--if-exists", "overwrite", "--features", ",".join(COLUMNS)]
    options = {
        "alone": [],
        "beside": ["--challenger", str(challenger)],
        "canary": ["--challenger", str(challenger), "--canary", "10"],
        "halves": ["--challenger", str(challenger), "--canary", "50"],
    }
    began = time.perf_counter()
    subprocess.run([*command, "--model", str(champion), *options[way]], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    return seconds, json.loads((out / "manifest.json").read_text())


def write_rows(folder: Path, *, rows: int) -> None:
    """Ten columns of float32 that do not repeat, and an id, in Parquet as anyone writes it."""
    folder.mkdir()
    random = np.random.default_rng(2)
    each = rows // SHARDS
    for number in range(SHARDS):
        columns = [random.normal(size=each).astype(np.float32) for _ in COLUMNS]
        ids = np.arange(number * each, (number + 1) * each)
        table = pa.table([ids, *columns], names=["id", *COLUMNS])
        pq.write_table(table, folder / f"part-{number}.parquet", compression="zstd")


if __name__ == "__main__":
    main()
