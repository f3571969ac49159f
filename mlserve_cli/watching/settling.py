"""When a shard is completely there: it has stood still for a while, or whoever wrote it says so with a marker."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlserve_cli.tables import COMPRESSED_ENDINGS
from mlserve_cli.watching.inbox import Seen


@dataclass(slots=True)
class Settling:
    """Since when each shard has looked as it does, by this machine's own steady clock.

    A file's times are not asked: a server's clock may be minutes off, and a copy keeps the times of its source.
    """

    settled_s: float
    marker: str | None = None
    _since: dict[str, tuple[Seen, float]] = field(default_factory=dict)
    waiting: int = 0

    def complete(self, shards: Iterable[Seen], *, now_s: float) -> list[Seen]:
        """Those that are complete at this look. What is not among `shards` any more is forgotten."""
        before, self._since = self._since, {}
        found = []
        for shard in shards:
            last, since_s = before.get(shard.name, (None, now_s))
            self._since[shard.name] = (shard, since_s if last == shard else now_s)
            if self._is_complete(shard, now_s=now_s):
                found.append(shard)
        self.waiting = len(self._since) - len(found)
        return found

    def stood_s(self, shard: Seen, *, now_s: float) -> float:
        """For how long it has stood still."""
        last, since_s = self._since.get(shard.name, (None, now_s))
        return now_s - since_s if last == shard else 0.0

    def marker_of(self, shard: Seen) -> str | None:
        """The marker that says that the shard is complete, where there is one and it is not older than the shard."""
        for path in _spellings(shard.path, self.marker) if self.marker else ():
            try:
                if os.stat(path).st_mtime_ns >= shard.mtime_ns:
                    return path
            except OSError:  # not there, or not there yet
                continue
        return None

    def own_marker_of(self, shard: Seen) -> str | None:
        """The same, but for the marker of a whole folder, which is other shards' too."""
        return self.marker_of(shard) if self.marker is not None and self.marker.startswith(".") else None

    def _is_complete(self, shard: Seen, *, now_s: float) -> bool:
        if self.marker is not None:
            return self.marker_of(shard) is not None
        return self.stood_s(shard, now_s=now_s) >= self.settled_s


def _spellings(path: str, marker: str) -> list[str]:
    """For `.done`: a.csv.gz.done, a.csv.done, a.done; for `_SUCCESS`: the file of that name beside the shard."""
    if not marker.startswith("."):
        return [os.path.join(os.path.dirname(path), marker)]
    stem = path
    for ending in COMPRESSED_ENDINGS:
        stem = stem.removesuffix(ending)
    return [f"{path}{marker}", f"{stem}{marker}", f"{os.path.splitext(stem)[0]}{marker}"]
