"""What mlserve costs over what it needs: `--help` beside `import typer`, 1,000 rows of CSV beside a bare script.

    python -m tests.benchmarks.startup

The machines that this runs on are noisy, so the two of a pair take turns and what counts is the ratio of their medians.
Goals: --help at most 2.5 times, meant 2; 1,000 rows at most 1.6 times, meant 1.3.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.figures import Startup

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "sample_data"
MODEL = SAMPLE / "models" / "late-mlp"


def main() -> None:
    """Print one line per pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=9, help="runs of each, after one that does not count")
    args = parser.parse_args()
    for found in measure(rows=args.rows, repeats=args.repeats):
        ratio = found.seconds / found.peer_seconds
        mine, peer = found.seconds * 1e3, found.peer_seconds * 1e3
        print(f"mlserve {found.name}: {mine:.0f} ms; {found.peer}: {peer:.0f} ms; ratio {ratio:.2f}", flush=True)


def measure(*, rows: int, repeats: int) -> Iterator[Startup]:
    """Help, and a small file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")  # both start from bytecode, as installed ones do
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        file = _write_rows(folder, rows=rows)
        bare, scores = folder / "bare.parquet", folder / "mlserve"
        by_hand = [sys.executable, str(HERE / "bare.py"), str(MODEL / "model.onnx"), str(file), str(bare)]
        score = [*mlserve(), "score", "--model", str(MODEL), "--input", str(file), "--null-value", "NA"]
        score += ["--id-column", "flight_id", "--output", str(scores)]
        typer = [sys.executable, "-c", "import typer"]
        yield _compared("--help", [*mlserve(), "--help"], beside="import typer", peer=typer, repeats=repeats)
        text = f"score, {rows:,} rows of CSV"
        yield _compared(text, score, beside="bare script", peer=by_hand, output=scores, repeats=repeats)


def mlserve() -> list[str]:
    """The installed command; without one, the package as it lies in the working folder."""
    command = Path(sysconfig.get_path("scripts"), "mlserve")
    if command.exists():
        return [str(command)]
    return [sys.executable, "-c", "import sys; from mlserve_cli.cli import main; sys.exit(main())"]


def _compared(
    title: str, command: Sequence[str], *, beside: str, peer: Sequence[str], repeats: int, output: Path | None = None
) -> Startup:
    """Command and peer timed in turns."""
    ours, theirs = [], []
    for _ in range(repeats + 1):
        ours.append(_seconds(command))
        if output is not None:
            shutil.rmtree(output)
        theirs.append(_seconds(peer))
    return Startup(title, statistics.median(ours[1:]), beside, statistics.median(theirs[1:]))


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def _write_rows(folder: Path, *, rows: int) -> Path:
    make = [sys.executable, str(SAMPLE / "make.py"), "flights", "--rows", str(rows), "--format", "csv"]
    subprocess.run([*make, "--output", str(folder / "rows")], check=True, capture_output=True)
    return folder / "rows" / "part-00000.csv"


if __name__ == "__main__":
    main()
