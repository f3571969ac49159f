"""A command run to its end as a process of its own: seconds from outside, peak memory, and the JSON it says last."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlserve_cli.errors import IOFailed
from mlserve_cli.scoring.machine import tree_memory_bytes

WATCH_S = 0.02
GRACE_S = 5
OURS = "MLSERVE_"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `said` is the JSON object in the last line of its standard output, {} without one."""

    seconds: float
    peak_memory_bytes: int
    code: int
    said: dict[str, Any]
    errors: str

    @property
    def trouble(self) -> str:
        """Why it failed, in one line; "" where it did not."""
        if self.code == 0:
            return ""
        return f"it ended with {self.code}: {self.said.get('error', {}).get('what') or _exception_in(self.errors)}"


def run_process(command: Sequence[str], *, watched: bool = False) -> Ended:
    """Run it to its end. To watch its memory costs a little of its time, so only what is not timed is watched.

    The variables of mlserve are kept from it: what they say stands in the command already.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment["ORT_DISABLE_TELEMETRY"] = "1"
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        except OSError as error:
            raise IOFailed(f"cannot start {Path(command[0]).name}: {error.strerror}", command[0]) from error
        try:
            peak_bytes = _watch(process) if watched else 0
            code = process.wait()
            seconds = time.perf_counter() - began
        finally:
            _end(process)
        return Ended(seconds, peak_bytes, code, _last_object(_text(out)), _text(err))


def _watch(process: subprocess.Popen[bytes]) -> int:
    peak_bytes = 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, tree_memory_bytes(process.pid))
        time.sleep(WATCH_S)
    return peak_bytes


def _end(process: subprocess.Popen[bytes]) -> None:
    """Where a signal ends us in the middle of it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _exception_in(errors: str) -> str:
    """The line of a traceback that names the exception, whose message may go on below; else the last line."""
    lines = errors.strip().splitlines() or [""]
    frames = [place for place, line in enumerate(lines) if line.startswith("  File ")]
    below = [line for line in lines[frames[-1] :] if not line.startswith(" ")] if frames else []
    return below[0] if below else lines[-1]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _last_object(text: str) -> dict[str, Any]:
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
