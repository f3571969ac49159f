"""Takes the picture in README: a real run in a real terminal, as SVG.

    python docs/picture.py docs/run.svg      (needs tmux, and mlserve on PATH)

The sample flights, many times over, are scored, so that the progress bar has something to show. The upper half of the
picture is the terminal in the middle of the run, the lower half the same terminal at its end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
COPIES = 200
WIDTH, HEIGHT = 118, 16
COMMAND = "mlserve score -m late-gbm -i flights -o scores"


def main(picture: Path) -> None:
    folder = Path(tempfile.gettempdir()) / "demo"  # it shows in the picture
    folder.mkdir()
    try:
        prepare(folder)
        middle, end = watch(folder)
    finally:
        shutil.rmtree(folder)
    picture.write_text(draw(middle, end), encoding="utf-8")


def prepare(folder: Path) -> None:
    """A folder with the model and the sample flights many times over, one file for each month."""
    (folder / "late-gbm").symlink_to(ROOT / "sample_data" / "models" / "late-gbm")
    for month in (ROOT / "sample_data" / "flights").iterdir():
        flights = pq.read_table(month / "flights.parquet", partitioning=None)
        (folder / "flights" / month.name).mkdir(parents=True)
        pq.write_table(pa.concat_tables([flights] * COPIES), folder / "flights" / month.name / "flights.parquet")


def watch(folder: Path) -> tuple[str, str]:
    """The terminal in the middle of the run and after `mlserve verify`, with its colours."""
    tmux = ["tmux", "-L", f"mlserve-picture-{os.getpid()}"]
    shell = ["env", "PS1=$ ", f"PATH={os.environ['PATH']}", "bash", "--norc", "--noprofile"]
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    subprocess.run([*tmux, "new-session", "-d", "-s", "run", "-c", str(folder), *size, *shell], check=True)
    try:
        wait_for(tmux, r"^\$$")
        subprocess.run([*tmux, "send-keys", "-t", "run", COMMAND, "Enter"], check=True)
        middle = wait_for(tmux, r"\b([4-6]\d) ?%")
        wait_for(tmux, r"verify +mlserve verify .*\n\$$")
        subprocess.run([*tmux, "send-keys", "-t", "run", "mlserve verify scores", "Enter"], check=True)
        return middle, wait_for(tmux, r"verified: [\s\S]*\$$")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def wait_for(tmux: list[str], pattern: str) -> str:
    """The screen, as soon as it shows the pattern."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        screen = capture(tmux)
        if re.search(pattern, Text.from_ansi(screen).plain.rstrip()):
            return screen
        time.sleep(0.1)
    raise SystemExit(f"the terminal never showed {pattern}:\n{capture(tmux)}")


def capture(tmux: list[str]) -> str:
    shown = subprocess.run([*tmux, "capture-pane", "-e", "-p", "-t", "run"], check=True, capture_output=True, text=True)
    return shown.stdout.rstrip("\n")


def draw(*screens: str) -> str:
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    console.print(Text("\n\n").join(Text.from_ansi(screen) for screen in screens), soft_wrap=True)
    svg = console.export_svg(title="mlserve", theme=DIMMED_MONOKAI)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no font from anywhere else


if __name__ == "__main__":
    main(Path(sys.argv[1]))
