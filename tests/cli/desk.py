"""A desk to work at: a folder with rows and models, and `mlserve` run in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mlserve_cli.cli import app, run
from tests import models

MLSERVE = (sys.executable, "-c", "from mlserve_cli.cli import main; main()")
TREE = Path(__file__).parents[2]
ROWS = "id,a,b,c\nx1,1,2,3\nx2,4,5,6\nx3,7,8,9\n"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> dict[str, Any]:
        """The JSON object in the last line of standard output."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found

    @property
    def error(self) -> dict[str, str]:
        found: dict[str, str] = self.last["error"]
        return found


@dataclass(frozen=True, slots=True)
class Desk:
    """`rows.csv` with the columns id, a, b and c, and `linear.onnx` that takes a, b and c."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, text: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def save(self, name: str, model: Any) -> str:
        return str(models.save(model, self.folder / name))

    @property
    def basics(self) -> list[str]:
        """A model and rows for `score`."""
        return ["score", "-m", self.path("linear.onnx"), "-i", self.path("rows.csv")]

    def run(self, *arguments: str) -> Ended:
        """In this process: no start-up, all else the same."""
        self.capture.readouterr()
        code = run(app, arguments)
        out, err = self.capture.readouterr()
        return Ended(code, out, err)

    def score(self, *arguments: str, out: str = "out") -> Ended:
        """`score` with the basics."""
        return self.run(*self.basics, "-o", self.path(out), *arguments)

    def process(
        self, *arguments: str, text: str | None = None, timeout_s: float = 30, env: Mapping[str, str] | None = None
    ) -> Ended:
        """In a process of its own."""
        done = subprocess.run(
            [*MLSERVE, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment(**(env or {})),
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def shell(self, command: str, *, env: Mapping[str, str] | None = None) -> Ended:
        """A line of bash, in the folder, in which `mlserve` is the command."""
        script = 'set -o pipefail; mlserve() { "$PYTHON" -c "from mlserve_cli.cli import main; main()" "$@"; }\n'
        done = subprocess.run(
            ["bash", "-c", script + command],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=self.folder,
            env=environment(PYTHON=sys.executable, **(env or {})),
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def manifest(self, out: str = "out") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / out / "manifest.json").read_text())
        return found

    def table(self, out: str = "out") -> pa.Table:
        """The rows that were written."""
        parts = sorted((self.folder / out / "data").iterdir())
        read = pa.csv.read_csv if parts[0].suffix == ".csv" else lambda path: pq.ParquetFile(path).read()
        return pa.concat_tables([read(part) for part in parts])


def environment(**more: str) -> dict[str, str]:
    """This process's environment for another, which finds the package in this tree."""
    return {**os.environ, "PYTHONPATH": str(TREE), **more}
