"""What is printed where: results on standard output, everything else on standard error, JSON where machines read.

`--quiet` takes progress, summary and warnings away. It leaves errors, and the JSON line: that is for no person's eyes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from signal import Signals

from mlserve_cli.cli.settings import FLAGS, variable
from mlserve_cli.errors import Interrupted, MlserveError

Facts = Mapping[str, object]
STREAM = "-"


@dataclass(slots=True)
class Terminal:
    """How this process talks.

    `carries_data`: standard output is the data's, so JSON goes to standard error, and only on request.
    `goes_on`: what to do where a signal ends what is under way, "" where nothing would be left of it.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    carries_data: bool = False
    goes_on: str = ""

    def guess(self, arguments: Sequence[str]) -> None:
        """The flags as they seem to stand before anything is parsed, for errors that come until it is."""
        given = set(arguments)
        self.json = "--json" in given or _is_set("--json")
        self.quiet = bool(given & {"--quiet", "-q"}) or _is_set("--quiet")
        self.verbose = bool(given & {"--verbose", "-v"}) or _is_set("--verbose")
        self.progress, self.goes_on = True, ""
        pairs = pairwise(arguments)
        streams = bool(given & {"-o-", "--output=-"}) or any(pair in {("-o", "-"), ("--output", "-")} for pair in pairs)
        self.carries_data = streams or os.environ.get(variable("--output")) == STREAM

    def configure(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        progress: bool = True,
        carries_data: bool = False,
    ) -> None:
        """The flags as the command parsed them, environment and configuration included."""
        self.json, self.quiet, self.verbose, self.progress = json, quiet, verbose, progress
        self.carries_data = carries_data

    def show_result(self, lines: Sequence[str], facts: Facts, *, on_request: bool = False) -> None:
        """The result: lines for people unless JSON alone is asked for, the facts as one JSON line for machines.

        `on_request`: the facts are long, and shown only where they were asked for.
        """
        if not (self.json or self.quiet or self.carries_data):
            _print(1, "\n".join(map(printable, lines)))
        if self.json or not on_request:
            self._show_facts(facts)

    def show_event(self, facts: Facts) -> None:
        """A line of JSON about one of many things, on request; the result comes after all of them."""
        if self.json:
            _print(1, json.dumps(facts, ensure_ascii=True, allow_nan=False))

    def show_error(self, error: MlserveError, *, trace: str) -> None:
        """What, where and what to do; a trace only where it was asked for."""
        if self.verbose and trace:
            _print(2, "\n".join(map(printable, trace.rstrip().splitlines())))
        parts = {"what": error.what, "where": error.where, "hint": error.hint}
        self._show_failure("failed", error.exit_code, {"type": type(error).__name__, **parts})

    def show_interrupted(self, ended: Interrupted) -> int:
        """That a signal ended the command, and how to go on."""
        name = Signals(ended.signal_number).name
        error = {
            "type": "Interrupted",
            "what": f"ended by {name}",
            "where": "",
            "hint": self.goes_on or "nothing is left of it",
        }
        self._show_failure("interrupted", ended.exit_code, error)
        return ended.exit_code

    def warn(self, text: str) -> None:
        """A line that a person should see and that changes nothing."""
        if not self.quiet:
            _print(2, f"warning: {printable(text)}")

    def note(self, text: str) -> None:
        """A line about how things go."""
        _print(2, printable(text))

    def flush(self) -> None:
        """Nothing is held back; a reader that has gone does not matter any more."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()

    def _show_failure(self, status: str, exit_code: int, error: Mapping[str, str]) -> None:
        lines = {"error": error["what"], "where": error["where"], "hint": error["hint"]}
        _print(2, "\n".join(f"{name}: {printable(text)}" for name, text in lines.items() if text))
        self._show_facts({"status": status, "exit_code": exit_code, "error": error})

    def _show_facts(self, facts: Facts) -> None:
        """One line of JSON, the last of all: on request, and wherever no person looks."""
        if self.json or not (self.carries_data or _is_terminal(sys.stdout)):
            self.flush()
            _print(2 if self.carries_data else 1, json.dumps(facts, ensure_ascii=True, allow_nan=False))


def is_interactive() -> bool:
    """Whether a person watches standard error on a terminal that can redraw a line."""
    return _is_terminal(sys.stderr) and os.environ.get("TERM") not in ("dumb", "unknown")


def printable(text: str) -> str:
    """The text on one line, with what would move a terminal's cursor or change its colours written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def _is_set(option: str) -> bool:
    return FLAGS.get(os.environ.get(variable(option), "").lower(), False)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]  # a stream, or None where it was closed
    except (OSError, ValueError, AttributeError):
        return False


def _print(descriptor: int, text: str) -> None:
    """A whole line, or none where the stream is closed or full: a run is not undone because nobody reads its end."""
    stream = sys.stdout if descriptor == 1 else sys.stderr
    with suppress(OSError, ValueError, AttributeError):
        stream.write(text + "\n")
        stream.flush()


TERMINAL = Terminal()
