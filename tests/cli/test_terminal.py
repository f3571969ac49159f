"""What a person at a terminal sees: a bar while it runs, a summary in its place, plain words when it is ended."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests import dishonest
from tests.cli.desk import MLSERVE, Desk, environment

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(slots=True)
class Session:
    """A command with a terminal of 80 columns for all of its streams."""

    process: subprocess.Popen[bytes]
    terminal: int
    seen: str = ""

    def read_until(self, enough: Callable[[str], bool], *, within_s: float = 20) -> str:
        """What has been printed so far, when it is enough or the command has ended."""
        until = time.monotonic() + within_s
        while not enough(self.seen):
            assert time.monotonic() < until, self.seen
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.terminal, 1 << 16).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
        return self.seen

    def close(self) -> None:
        """Shut the window."""
        if self.terminal >= 0:
            os.close(self.terminal)
        self.terminal = -1

    def end(self) -> tuple[int, str]:
        """The exit code and all that was printed."""
        return self.process.wait(timeout=20), self.read_until(lambda _: False)


@contextmanager
def at_terminal(*arguments: str, term: str = "xterm", ignores_hangup: bool = False) -> Iterator[Session]:
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [*(["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"] if ignores_hangup else []), *MLSERVE, *arguments],
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
        env=environment(TERM=term, COLUMNS="80"),
    )
    os.close(other)
    session = Session(process, terminal)
    try:
        yield session
    finally:
        process.kill()
        process.wait()
        session.close()


@pytest.fixture
def slow_work(desk: Desk) -> list[str]:
    """A second or two of work in two files."""
    desk.save("slow.onnx", dishonest.slow(steps_per_unit=20_000))
    for name in ("one.csv", "two.csv"):
        desk.write(f"rows/{name}", "x\n" + "0.2\n" * 70)
    rows = ["score", "-m", desk.path("slow.onnx"), "-i", desk.path("rows"), "-o", desk.path("out")]
    return [*rows, "--features", "x", "--batch-rows", "1", "--workers", "1"]


def test_a_bar_runs_and_makes_room_for_the_summary(desk: Desk, slow_work: list[str]) -> None:
    with at_terminal(*slow_work) as session:
        session.read_until(lambda seen: "1/2 tasks" in seen)
        code, seen = session.end()

    assert code == 0
    assert re.search(r"scoring ━+.* 1/2 tasks 70/140 rows", ESCAPE.sub("", seen))
    assert "MiB" in seen
    summary = seen[seen.rindex("scored: 140 rows of 2 files") :]
    assert "mlserve verify" in summary
    assert '{"status"' not in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")  # the cursor is there again


PLAIN = {"--no-progress": "xterm", "--quiet": "xterm", "": "dumb"}


@pytest.mark.parametrize(("option", "term"), PLAIN.items())
def test_no_bar_is_shown_where_it_is_not_wanted(option: str, term: str, desk: Desk) -> None:
    with at_terminal(*desk.basics, "-o", desk.path("out"), *option.split(), term=term) as session:
        code, seen = session.end()

    assert code == 0
    assert "\x1b" not in seen
    assert ("scored: 3 rows" in seen) == (option != "--quiet")


def test_ctrl_c_ends_it_in_order_and_resume_goes_on(desk: Desk, slow_work: list[str]) -> None:
    with at_terminal(*slow_work) as session:
        session.read_until(lambda seen: "1/2 tasks" in seen)
        os.killpg(session.process.pid, signal.SIGINT)  # as a terminal does: to all of the foreground
        code, seen = session.end()

    assert code == 130
    assert "Traceback" not in seen
    assert seen.rstrip().endswith("take it up with --resume")
    assert "error: ended by SIGINT" in seen.splitlines()[-2]
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")
    again = desk.run(*slow_work, "--resume")
    assert (again.code, again.last["resumed_tasks"]) == (0, 1)


def test_a_terminal_that_goes_away_does_not_take_the_run_with_it(desk: Desk, slow_work: list[str]) -> None:
    with at_terminal(*slow_work, ignores_hangup=True) as session:
        session.read_until(lambda seen: "scoring" in seen)
        session.close()
        code = session.process.wait(timeout=20)

    assert code == 0
    assert desk.run("verify", desk.path("out")).code == 0
