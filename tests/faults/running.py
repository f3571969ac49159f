"""A real run as these tests see it: a process to disturb, and an output to be proved without our own code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli import verify
from tests.dishonest import slow
from tests.models import save

COMMAND = (sys.executable, "-c", "from mlserve_cli.cli import main; main()")
ROWS = 1_000
EMPTY_EACH = 97  # a null, so a row for the quarantine, among so many
SECONDS_TO_END = 30


@dataclass(frozen=True, slots=True)
class Work:
    """Shards, a model whose score is its feature, and an output that does not exist yet."""

    folder: Path
    shards: int

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def inputs(self) -> Path:
        return self.folder / "shards"

    @property
    def out(self) -> Path:
        return self.folder / "results" / "out"

    def shard(self, number: int) -> Path:
        return self.inputs / f"shard {number:02d}.parquet"

    @property
    def staging(self) -> Path | None:
        found = list(self.out.parent.glob(".out.mlserve-*"))
        return found[0] if found else None

    @property
    def records(self) -> int:
        return len([name for name in _names(self.staging, "records") if not name.startswith(".")])

    @property
    def is_committing(self) -> bool:
        return "manifest.json" in _names(self.staging, "run")

    def score(self, *options: str, workers: int = 2) -> list[str]:
        """The command line of a run in which each batch takes a while."""
        return [
            *COMMAND,
            *("score", "--model", str(self.model), "--features", "x", "--input", str(self.inputs)),
            *("--output", str(self.out), "--workers", str(workers), "--batch-rows", "250"),
            *("--on-error", "quarantine", "--max-errors", "50%", *options),
        ]


def make_work(folder: Path, *, shards: int = 6, steps: int = 5_000) -> Work:
    """`steps`: how long a batch takes; 5,000 are some 10 ms."""
    work = Work(folder, shards)
    work.inputs.mkdir(parents=True)
    work.out.parent.mkdir()
    save(slow(steps_per_unit=steps), work.model)
    for number in range(shards):
        write_shard(work, number)
    return work


def write_shard(work: Work, number: int, *, rows: int = ROWS) -> None:
    pq.write_table(pa.table({"x": pa.array(values(number, rows), pa.float32())}), work.shard(number))


def values(number: int, rows: int = ROWS) -> list[float | None]:
    """Between 0 and 1; None where the row is for the quarantine."""
    scores = ((np.arange(rows) + number * 31) % 89 / 89).astype(np.float32).tolist()
    return [None if row % EMPTY_EACH == number else score for row, score in enumerate(scores)]


def start(command: Sequence[str], **options: object) -> subprocess.Popen[str]:
    """In a session of its own, so that a signal to its group spares pytest and whatever it leaves can be found."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # options of Popen, passed on
        command,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True, **options},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end. Nothing of it may be left when it has ended."""
    out, err = process.communicate(timeout=SECONDS_TO_END)
    assert_gone(process.pid)
    return process.returncode, out, err


def run(command: Sequence[str], **options: object) -> tuple[int, str, str]:
    return finish(start(command, **options))


def assert_gone(session: int, *, within_s: float = 0.0) -> None:
    """No process of the session is left."""
    until = time.monotonic() + within_s
    while left := session_members(session):
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.01)


def session_members(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, member_of = text.rpartition(") ")[2].split()[:4]
        if int(member_of) == session and state not in "ZX":
            found.append(text)
    return found


def children(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a driver."""
    try:
        return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Whether it came to be while the process ran."""
    until = time.monotonic() + SECONDS_TO_END
    while process.poll() is None:
        if condition():
            return True
        assert time.monotonic() < until
        time.sleep(0.0005)
    return False


def minds_signals(process: subprocess.Popen[str]) -> bool:
    """Whether it has come so far that TERM runs a handler of its own."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = re.search(r"SigCgt:\t([0-9a-f]+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def assert_whole(work: Work) -> None:
    """Every row of every shard once, in order, scored right or set aside; proved by `verify` and by hand."""
    verify(str(work.out))
    scored = _concatenated(work.out / "data")
    aside = _concatenated(work.out / "quarantine").select(["source_file", "source_row"])
    wanted = [(work.shard(n).name, row, value) for n in range(work.shards) for row, value in enumerate(values(n))]

    found = zip(*(scored[name].to_pylist() for name in ("source_file", "source_row", "Y")), strict=True)
    assert list(found) == [row for row in wanted if row[2] is not None]
    assert [(row["source_file"], row["source_row"]) for row in aside.to_pylist()] == [
        (file, row) for file, row, value in wanted if value is None
    ]
    assert_tidy(work)


def assert_tidy(work: Work) -> None:
    """Beside the output stands nothing of ours any more."""
    assert os.listdir(work.out.parent) in ([], ["out"])


def assert_nothing_committed(work: Work) -> None:
    """OUT does not exist; at most a staging waits for --resume, without a draft in it."""
    assert not work.out.exists()
    left = os.listdir(work.out.parent)
    assert all(re.fullmatch(r"\.out\.mlserve-[0-9a-f]{16}", name) for name in left), left
    assert list(work.out.parent.rglob("*.draft")) == []


def contents(work: Work) -> dict[str, bytes]:
    """What law 3 is about: the bytes of data/ and quarantine/."""
    return {
        str(path.relative_to(work.out)): path.read_bytes()
        for folder in ("data", "quarantine")
        for path in sorted((work.out / folder).iterdir())
    }


def _names(staging: Path | None, folder: str) -> list[str]:
    try:
        return os.listdir(staging / folder) if staging else []
    except (FileNotFoundError, NotADirectoryError):
        return []


def _concatenated(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.ParquetFile(folder / name).read() for name in sorted(os.listdir(folder)))
