"""What the disk says of a shard: whether its run stands, of this content or another, or a reason why it has none.

There is no list of what was done, which a kill could leave behind the facts: the run's own manifest is the completion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from mlserve_cli import storage, tables
from mlserve_cli.errors import MlserveError
from mlserve_cli.manifest import read_manifest
from mlserve_cli.scoring import ScoreRequest
from mlserve_cli.tables import FoundFile, Shard
from mlserve_cli.watching.aside import reason_at
from mlserve_cli.watching.inbox import Seen
from mlserve_cli.watching.request import Places

SECOND_NS = 1_000_000_000
LEFT_OVER = re.compile(r"\.(.*)\.mlserve(?:-[0-9a-f]{16}|\.lock)", re.DOTALL)


class Standing(Enum):
    """What is so of a shard."""

    OPEN = "nobody has scored it"
    SCORED = "its run stands"
    CHANGED = "a run of other content stands"
    REJECTED = "it was rejected as it is, and stays where it is"


def standing_of(shard: Seen, *, places: Places, run: ScoreRequest, stays: bool) -> Standing:
    """What stands for the shard as it is now; `stays` where bad shards are left in the inbox.

    Raises RunMismatch (65) or InvalidConfig (78) where its run's manifest is damaged or a newer mlserve's.
    """
    manifest = storage.manifest_of(places.run_of(shard.name), is_file=False)
    has_run = os.path.lexists(manifest)
    if has_run:
        inputs = read_manifest(manifest).plan.inputs
        if len(inputs) == 1 and _is_same(shard, inputs[0], run):
            return Standing.SCORED
    if stays:
        reason = reason_at(places.rejected / shard.name)
        if reason is not None and (reason.size_bytes, reason.mtime_ns) == (shard.size_bytes, shard.mtime_ns):
            return Standing.REJECTED
    return Standing.CHANGED if has_run else Standing.OPEN


def begun_before(shards: Iterable[Seen], *, places: Places) -> frozenset[str]:
    """The names of those whose staging or lock an earlier watcher left: what ended it may have been one of them."""
    begun = set()
    for folder in {os.path.dirname(shard.name) for shard in shards}:
        found = places.output / folder
        for name in os.listdir(found) if found.is_dir() else ():
            left = LEFT_OVER.fullmatch(name)
            if left is not None:
                begun.add(os.path.join(folder, left[1]))
    return frozenset(begun)


def clear_stagings(out: Path) -> None:
    """What ended runs left beside `out` goes: of another version's plan, of a shard that is rejected, of a run that
    stands."""
    with storage.hold(out):
        for staging in storage.stagings(out):
            staging.discard()


def _is_same(shard: Seen, scored: Shard, run: ScoreRequest) -> bool:
    """By size and time; where only the time differs, by the digest of the bytes, as after a copy or a `touch`.

    The digest of a Parquet is its footer's, which a corrected value need not change: there the time must agree to the
    second, which is all that some file systems keep.
    """
    if (shard.size_bytes, shard.mtime_ns) == (scored.size_bytes, scored.mtime_ns):
        return True
    is_near = shard.mtime_ns // SECOND_NS == scored.mtime_ns // SECOND_NS
    if shard.size_bytes != scored.size_bytes or not (scored.format == "csv" or is_near):
        return False
    file = FoundFile(shard.path, shard.text)
    try:
        found = tables.look_into(file, index=0, dialect=run.dialect, input_format=run.input_format)
    except MlserveError:
        return False
    return found.digest == scored.digest
