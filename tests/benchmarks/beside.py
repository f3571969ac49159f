"""mlserve beside Dask, DuckDB, Daft, Ray Data, Spark and MLflow: whole processes in turns, seconds and peak memory.

    nox -s peers                          # makes the environments, then this, over a million rows
    python -m tests.benchmarks.beside --python ENGINES/bin/python --rows 100000 --rounds 1 --models lr

Each engine is a script of its own in tests/benchmarks/peers, set up as its own documentation says. What cannot run here
is said in the table. Figures go to docs/, and the results page is written anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlserve_cli import __version__
from mlserve_cli.benchmark.processes import run_process
from mlserve_cli.scoring.machine import cpu_model, usable_cores
from tests.benchmarks import made, page
from tests.benchmarks.figures import DOCS, MIB, ROOT, Peer, Peers, write

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
TOLERANCE = 1e-5


@dataclass(slots=True)
class Contender:
    """One engine on one model; after trouble it takes no more turns."""

    name: str
    version: str
    model: str
    command: tuple[str, ...]
    trouble: str = ""
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int = 0
    difference: float | None = None


def main() -> None:
    """Measure, write, print."""
    args = _arguments()
    os.environ["PYTHONPATH"] = str(FOLDER)  # engines start workers that import onnx_score too
    models, rows = made.models(args.data, args.models), made.rows(args.data, args.rows)
    found: list[Peer] = []
    for name in args.models:
        with tempfile.TemporaryDirectory(prefix="mlserve-peers-") as folder:
            contenders = list(_contenders(models / f"{name}.onnx", rows, Path(folder), args.engines, args.python))
            _take_turns(contenders, Path(folder), rounds=args.rounds)
            found += [_peer(one) for one in contenders]
        _keep(found, args)  # as they come: the engines take their time


def _keep(found: Sequence[Peer], args: argparse.Namespace) -> None:
    peers = Peers(
        measured_at=datetime.now(UTC).isoformat(timespec="minutes"),
        rows=args.rows,
        rounds=args.rounds,
        cpu=cpu_model()[0],
        cores=usable_cores(),
        peers=tuple(found),
    )
    write(peers, args.docs)
    page.write(args.docs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="has tests/benchmarks/peers/requirements.txt")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where figures and table go")
    made.add_arguments(parser)
    return parser.parse_args()


def _contenders(model: Path, rows: Path, folder: Path, engines: Sequence[str], python: Path) -> Iterator[Contender]:
    score = ("score", f"--model={model}", f"--input={rows}", "--id-column=id", f"--output={folder}/mlserve/run")
    yield Contender("mlserve", __version__, model.stem, (sys.executable, "-P", "-m", "mlserve_cli", *score))
    for name in engines:
        command = (str(python), str(FOLDER / f"{name}_peer.py"), str(model), str(rows), str(folder / name))
        yield Contender(name, _version(python, ENGINES[name]), model.stem, command)


def _version(python: Path, package: str) -> str:
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _take_turns(contenders: Sequence[Contender], folder: Path, *, rounds: int) -> None:
    """In the first round, which does not count, memory is watched and scores are compared."""
    expected: NDArray[np.float64] | None = None
    for number in range(rounds + 1):
        for one in contenders:
            if one.trouble:
                continue
            output = folder / one.name
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir()
            ended = run_process(one.command, watched=number == 0)
            one.trouble = ended.trouble
            print(
                f"{one.model}, round {number} of {rounds}: {one.name} {one.trouble or f'{ended.seconds:.2f} s'}",
                flush=True,
            )
            if one.trouble:
                continue
            if number:
                one.seconds.append(round(ended.seconds, 3))
                continue
            one.peak_memory_bytes = ended.peak_memory_bytes
            found = _scores(output)
            expected = found if expected is None else expected
            one.difference, one.trouble = _disagreement(found, expected)
            print(f"  peak {one.peak_memory_bytes / MIB:,.0f} MiB; {one.trouble or 'the same scores'}", flush=True)


def _scores(output: Path) -> NDArray[np.float64]:
    """The last score of every row, in the order of the ids: engines keep no order of their own."""
    paths = sorted(path for path in output.rglob("*.parquet") if "/." not in str(path.relative_to(output)))
    tables = [pq.ParquetFile(path).read() for path in paths]
    floats = [name for name in tables[0].column_names if pa.types.is_floating(tables[0].schema.field(name).type)]
    whole = pa.concat_tables([table.select(["id", floats[-1]]) for table in tables if table.num_rows])
    return np.asarray(whole[floats[-1]].to_numpy(), dtype=np.float64)[np.argsort(whole["id"].to_numpy())]


def _disagreement(found: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[float | None, str]:
    if len(found) != len(expected):
        return None, f"it wrote {len(found):,} rows, not {len(expected):,}"
    largest = float(np.abs(found - expected).max())
    return largest, "" if largest <= TOLERANCE else f"its scores differ by up to {largest:.2g}"


def _peer(one: Contender) -> Peer:
    return Peer(
        name=one.name,
        version=one.version,
        model=one.model,
        seconds=tuple(one.seconds),
        peak_memory_bytes=one.peak_memory_bytes,
        difference=one.difference,
        trouble=one.trouble,
    )


if __name__ == "__main__":
    main()
