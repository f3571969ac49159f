"""Whose fault it was that a shard was not scored: its own, the moment's, or everybody's.

Where it is everybody's, as with a model that cannot be run, the watcher ends with the error, and no shard pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mlserve_cli.errors import (
    CorruptFile,
    DataError,
    ExtraMissing,
    InputMissing,
    IOFailed,
    LogBroken,
    MlserveError,
    OutputExists,
    TryLater,
    Unavailable,
    WorkersDied,
)
from mlserve_cli.watching.inbox import Seen
from mlserve_cli.watching.request import Places

PATIENCE = 10  # times the settling time: for so long a file that cannot be read may still be in the making
MOST_ATTEMPTS = 3  # at a shard that kills its workers, or on which mlserve itself fails
ELSEWHERE = (IOFailed, Unavailable)  # the disk, the network: the next shard would meet it too


class Blame(Enum):
    """What follows."""

    GONE = "it is not there any more"
    SHARD = "it is bad, and goes aside"
    MOMENT = "it is tried again"
    ALL = "no other shard would fare better"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known when a shard was not scored. `worked` says whether the model scores other shards as it is now."""

    shard: Seen
    places: Places
    attempts: int
    may_grow: bool
    worked: Callable[[], bool]


def blame(error: MlserveError, given: Circumstances) -> Blame:
    """What to do about it."""
    if not os.path.lexists(given.shard.path):
        return Blame.GONE
    is_last = given.attempts >= MOST_ATTEMPTS
    match error:
        case ExtraMissing() | InputMissing() | LogBroken():
            return Blame.ALL
        case TryLater() | IOFailed() | Unavailable():
            return Blame.MOMENT
        case CorruptFile() if given.may_grow:
            return Blame.MOMENT
        case DataError() | OutputExists():
            return Blame.SHARD
        case WorkersDied():
            return Blame.SHARD if is_last else Blame.MOMENT
        case _ if type(error) is MlserveError:  # a bug, which may come of what is in the shard
            return Blame.SHARD if is_last else Blame.MOMENT
    return Blame.SHARD if _can_write(given.places) and given.worked() else Blame.ALL


def _can_write(places: Places) -> bool:
    return os.access(places.output, os.W_OK | os.X_OK)
