"""Memory and speed of one run over 1 and 4 million flights: does it stay under its limit, and flat?

    python tests/benchmarks/memory.py --model sample_data/models/late-gbm --memory-limit 1GiB

Peak memory is that of all processes of the run together, as PSS (pages that processes share count once), sampled from
/proc. Goal: it grows by less than 10 % from 1 to 4 million rows, and stays under --memory-limit.
"""

import argparse
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"
EVERY_S = 0.05
MIB = 2**20
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run as seen from outside, and what its manifest says of itself."""

    rows: int
    seconds: float
    peak_bytes: int
    manifest_peak_bytes: int
    manifest_rows_per_s: float
    verified: bool


def main() -> None:
    """Print one line per size, then the growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(SAMPLE / "models" / "late-mlp"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--memory-limit", default="1GiB")
    parser.add_argument("--workers", default="auto")
    args = parser.parse_args()
    measured = [_measure(rows, args) for rows in args.rows]
    growth = measured[-1].peak_bytes / measured[0].peak_bytes - 1
    under = all(run.peak_bytes <= _bytes(args.memory_limit) for run in measured)
    print(f"growth {growth:+.1%} from {args.rows[0]:,} to {args.rows[-1]:,} rows (goal: under 10 %)")
    print(f"under {args.memory_limit}: {'yes' if under else 'NO'}")
    sys.exit(0 if growth < 0.1 and under and all(run.verified for run in measured) else 1)


def mlserve() -> list[str]:
    """The installed command; without one, the package as it lies in the working folder."""
    command = Path(sysconfig.get_path("scripts"), "mlserve")
    if command.exists():
        return [str(command)]
    return [sys.executable, "-c", "import sys; from mlserve_cli.cli import main; sys.exit(main())"]


def _measure(rows: int, args: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        data, run = Path(name, "flights"), Path(name, "run")
        make = [sys.executable, str(SAMPLE / "make.py"), "flights", "--rows", str(rows), "--shards", str(args.shards)]
        subprocess.run([*make, "--format", args.format, "--output", str(data)], check=True, capture_output=True)
        score = [*mlserve(), "score", "--model", args.model, "--input", str(data), "--output", str(run)]
        score += ["--memory-limit", args.memory_limit, "--workers", args.workers, "--id-column", "flight_id"]
        score += ["--null-value", "NA"] if args.format == "csv" else []
        start = time.perf_counter()
        peak_bytes = _peak_of(score)
        seconds = time.perf_counter() - start
        throughput = json.loads((run / "manifest.json").read_bytes())["throughput"]
        verify = subprocess.run([*mlserve(), "verify", str(run)], capture_output=True, text=True, check=False)
    measured = Measured(
        rows, seconds, peak_bytes, throughput["peak_memory_bytes"], throughput["rows_per_s"], verify.returncode == 0
    )
    _print(measured)
    return measured


def _print(run: Measured) -> None:
    print(
        f"{run.rows:,} rows: {run.seconds:.2f} s, {run.rows / run.seconds:,.0f} rows/s for the whole process "
        f"({run.manifest_rows_per_s:,.0f} by the manifest); peak {run.peak_bytes / MIB:.0f} MiB PSS of the tree "
        f"({run.manifest_peak_bytes / MIB:.0f} by the manifest); verify {'holds' if run.verified else 'FAILS'}",
        flush=True,
    )


def _peak_of(command: Sequence[str]) -> int:
    """Run it to its end; the largest sum of memory of it and all its descendants."""
    peak_bytes = 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        while process.poll() is None:
            peak_bytes = max(peak_bytes, sum(_pss_bytes(pid) for pid in _tree(process.pid)))
            time.sleep(EVERY_S)
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{said.read()}")
    return peak_bytes


def _tree(root: int) -> list[int]:
    """The process and its descendants; a process that ends while we look is left out."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the name before may hold spaces
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, []))
    return found


def _pss_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise SystemExit(f"--memory-limit {text} is not a size such as 1GiB")
    return int(float(match[1]) * _UNITS[match[2]])


if __name__ == "__main__":
    main()
