"""Shards on their way out of the inbox: bad ones with a reason beside them, scored ones where that is asked for.

REJECTED/NAME                the shard, moved in one step
REJECTED/NAME.reason.json    what was wrong with it; written first, so that no shard stands there without its reason
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.contract import Value
from mlserve_cli.errors import MlserveError, TryLater, shown
from mlserve_cli.tables import text_of
from mlserve_cli.watching.inbox import Seen, look_again

REASON_SUFFIX = ".reason.json"


class Cause(Value, frozen=True):
    """An error as it is shown: what, where, what to do."""

    type: str
    what: str
    where: str
    hint: str


class Rejection(Value, frozen=True):
    """Why a shard was not scored. It is about the file of this size and time, and says nothing of another one."""

    shard: str
    size_bytes: int
    mtime_ns: int
    rejected_at: str
    model: str
    exit_code: int
    error: Cause


def rejection(shard: Seen, error: MlserveError, *, model: str) -> Rejection:
    """The reason, as it is written down."""
    return Rejection(
        shard=shard.text,
        size_bytes=shard.size_bytes,
        mtime_ns=shard.mtime_ns,
        rejected_at=datetime.now(UTC).isoformat(timespec="seconds"),
        model=text_of(model),
        exit_code=error.exit_code,
        error=Cause(type(error).__name__, *map(text_of, (error.what, error.where, error.hint))),
    )


def set_aside(shard: Seen, reason: Rejection, *, folder: Path, moves: bool) -> Path:
    """Write the reason and, where it `moves`, put the shard beside it. Returns where the reason stands."""
    target = _free_name(folder / shard.name) if moves else folder / shard.name
    place = target.with_name(target.name + REASON_SUFFIX)
    with storage.translated(place, "create"):
        place.parent.mkdir(parents=True, exist_ok=True)
    storage.replace(place, msgspec.json.format(msgspec.json.encode(reason), indent=2) + b"\n")
    if moves:
        move_out(shard, target)
    return place


def move_scored(shard: Seen, *, folder: Path, marker: str | None) -> None:
    """A shard whose run stands goes to `folder`, and the marker that is its own with it."""
    target = _free_name(folder / shard.name)
    with storage.translated(target, "create"):
        target.parent.mkdir(parents=True, exist_ok=True)
    move_out(shard, target)
    if marker is not None:
        storage.move(Path(marker), target.with_name(target.name + os.path.splitext(marker)[1]))


def move_out(shard: Seen, target: Path) -> None:
    """Move just this shard. What took its place between the look and the move is put back: nobody has scored that.

    Raises TryLater (75) where the name was taken meanwhile.
    """
    if not storage.move(Path(shard.path), target):
        raise TryLater("the name was taken while the shard was moved", shown(str(target), limit=400))
    moved = look_again(replace(shard, path=str(target)))
    if moved is not None and moved != replace(shard, path=str(target)):
        storage.move(target, Path(shard.path))


def reason_at(shard: Path) -> Rejection | None:
    """The reason beside where a shard would be, None where none stands that can be read."""
    try:
        return read_rejection(shard.with_name(shard.name + REASON_SUFFIX))
    except (MlserveError, msgspec.DecodeError):
        return None


def read_rejection(path: Path) -> Rejection:
    """A reason from its file. Raises msgspec.DecodeError where it is none."""
    with storage.translated(path, "read"):
        return msgspec.json.decode(path.read_bytes(), type=Rejection)


def drop_void_reason(shard: Path) -> None:
    """A reason without its shard, which somebody put back and which was scored now, says nothing any more."""
    if not os.path.lexists(shard):
        with storage.translated(shard, "remove the reason"):
            shard.with_name(shard.name + REASON_SUFFIX).unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    """The path, or with a number where a shard of that name came there earlier."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], numbered) if not os.path.lexists(one))
