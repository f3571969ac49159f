"""What a profile costs: a run with one beside the same run without, in turns.

    python -m tests.benchmarks.profiling
    python -m tests.benchmarks.profiling --rows 4000000 --rounds 9
    python -m tests.benchmarks.profiling --model gbm.onnx --data rows/ --features f0,f1,f2

Whole processes from start to end. The goal is on the time by the clock on a machine that does nothing else; the
processors' seconds stand beside it. Without --model: 300 trees of 63 leaves, and a network, for what a profile costs
where a row costs next to nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.trees import FEATURES, made_up, write_shards
from tests.models import mlp, save

GOAL = 0.05
COLUMNS = tuple(f"f{place}" for place in range(FEATURES))
WAYS = ("off", "on")


@dataclass(frozen=True, slots=True)
class Turn:
    """One process: seconds by the clock, seconds of processors, and of those in the profile as the manifest says."""

    seconds: float
    processor_s: float
    profile_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--features", default=",".join(COLUMNS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.data is None:
            write_shards(folder / "rows", rows=given.rows)
        data = given.data or folder / "rows"
        models = [given.model] if given.model else list(write_models(folder))
        for model in models:
            measure(model, data, folder / "out", given.features, rounds=given.rounds, limit=given.rows)


def measure(model: Path, data: Path, out: Path, features: str, *, rounds: int, limit: int) -> None:
    """Whole processes, in turns after a first go of each that does not count."""
    taken: dict[str, list[Turn]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way in WAYS if number % 2 else reversed(WAYS):
            turn = score(model, data, out, features, way, limit=limit)
            if number:
                taken[way].append(turn)
    ratios = [on.seconds / off.seconds - 1 for on, off in zip(taken["on"], taken["off"], strict=True)]
    work = [on.processor_s / off.processor_s - 1 for on, off in zip(taken["on"], taken["off"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    seconds = {way: statistics.median(turn.seconds for turn in turns) for way, turns in taken.items()}
    processor = {way: statistics.median(turn.processor_s for turn in turns) for way, turns in taken.items()}
    print(
        f"{model.stem}, {limit:,} rows: without {seconds['off']:.2f} s, with a profile {seconds['on']:.2f} s, "
        f"{middle:+.1%} ({low:+.1%} to {high:+.1%}), {'within' if middle <= GOAL else 'OVER'} {GOAL:.0%}; "
        f"processors {processor['off']:.2f} s and {processor['on']:.2f} s, {statistics.median(work):+.1%}; "
        f"in the profile {statistics.median(turn.profile_s for turn in taken['on']):.2f} s of all threads"
    )


def score(model: Path, data: Path, out: Path, features: str, way: str, *, limit: int) -> Turn:
    """One process from its start to its end."""
    command = [sys.executable, "-m", "mlserve_cli", "score", "--model", str(model), "--input", str(data), "--quiet"]
    command += ["--output", str(out), "--if-exists", "overwrite", "--features", features, "--limit", str(limit)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--profile", way], check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    stages = json.loads((out / "manifest.json").read_text())["throughput"]["stages"]
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Turn(seconds, processor_s, float(stages["profile_s"]))


def write_models(folder: Path) -> Iterator[Path]:
    """As many trees as a real model has, and a network."""
    name, model, _ = next(made_up())
    yield save(model, folder / f"{name}.onnx")
    yield save(mlp(FEATURES, 64), folder / "mlp.onnx")


if __name__ == "__main__":
    main()
