"""Where a run is to be told, and what must be right about that before the run begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations

from mlserve_cli.errors import ExtraMissing, UsageError, shown
from mlserve_cli.scoring import STREAM, ScoreRequest


@dataclass(frozen=True, slots=True)
class Tell:
    """Paths of the files that tell of a run; None tells nothing. See docs/telling.md for what each holds."""

    prometheus_file: str | None = None
    openlineage_file: str | None = None
    log_file: str | None = None
    audit_log: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """What was asked for, by the option's name."""
        named = {
            "--prometheus-file": self.prometheus_file,
            "--openlineage-file": self.openlineage_file,
            "--log-file": self.log_file,
            "--audit-log": self.audit_log,
        }
        return {option: path for option, path in named.items() if path is not None}


SILENCE = Tell()


def check_tell(tell: Tell, request: ScoreRequest) -> None:
    """Refuse what could only go wrong: a run is not begun to find out at its end that it cannot be told.

    Raises UsageError (2) for files that would get into each other's or the run's way, ExtraMissing (69) where a library
    is not installed.
    """
    for option, path in tell.files.items():
        if not path or "\0" in path:
            raise UsageError("the file has no name", option, "give it a path")
    for (option, path), (other, same) in combinations(_real(tell.files), 2):
        if path == same:
            raise UsageError(f"{option} and {other} name one file", shown(path, limit=400), "give each its own")
    for option, path in _real(tell.files):
        if request.output != STREAM and any(_is_under(path, out) for out in _outputs(request.output)):
            raise UsageError(
                f"{option} lies in the run's output, where nothing may stand but the run",
                shown(path, limit=400),
                "put it beside the output, or elsewhere",
            )
    if tell.prometheus_file is not None and find_spec("prometheus_client") is None:
        raise ExtraMissing("prometheus-client", "prometheus")


def _real(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((option, os.path.realpath(path)) for option, path in files.items())


def _outputs(output: str) -> tuple[str, ...]:
    return os.path.realpath(output), os.path.realpath(f"{output}.manifest.json")


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")
