"""Runs the examples of README and docs, as they stand there, with the mlserve that is installed.

    python docs/run_examples.py README.md docs/*.md

Each page is run from top to bottom in a folder of its own that holds a copy of sample_data and of docs/examples, as
many pages at once as there are cores.
`sh` blocks are run by bash, `console` blocks line by line and their output compared (… stands for anything),
`python` blocks by Python, `toml` and `json` blocks parsed. The line above a block may say
<!-- exits 65 --> or <!-- not run: and why -->.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Example:
    """One fenced block of a page, with what the line above it says."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def exit_code(self) -> int:
        return int(self.note.removeprefix("exits ")) if self.note.startswith("exits ") else 0


class Failed(Exception):
    """An example did not do what its page says."""


def main(pages: list[Path]) -> int:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as lanes:
        failed = sum(lanes.map(run_page, pages))
    print(f"{failed} examples failed" if failed else "every example ran")
    return 1 if failed else 0


def run_page(page: Path) -> int:
    """Run the page's examples in order, in which later ones see the files of earlier ones. How many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="mlserve-docs-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "sample_data", folder / "sample_data")
        shutil.copytree(ROOT / "docs" / "examples", folder / "examples")
        for example in examples_of(page):
            try:
                print(f"{example.place}: {run_example(example, folder=folder)}")
            except Failed as failure:
                print(f"{example.place}: FAILED\n{failure}")
                failed += 1
    return failed


def examples_of(page: Path) -> Iterator[Example]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(page, line, found["language"], found["text"], found["note"] or "")


def run_example(example: Example, *, folder: Path) -> str:
    if example.note.startswith("not run: "):
        return example.note
    if example.language not in RUNNERS:
        return f"{example.language}, shown only"
    RUNNERS[example.language](example, folder)
    return "ok"


def run_shell(example: Example, folder: Path) -> None:
    output, exit_code = run(["bash", "-euo", "pipefail", "-c", example.text], folder=folder)
    expect(exit_code == example.exit_code, f"{example.text}\nexited {exit_code}:\n{output}")


def run_console(example: Example, folder: Path) -> None:
    """Lines with `$ ` are commands; what follows each is its output."""
    for step in re.split(r"^\$ ", example.text, flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        output, _ = run(["bash", "-c", command], folder=folder)
        pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
        expect(re.fullmatch(pattern, output.strip(), re.DOTALL) is not None, f"$ {command}\nprinted:\n{output}")


def run_python(example: Example, folder: Path) -> None:
    output, exit_code = run([sys.executable, "-c", example.text], folder=folder)
    expect(exit_code == 0, f"{example.text}\nexited {exit_code}:\n{output}")


def parse_toml(example: Example, folder: Path) -> None:
    del folder
    tomllib.loads(example.text)


def parse_json(example: Example, folder: Path) -> None:
    del folder
    json.loads(example.text)


RUNNERS: dict[str, Callable[[Example, Path], None]] = {
    "sh": run_shell,
    "console": run_console,
    "python": run_python,
    "toml": parse_toml,
    "json": parse_json,
}


def run(command: list[str], *, folder: Path) -> tuple[str, int]:
    """Output, the two streams as one as Airflow sees them, and exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return finished.stdout.decode(errors="replace"), finished.returncode


def expect(true: bool, otherwise: str) -> None:
    if not true:
        raise Failed(otherwise)


if __name__ == "__main__":
    raise SystemExit(main([Path(page) for page in sys.argv[1:]]))
