"""Which runs used a version: a small file for each, written after the run's commit where that is possible.

It is no part of the run and never fails one. Where the registry may only be read, nothing is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import MlserveError
from mlserve_cli.registry.history import encode_entry
from mlserve_cli.storage import replace

KEPT = 100


class Use(Value, frozen=True):
    """One run."""

    run: str
    when: str
    who: str
    alias: str
    output: str

    @property
    def age_days(self) -> float:
        """How long ago it ended; a time that cannot be read is now, so that nothing is removed for it."""
        try:
            return (datetime.now(UTC) - datetime.fromisoformat(self.when)).total_seconds() / 86_400
        except (ValueError, TypeError):
            return 0.0


def note_use(name_folder: Path, version: str, use: Use) -> None:
    """Write down that a run used a version, as far as that can be done."""
    folder = name_folder / "uses" / version
    with suppress(OSError, MlserveError):
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / f"{use.run[:16]}.json", encode_entry(use))
        for old in _files(folder)[KEPT:]:
            old.unlink(missing_ok=True)


def recent_uses(name_folder: Path, version: int) -> Sequence[Use]:
    """The latest first. A file that says nothing is passed over: these are notes, not proofs."""
    found = []
    for path in _files(name_folder / "uses" / str(version)):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Use))
    return sorted(found, key=lambda use: use.when, reverse=True)


def _files(folder: Path) -> list[Path]:
    """The files, the newest first."""
    try:
        return sorted(folder.glob("[!.]*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    except OSError:  # one went in between, or the folder may not be read
        return []
