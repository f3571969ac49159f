"""What a challenger costs: a run with one beside the same run without, and the inference that it brings along.

    python -m tests.benchmarks.challenger
    python -m tests.benchmarks.challenger --rows 4000000 --rounds 9
    python -m tests.benchmarks.challenger --champion champion.onnx --challenger other.onnx --data rows/

Whole processes take turns, and their processor time is compared, which another process on the machine moves less than
the clock. Of each round's difference the challenger's own inference is taken off, measured on the same rows, converted
already; what is left, as a share of the run without it, must stay under 5 %: converting, comparing, writing, and
opening the model. Beside it stands the same without any inference, the champion's neither, as the manifests have it:
less of what is left is noise then. With --split: what a canary of a tenth and halves cost.

Without models of your own: the trees of `profiling` as champion, other trees or a network beside, and the other way
round, on 28 columns.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from mlserve_cli import ScoreRequest
from mlserve_cli.scoring import SILENT
from mlserve_cli.scoring.batches import Clock
from mlserve_cli.scoring.distinct import score_rows
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.plan import make_plan
from mlserve_cli.scoring.rivals import resolve_all, with_rivals
from mlserve_cli.scoring.rows import first_rows
from tests.benchmarks.profiling import COLUMNS
from tests.benchmarks.trees import FEATURES, made_up, write_shards
from tests.models import mlp, save

GOAL = 0.05
Ways: TypeAlias = tuple[str, ...]
WAYS, SPLIT = ("alone", "beside"), ("canary", "halves")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one process: of all its threads, by the clock, and all models' inference as the manifest has it."""

    cpu_s: float
    wall_s: float
    inference_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--champion", type=Path)
    parser.add_argument("--challenger", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--key", default="id", help="by which rows are split")
    parser.add_argument("--split", action="store_true", help="measure splits too: both models write the same columns")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.data is None:
            write_shards(folder / "rows", rows=given.rows)
        data = given.data or folder / "rows"
        pairs = [(given.champion, given.challenger)] if given.champion and given.challenger else write_pairs(folder)
        ways = WAYS + SPLIT if given.split else WAYS
        for champion, challenger in pairs:
            measure(champion, challenger, data, folder / "out", given.key, ways=ways, rounds=given.rounds)


def write_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Champions and challengers: trees as many as a real model has, other trees, and a network."""
    trees, others = (save(model, folder / f"{name}.onnx") for name, model, _ in islice(made_up(), 2))
    network = save(mlp(FEATURES, 256), folder / "mlp.onnx")
    yield from ((trees, network), (trees, others), (network, trees))


def measure(champion: Path, challenger: Path, data: Path, out: Path, key: str, *, ways: Ways, rounds: int) -> None:
    """Whole processes, in turns after a first go of each that does not count."""
    taken: dict[str, list[Taken]] = {way: [] for way in ways}
    own: list[float] = []
    for number in range(rounds + 1):
        for way in ways if number % 2 else reversed(ways):
            found = score(champion, challenger, data, out, key, way)
            if number:
                taken[way].append(found)
        if number:
            own.append(inference_s(champion, challenger, data))
    rest = [
        (both.cpu_s - own_s - alone.cpu_s) / alone.cpu_s
        for both, own_s, alone in zip(taken["beside"], own, taken["alone"], strict=True)
    ]
    bare = [
        (both.cpu_s - both.inference_s - alone.cpu_s + alone.inference_s) / alone.cpu_s
        for both, alone in zip(taken["beside"], taken["alone"], strict=True)
    ]
    middle = statistics.median(rest)
    print(
        f"{champion.stem} with {challenger.stem}: "
        + ", ".join(f"{way} {medians(times)}" for way, times in taken.items())
        + f"; inference {statistics.median(own):.2f} s; the rest {middle:+.1%} of the run ({min(rest):+.1%} to "
        f"{max(rest):+.1%}), {'within' if middle <= GOAL else 'OVER'} {GOAL:.0%}; without any inference "
        f"{statistics.median(bare):+.1%} ({min(bare):+.1%} to {max(bare):+.1%})",
        flush=True,
    )


def medians(times: list[Taken]) -> str:
    """Processor seconds, and those of the clock."""
    cpu_s, wall_s = (statistics.median(getattr(one, name) for one in times) for name in ("cpu_s", "wall_s"))
    return f"{cpu_s:.2f} s ({wall_s:.2f} s by the clock)"


def inference_s(champion: Path, challenger: Path, data: Path) -> float:
    """Processor seconds of the challenger's batches on all rows, which stand converted in memory.

    On as many threads as the run has: where two share a core, each takes longer than one alone.
    """
    request = ScoreRequest(
        model=str(champion),
        inputs=(str(data),),
        output="-",
        features=(",".join(COLUMNS),),
        challengers=(str(challenger),),
    )
    model, found = resolve_all(request, observer=SILENT)
    plan, _ = make_plan(request, model, inputs=None, observer=SILENT)
    plan, rivals = with_rivals(plan, request, model, found, observer=SILENT)
    (rival,) = plan.challengers
    own = plan.of(rival)
    chunks = [first_rows(own, task, rows=task.rows) for task in plan.tasks]
    predictor = rivals.predictors[rival.name]
    with ThreadPoolExecutor(usable_cores()) as pool:
        began = time.process_time()
        list(pool.map(lambda chunk: score_rows(chunk, plan=own, predictor=predictor, clock=Clock()), chunks))
        return time.process_time() - began


def score(champion: Path, challenger: Path, data: Path, out: Path, key: str, way: str) -> Taken:
    """One process from its start to its end."""
    command = [sys.executable, "-m", "mlserve_cli", "score", "--input", str(data), "--quiet", "--id-column", key]
    command += ["--output", str(out), "--if-exists", "overwrite", "--features", ",".join(COLUMNS)]
    options = {
        "alone": [],
        "beside": ["--challenger", str(challenger)],
        "canary": ["--challenger", str(challenger), "--canary", "10"],
        "halves": ["--challenger", str(challenger), "--canary", "50"],
    }
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--model", str(champion), *options[way]], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall_s = time.perf_counter() - began
    manifest = json.loads((out / "manifest.json").read_text())
    beside = manifest["challengers"]
    assert all(one["status"] == "complete" for one in beside), beside
    inference_s = manifest["throughput"]["stages"]["inference_s"] + sum(one["inference_s"] for one in beside)
    return Taken(used, wall_s, inference_s)


if __name__ == "__main__":
    main()
