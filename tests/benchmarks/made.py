"""The data and models of sample_data/make.py, made where they do not stand yet."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import ROOT

SHARDS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where they lie."""
    default = Path(tempfile.gettempdir(), "mlserve-bench-data")
    parser.add_argument("--data", type=Path, default=default, help="rows and models; what is there is used again")


def rows(folder: Path, count: int) -> Path:
    """So many rows in eight shards."""
    _make(folder, count, models=())
    return folder / f"rows-{count}-{SHARDS}"


def models(folder: Path, names: Sequence[str]) -> Path:
    """The folder with NAME.onnx for each name; the network is there too, since INT8 is made from it."""
    _make(folder, 1_000, models=names)
    return folder / "models"


def _make(folder: Path, count: int, *, models: Sequence[str]) -> None:
    make = [sys.executable, str(ROOT / "sample_data" / "make.py"), "bench", "--rows", str(count)]
    make += ["--shards", str(SHARDS), "--output", str(folder), "--models", *models]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(make)}\n{done.stderr}\nit needs sample_data/requirements.txt")
