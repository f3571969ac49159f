"""Watch an inbox: score each shard once it is completely there, as a run of its own, until a signal comes.

Nothing is remembered but for speed. What was scored is said by the runs that stand, what was rejected by the reasons:
after a kill at any moment the next watcher finds what this one would have done next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from mlserve_cli import scoring, storage
from mlserve_cli.errors import InvalidConfig, IOFailed, OutputBusy, RunMismatch, shown
from mlserve_cli.watching.events import Event, Noted, Tally, Tell
from mlserve_cli.watching.inbox import Seen, look, look_again
from mlserve_cli.watching.request import Places, WatchRequest, open_places
from mlserve_cli.watching.settling import Settling
from mlserve_cli.watching.standing import Standing, begun_before
from mlserve_cli.watching.taking import LONGEST_WAIT_S, Score, Taker


def unheard(event: Event) -> None:
    """Nobody listens."""


def watch(request: WatchRequest, *, score: Score = scoring.score, tell: Tell = unheard) -> Tally:
    """Score the inbox's shards, each with the model as it is named at that moment; with `once`, those that are there.

    Without `once` it only ends by what is raised: a signal, an error that no shard is to blame for, OutputBusy (75)
    where another watcher is at work, DataError (65) after too many bad shards in a row.
    """
    places = open_places(request)
    with _alone(places):
        taker = Taker(request, places, score, tell, Settling(request.settled_s, request.marker))
        _Watcher(request, taker).work()
        return taker.tally


@dataclass(slots=True)
class _Watcher:
    """Looks at the inbox again and again."""

    request: WatchRequest
    taker: Taker
    is_first_look: bool = True
    lost_looks: int = 0
    unreadable: int = 0
    passed: set[str] = field(default_factory=set)

    def work(self) -> None:
        """Look, score, wait; once, or until something is raised."""
        until_s = time.monotonic() + self.request.settled_s
        while True:
            looked_s = time.monotonic()
            self._take_all(self._look(looked_s))
            waiting = self.taker.settling.waiting
            growing = sum(retry.grows for retry in self.taker.retries.values())
            self.taker.tally.waiting = waiting + growing + self.unreadable
            if self.request.once and (not waiting or looked_s >= until_s):
                return
            time.sleep(self._pause_s(until_s))

    def _look(self, now_s: float) -> list[Seen]:
        """The shards to score now, the oldest first; last of all those that may have ended an earlier watcher."""
        try:
            found = look(self.request.inbox, any_ending=self.request.run.input_format is not None, passed=self._pass)
        except OSError as error:  # a server is away for a while: what was seen before stays so
            self._lose_look(IOFailed(f"cannot list the inbox: {error.strerror or error}", shown(self.request.inbox)))
            return []
        self.lost_looks = self.unreadable = 0
        self.taker.places.check_output()
        self.taker.forget_all_but({shard.name for shard in found})
        unsettled = (shard for shard in found if self.taker.settled.get(shard.name) != shard)
        candidates = [shard for shard in map(self._looked_again, unsettled) if shard is not None]
        if self.is_first_look:
            self.taker.left_over = begun_before(candidates, places=self.taker.places)
            self.is_first_look = False
        complete = self.taker.settling.complete(filter(self._is_open, candidates), now_s=now_s)
        return sorted((shard for shard in complete if self.taker.is_due(shard, now_s=now_s)), key=self._rank)

    def _rank(self, shard: Seen) -> tuple[bool, int, bytes]:
        return shard.name in self.taker.left_over, shard.mtime_ns, os.fsencode(shard.name)

    def _looked_again(self, shard: Seen) -> Seen | None:
        again = look_again(shard)
        if again is None and os.path.lexists(shard.path):
            self.unreadable += 1
            self._pass(shard.name, "it cannot be read yet")
        return again

    def _is_open(self, shard: Seen) -> bool:
        """Whether there is anything to do; what is done already is put away."""
        try:
            standing = self.taker.standing(shard)
        except (RunMismatch, InvalidConfig) as error:
            self.taker.tally.damaged += 1
            self.taker.tell(Noted(f"the run of {shown(shard.text, limit=400)} is left alone: {error}", is_wrong=True))
            self.taker.settled[shard.name] = shard
            return False
        if standing is Standing.SCORED:
            self.taker.tally.already += 1
            self.taker.finish(shard)
        elif standing is Standing.REJECTED:
            self.taker.settled[shard.name] = shard
        return standing in (Standing.OPEN, Standing.CHANGED)

    def _take_all(self, shards: list[Seen]) -> None:
        for shard in shards:
            self.taker.places.check_output()
            if look_again(shard) == shard:  # else it moves again, and the next look sees how
                self.taker.take(shard)
            if self.taker.failing_in_a_row > 1:  # a full disk: the others would fare no better
                return

    def _pass(self, name: str, why: str) -> None:
        """Said once of each file."""
        if name not in self.passed:
            self.passed.add(name)
            place = shown(os.path.join(self.request.inbox, name), limit=400)
            self.taker.tell(Noted(f"{place} is passed over: {why}"))

    def _lose_look(self, error: IOFailed) -> None:
        self.lost_looks += 1
        self.taker.tally.delay_code = error.exit_code
        self.taker.tell(Noted(str(error), is_wrong=True))

    def _pause_s(self, until_s: float) -> float:
        interval_s = self.request.interval_s
        if self.request.once:
            return max(0.0, min(interval_s, until_s - time.monotonic()))
        failures = max(self.lost_looks, self.taker.failing_in_a_row)
        return min(interval_s * 2.0 ** min(failures, 20), max(LONGEST_WAIT_S, interval_s))


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """One watcher for one folder of runs, by a lock inside of it: who runs it may write there, if nowhere else."""
    with ExitStack() as stack:
        try:
            stack.enter_context(storage.hold(places.output / "_watch"))
        except OutputBusy:
            raise OutputBusy(
                "another watcher is at work on this output",
                shown(str(places.output), limit=400),
                "leave it to that one, or end it first",
            ) from None
        yield
