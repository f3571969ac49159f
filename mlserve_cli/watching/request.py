"""What is asked of a watcher, and the folders that it works in, looked at before the first shard is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlserve_cli import storage
from mlserve_cli.errors import Forbidden, InputMissing, OutputError, UsageError, shown
from mlserve_cli.scoring import STREAM, ScoreRequest
from mlserve_cli.tables import HIDDEN

REJECTED = "_rejected"


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """`run` is what is asked of each shard's run; its output is the folder in which they all come to stand.

    A shard is complete once it has stood still for `settled_s`, or with a `marker` once that is there: an ending such
    as `.done` that is added to the shard's name or stands in place of its own, or the name of a file in its folder.
    `changed` is about a shard that was written again after its run. After `most_bad` bad shards in a row it ends.
    """

    inbox: str
    run: ScoreRequest
    once: bool = False
    interval_s: float = 5.0
    settled_s: float = 10.0
    marker: str | None = None
    changed: Literal["refuse", "rescore"] = "refuse"
    bad_shards: Literal["move", "stay"] = "move"
    rejected: str | None = None
    move_to: str | None = None
    most_bad: int = 10


@dataclass(frozen=True, slots=True)
class Places:
    """The folders: shards come to `inbox`, runs stand in `output`, reasons in `rejected`; `scored` where they move.

    `output_inode` is what `output` was when it was looked at first.
    """

    inbox: str
    output: Path
    rejected: Path
    scored: Path | None
    output_inode: tuple[int, int]

    def run_of(self, name: str) -> Path:
        """Where a shard's run stands. It is called as the shard is, ending and all: no two can come to one place."""
        return self.output / name

    def check_output(self) -> None:
        """Where a mount is lost, its empty mount point would say that nothing was ever scored.

        Raises OutputError (73) where the output is not the folder that it was.
        """
        if inode_of(self.output) != self.output_inode:
            raise OutputError(
                "the output is not the folder any more that it was when this watcher began",
                shown(str(self.output), limit=400),
                "was it a mount that is lost? Bring it back and start the watcher again",
            )


def open_places(request: WatchRequest) -> Places:
    """The folders, made where they do not exist yet.

    Raises InputMissing (66) where there is no inbox, UsageError (2) where one lies visibly in another or a move would
    be a copy, Forbidden (77) where the inbox may not be changed and has to be.
    """
    output = _output(request.run)
    if request.marker is not None and (not request.marker.strip(".") or os.sep in request.marker):
        raise UsageError(f"{shown(request.marker)} is no marker", "--marker", "an ending like .done, or a file's name")
    if not os.path.isdir(request.inbox):
        raise InputMissing(
            "there is no such folder", shown(request.inbox, limit=400), "name the folder that shards come to"
        )
    default = output if request.bad_shards == "stay" else Path(request.inbox)
    rejected = Path(request.rejected) if request.rejected else default / REJECTED
    scored = Path(request.move_to) if request.move_to else None
    for folder in (output, rejected, *([scored] if scored else [])):
        _check_apart(folder, request.inbox)
        with storage.translated(folder, "create the folder"):
            folder.mkdir(exist_ok=True)
    moving = [*([rejected] if request.bad_shards == "move" else []), *([scored] if scored else [])]
    for folder in moving:
        with storage.translated(folder, "look at the folder"):
            _check_movable(folder, request.inbox)
    return Places(request.inbox, output, rejected, scored, inode_of(output))


def inode_of(folder: Path) -> tuple[int, int]:
    """What tells one folder from another of its name; (0, 0) where there is none."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino


def _output(run: ScoreRequest) -> Path:
    if run.output == STREAM or run.single_file:
        raise UsageError(
            "a watcher writes one run for each shard, and they need a folder",
            f"--output {shown(run.output, limit=400)}",
            "name a folder",
        )
    return storage.locate(run.output)


def _check_apart(folder: Path, inbox: str) -> None:
    """Nothing that we write may be taken for a shard, and no shard may be where a run stands."""
    here, there = os.path.realpath(folder), os.path.realpath(inbox)
    inside = os.path.relpath(here, there).split(os.sep)
    is_visible = inside[0] != ".." and not any(part.startswith(HIDDEN) and part != "." for part in inside)
    if is_visible or there.startswith(here.rstrip(os.sep) + os.sep):
        raise UsageError(
            "the folder and the inbox lie one in the other",
            f"{shown(str(folder), limit=400)}, {shown(inbox, limit=400)}",
            "choose one beside it; in the inbox only names that start with _ or . are passed over",
        )


def _check_movable(folder: Path, inbox: str) -> None:
    if not os.access(inbox, os.W_OK | os.X_OK):
        raise Forbidden(
            "nothing can be moved out of the inbox: this user may not write there",
            shown(inbox, limit=400),
            "leave shards where they are: --bad-shards stay, and no --move-to",
        )
    if os.stat(folder).st_dev != os.stat(inbox).st_dev:
        raise UsageError(
            "the folder is on another file system than the inbox, so that to move would be to copy",
            shown(str(folder), limit=400),
            "choose one on the inbox's own, or --bad-shards stay",
        )
