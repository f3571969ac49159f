"""What is printed where: results on standard output, everything else on standard error, JSON where machines read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals

from mlserve_cli.errors import Interrupted, MlserveError

Facts = Mapping[str, object]


@dataclass(slots=True)
class Terminal:
    """How this process talks. `machine_output` is off where standard output carries the data itself."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    machine_output: bool = True

    def read_flags(self, arguments: Sequence[str]) -> None:
        """The flags as they stand on the command line, for errors that come before it is parsed."""
        self.json, self.verbose = "--json" in arguments, "--verbose" in arguments
        self.quiet = "--quiet" in arguments

    def configure(
        self, *, json: bool = False, quiet: bool = False, verbose: bool = False, progress: bool = True
    ) -> None:
        """The flags as the command parsed them, environment and configuration included."""
        self.json, self.quiet, self.verbose, self.progress = json, quiet, verbose, progress

    @property
    def wants_json(self) -> bool:
        """Whether the last line of standard output is a JSON object: on request, and wherever no person looks."""
        return self.machine_output and (self.json or not _is_terminal(1))

    def show_result(self, lines: Sequence[str], facts: Facts, *, on_request: bool = False) -> None:
        """The result: lines for people unless JSON alone is asked for, the facts as one JSON line for machines.

        `on_request`: the facts are long, and shown only where they were asked for.
        """
        if not self.json and not self.quiet and self.machine_output:
            _print(1, "\n".join(lines))
        if self.json or (self.wants_json and not on_request):
            self.flush()
            _print(1, json.dumps(facts, ensure_ascii=True, allow_nan=False))

    def show_error(self, error: MlserveError, *, trace: str) -> None:
        """What, where and what to do; a trace only where it was asked for."""
        if self.verbose and trace:
            _print(2, trace.rstrip())
        parts = (("error", error.what), ("where", error.where), ("hint", error.hint))
        _print(2, "\n".join(f"{name}: {text}" for name, text in parts if text))
        facts = {"type": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
        self._show_failure("failed", error.exit_code, facts)

    def show_interrupted(self, ended: Interrupted) -> int:
        """That a signal ended the run, and how to go on."""
        name, hint = Signals(ended.signal_number).name, "what is finished stands: take it up with --resume"
        _print(2, f"error: ended by {name}\nhint: {hint}")
        facts = {"type": "Interrupted", "what": f"ended by {name}", "where": "", "hint": hint}
        self._show_failure("interrupted", ended.exit_code, facts)
        return ended.exit_code

    def warn(self, text: str) -> None:
        """A line that a person should see and that changes nothing."""
        if not self.quiet:
            _print(2, f"warning: {text}")

    def flush(self) -> None:
        """Nothing is held back; a reader that has gone does not matter any more."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()

    def _show_failure(self, status: str, exit_code: int, error: Facts) -> None:
        if self.wants_json:
            self.flush()
            _print(1, json.dumps({"status": status, "exit_code": exit_code, "error": error}, ensure_ascii=True))


def is_interactive() -> bool:
    """Whether a person watches standard error on a terminal that can redraw a line."""
    return _is_terminal(2) and os.environ.get("TERM") not in ("dumb", "unknown")


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _print(descriptor: int, text: str) -> None:
    """A whole line, or none where the stream is closed: a run is not undone because nobody reads its summary."""
    stream = sys.stdout if descriptor == 1 else sys.stderr
    with suppress(BrokenPipeError, ValueError):
        stream.write(text + "\n")
        stream.flush()


TERMINAL = Terminal()
