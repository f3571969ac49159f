"""mlserve beside Dask, DuckDB, Daft, Ray Data, Spark and MLflow: whole processes in turns, seconds and peak memory.

    nox -s peers                          # makes the environments, then this, over a million rows
    nox -s peers -- --resume              # the models that an interrupted run left out
    python -m tests.benchmarks.beside --python ENGINES/bin/python --rows 100000 --rounds 1 --models lr

Each engine is a script of its own in tests/benchmarks/peers, set up as its own documentation says. What cannot run here
is said in the table. Figures go to docs/peers.json model by model, and the results page is written anew.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlserve_cli import __version__
from mlserve_cli.benchmark.contenders import PYTHON
from mlserve_cli.benchmark.processes import run_process
from mlserve_cli.scoring.machine import cpu_model, usable_cores
from tests.benchmarks import goals, made, page
from tests.benchmarks.figures import DOCS, MIB, ROOT, Peer, Peers, read_peers, write
from tests.benchmarks.same_scores import disagreement

FOLDER = ROOT / "tests" / "benchmarks" / "peers"
ENGINES = {
    "dask": "dask",
    "duckdb": "duckdb",
    "daft": "daft",
    "ray": "ray",
    "spark": "pyspark",
    "mlflow": "mlflow-skinny",
}
MODELS = ("lr", "mlp", "xgb", "lgb")
# Engines that start workers import onnx_score there; none of them should wait for a network that may not be there.
SURROUNDINGS = {
    "PYTHONPATH": str(FOLDER),
    "RAY_USAGE_STATS_ENABLED": "0",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DAFT_PROGRESS_BAR": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
PATH = re.compile(r"(/[^/\s'\"]+){2,}")


@dataclass(slots=True)
class Contender:
    """One engine on one model; after trouble it takes no more turns. `before` is run once, unwatched."""

    name: str
    version: str
    model: str
    command: tuple[str, ...]
    before: tuple[str, ...] = ()
    batch_rows: int = 0
    trouble: str = ""
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int = 0
    difference: float | None = None


def main() -> None:
    """Measure, write, print."""
    args = _arguments()
    os.environ.update(SURROUNDINGS)
    models, rows = made.models(args.data, args.models), made.rows(args.data, args.rows)
    found = _kept(args)
    for name in [name for name in args.models if not (args.resume and _stands(name, found, args))]:
        measured = _measure(models / f"{name}.onnx", rows, args)
        found = [*(one for one in found if one.model != name), *measured]
        _write(found, args)  # as they come: the engines take their time
    print("\n".join([*page.peers_table(_peers(found, args)), *goals.peers_lines(_peers(found, args))]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="has tests/benchmarks/peers/requirements.txt")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="leave out the models whose figures stand there already")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where figures and table go")
    made.add_arguments(parser)
    return parser.parse_args()


# What stands there already


def _kept(args: argparse.Namespace) -> list[Peer]:
    """Figures of other models, as far as they are of this machine and of as many rows and rounds."""
    there = read_peers(args.docs)
    asked = _peers([], args)
    if there is None or any(
        getattr(there, what) != getattr(asked, what) for what in ("rows", "rounds", "cpu", "cores")
    ):
        return []
    return list(there.peers)


def _stands(model: str, found: Sequence[Peer], args: argparse.Namespace) -> bool:
    return {"mlserve", *args.engines} <= {one.name for one in found if one.model == model}


def _write(found: Sequence[Peer], args: argparse.Namespace) -> None:
    write(_peers(found, args), args.docs)
    page.write(args.docs)


def _peers(found: Sequence[Peer], args: argparse.Namespace) -> Peers:
    return Peers(
        measured_at=datetime.now(UTC).isoformat(timespec="minutes"),
        rows=args.rows,
        rounds=args.rounds,
        cpu=cpu_model()[0],
        cores=usable_cores(),
        peers=tuple(sorted(found, key=lambda one: MODELS.index(one.model) if one.model in MODELS else len(MODELS))),
    )


# One model


def _measure(model: Path, rows: Path, args: argparse.Namespace) -> list[Peer]:
    with tempfile.TemporaryDirectory(prefix="mlserve-peers-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["RAY_TMPDIR"] = name  # or it stays in /tmp for good
        contenders = [*_ours(model, rows, folder), *_theirs(model, rows, folder, args)]
        for one in contenders:
            if one.before:
                one.trouble = run_process(one.before).trouble
        for number in range(args.rounds + 1):
            for one in contenders:
                _take_turn(one, folder, rows, number=number, rounds=args.rounds)
    return [_peer(one) for one in contenders]


def _ours(model: Path, rows: Path, folder: Path) -> Iterator[Contender]:
    """mlserve with its defaults, and where it has a kernel of its own, with ONNX Runtime as everyone else."""
    score = (*PYTHON, "-m", "mlserve_cli", "score", f"--model={model}", f"--input={rows}", "--id-column=id")
    yield Contender("mlserve", __version__, model.stem, (*score, f"--output={folder}/mlserve/run"))
    if model.stem in goals.TREES:
        plain = (*score, "--predictor=onnxruntime", f"--output={folder}/{goals.PLAIN}/run")
        yield Contender(goals.PLAIN, __version__, model.stem, plain)


def _theirs(model: Path, rows: Path, folder: Path, args: argparse.Namespace) -> Iterator[Contender]:
    """Each with the batch that is best here for this model and for so many threads in a session."""
    sizes = run_process((str(args.python), str(FOLDER / "onnx_score.py"), str(model)))
    for name in args.engines:
        size = sizes.said.get("all_threads" if name == "mlflow" else "one_thread", 0)
        script, output = str(FOLDER / f"{name}_peer.py"), str(folder / name)
        one = Contender(name, _version(args.python, ENGINES[name]), model.stem, (), (), size, sizes.trouble)
        given = str(model)
        if name == "mlflow":
            given = str(folder / f"{model.stem}.mlflow")
            one.before = (str(args.python), script, "save", str(model), given)
        one.command = (str(args.python), script, given, str(rows), output, str(size))
        yield one


def _version(python: Path, package: str) -> str:
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _take_turn(one: Contender, folder: Path, rows: Path, *, number: int, rounds: int) -> None:
    """In the first round, which does not count, memory is watched and scores are compared."""
    if one.trouble:
        return
    output = folder / one.name
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    ended = run_process(one.command, watched=number == 0)
    one.trouble = ended.trouble
    print(f"{one.model}, round {number} of {rounds}: {one.name} {one.trouble or f'{ended.seconds:.2f} s'}", flush=True)
    if one.trouble:
        if one.name == "mlserve":
            raise SystemExit("without mlserve's scores there is nothing to compare with")
        return
    if number:
        one.seconds.append(round(ended.seconds, 3))
        return
    one.peak_memory_bytes = ended.peak_memory_bytes
    one.difference, one.trouble = disagreement(output, folder / "mlserve", rows=rows)
    print(f"  peak {one.peak_memory_bytes / MIB:,.0f} MiB; {one.trouble or 'the same scores'}", flush=True)


def _peer(one: Contender) -> Peer:
    return Peer(
        name=one.name,
        version=one.version,
        model=one.model,
        seconds=tuple(one.seconds),
        peak_memory_bytes=one.peak_memory_bytes,
        batch_rows=one.batch_rows,
        difference=one.difference,
        trouble=PATH.sub("…", one.trouble),  # no folder of this machine
    )


if __name__ == "__main__":
    main()
