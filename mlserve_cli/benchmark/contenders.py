"""Who takes part, and the command that each is: mlserve, the script, and the limits of this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlserve_cli.benchmark.arguments import score_arguments
from mlserve_cli.benchmark.processes import Ended, run_process
from mlserve_cli.benchmark.results import Kind
from mlserve_cli.benchmark.work import fixed_batch, plain_model, script_work
from mlserve_cli.planning import Plan
from mlserve_cli.scoring import ScoreRequest

SCRIPT = Path(__file__).with_name("script.py")
SIZES = (1_024, 4_096, 16_384, 65_536)
SIZES_ROWS = 100_000
SIZES_ROUNDS = 2
LIMITS = {
    "decode": "the needed columns decoded on all cores, nothing else",
    "compute": "rows in memory through the model on all cores, nothing else",
    "back to back": "decode, compute, write: in that order, each on all cores",
}
PYTHON = (sys.executable, "-P")  # the current folder may hold anything


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that take turns. Its command writes into `output`, a folder that is empty before each turn."""

    name: str
    kind: Kind
    about: str
    command: tuple[str, ...]
    output: Path
    batch_rows: int | None = None
    predictor: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Bout:
    """A model and its data: what was asked, the plan that came of it, and a folder for all that is written."""

    request: ScoreRequest
    plan: Plan
    folder: Path


def contenders_of(bout: Bout, *, against: frozenset[str]) -> Iterator[Contender]:
    """All who take part, mlserve first. To find the best batches takes a few short runs."""
    yield _mlserve("mlserve", bout, bout.request, predictor=bout.plan.predictor)
    if bout.plan.predictor == "trees":
        plain = replace(bout.request, predictor="onnxruntime")
        yield _mlserve("mlserve, plain", bout, plain, predictor="onnxruntime")
    if "script" in against:
        yield _script(bout)
    if "limits" in against:
        yield from _limits(bout)


def _mlserve(name: str, bout: Bout, request: ScoreRequest, *, predictor: str) -> Contender:
    output = bout.folder / name.replace(", ", "-")
    asked = replace(request, output=str(output / "run"))
    about = "mlserve score" + (" --predictor onnxruntime" if predictor != bout.plan.predictor else "")
    command = (*PYTHON, "-m", "mlserve_cli", "score", *score_arguments(asked), "--json")
    return Contender(name, "mlserve", about, command, output, bout.plan.batch_rows, predictor)


def _script(bout: Bout) -> Contender:
    """With the batch that is best on the first rows."""
    model = plain_model(bout.plan, bout.folder)
    output = bout.folder / "script"

    def command(batch_rows: int, most_rows: int | None = None) -> tuple[str, ...]:
        path = bout.folder / f"script-{batch_rows}-{most_rows or 'all'}.json"
        work = script_work(bout.plan, output=output, model=model, batch_rows=batch_rows, most_rows=most_rows)
        path.write_text(json.dumps(work))
        return (*PYTHON, str(SCRIPT), str(path))

    sizes = fixed_batch(bout.plan) or SIZES
    found, trouble = _quickest(sizes, lambda size: command(size, SIZES_ROWS), output)
    about = "polars and onnxruntime with their defaults, file by file"
    return Contender("script", "peer", about, command(found), output, found, "onnxruntime", trouble)


def _quickest(sizes: tuple[int, ...], command: Callable[[int], tuple[str, ...]], output: Path) -> tuple[int, str]:
    """The size with the shortest time without start-up, and what went wrong, "" where nothing did."""
    if len(sizes) == 1:
        return sizes[0], ""
    seconds: dict[int, float] = {}
    for size in sizes * SIZES_ROUNDS:
        output.mkdir(exist_ok=True)
        ended = run_process(command(size))
        if ended.trouble:
            return sizes[0], ended.trouble
        seconds[size] = min(seconds.get(size, float("inf")), inner_seconds(ended))
    return min(seconds, key=lambda size: seconds[size]), ""


def _limits(bout: Bout) -> Iterator[Contender]:
    """With the batch that is best for the kernel when nothing else happens."""
    output = bout.folder / "limits"
    output.mkdir()
    sized = run_process(_limit_command("sizes", bout, output, bout.plan.batch_rows))
    batch_rows = sized.said.get("batch_rows", bout.plan.batch_rows)
    for name, about in LIMITS.items():
        work, computes = name.replace(" ", "-"), name != "decode"
        yield Contender(
            name,
            "limit",
            about,
            _limit_command(work, bout, output, batch_rows),
            bout.folder / work,
            batch_rows if computes else None,
            bout.plan.predictor if computes else "",
            sized.trouble if computes else "",
        )


def _limit_command(work: str, bout: Bout, output: Path, batch_rows: int) -> tuple[str, ...]:
    return (*PYTHON, "-m", "mlserve_cli.benchmark.limits", work, str(bout.folder), str(output), str(batch_rows))


def inner_seconds(ended: Ended) -> float:
    """Seconds without start-up, as the process itself says."""
    seconds: Any = ended.said.get("seconds", 0.0)
    return float(seconds)
