"""One shard taken: scored, set aside with its reason, or put off, by whose fault it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlserve_cli import scoring, storage
from mlserve_cli.errors import (
    CorruptFile,
    DataError,
    MlserveError,
    OutputExists,
    RunMismatch,
    StagingExists,
    shown,
)
from mlserve_cli.scoring import RunResult, ScoreRequest
from mlserve_cli.watching.aside import drop_void_reason, move_scored, rejection, set_aside
from mlserve_cli.watching.blame import ELSEWHERE, PATIENCE, Blame, Circumstances, blame
from mlserve_cli.watching.events import Delayed, Event, Noted, Rejected, Scored, Tally, Tell
from mlserve_cli.watching.inbox import Seen
from mlserve_cli.watching.request import Places, WatchRequest
from mlserve_cli.watching.settling import Settling
from mlserve_cli.watching.standing import Standing, clear_stagings, standing_of

Score = Callable[[ScoreRequest], RunResult]
LONGEST_WAIT_S = 300.0


@dataclass(slots=True)
class Retry:
    """A shard that was tried in vain as it is: how often, and from when again. `grows`: for all that is known."""

    shard: Seen
    attempts: int
    not_before_s: float
    grows: bool


@dataclass(slots=True)
class Taker:
    """Takes shards. `settled` are those that need nothing more as they are, `retries` those that were tried in vain,
    `left_over` those that an earlier watcher was at when it ended, `worked` the models that scored."""

    request: WatchRequest
    places: Places
    score: Score
    tell: Tell
    settling: Settling
    tally: Tally = field(default_factory=Tally)
    settled: dict[str, Seen] = field(default_factory=dict)
    retries: dict[str, Retry] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    left_over: frozenset[str] = frozenset()
    bad_in_a_row: int = 0
    failing_in_a_row: int = 0

    def take(self, shard: Seen) -> None:
        """Score it, or deal with what stood in the way. Raises what no shard is to blame for."""
        try:
            standing = self.standing(shard)
            if standing is Standing.CHANGED and self.request.changed == "refuse":
                raise _changed(self.places.run_of(shard.name))
            result = self._run(shard, overwrite=standing is Standing.CHANGED)
        except Exception as error:  # noqa: BLE001  one shard's trouble, even a bug, must not stop the others
            self._failed(shard, error if isinstance(error, MlserveError) else _bug(error))
        else:
            self._scored(shard, result)

    def standing(self, shard: Seen) -> Standing:
        """What the disk says of it."""
        stays = self.request.bad_shards == "stay"
        return standing_of(shard, places=self.places, run=self.request.run, stays=stays)

    def finish(self, shard: Seen) -> None:
        """A shard whose run stands: out of the inbox, where that is wanted."""
        self.settled[shard.name] = shard
        try:
            if shard.name in self.left_over:  # its run was committed, and the watcher killed before it had tidied up
                clear_stagings(self.places.run_of(shard.name))
            drop_void_reason(self.places.rejected / shard.name)
            if self.places.scored is not None:
                move_scored(shard, folder=self.places.scored, marker=self.settling.own_marker_of(shard))
        except MlserveError as error:
            self.tell(Noted(f"{shown(shard.text, limit=400)} is scored and stays where it is: {error}"))

    def is_due(self, shard: Seen, *, now_s: float) -> bool:
        """Whether it may be tried, for the first time or again."""
        retry = self._retry(shard)
        return retry is None or retry.not_before_s <= now_s

    def forget_all_but(self, names: set[str]) -> None:
        """What is not in the inbox any more needs not be known."""
        for known in (self.settled, self.retries):
            for name in known.keys() - names:
                del known[name]

    def _retry(self, shard: Seen) -> Retry | None:
        """What is known of earlier attempts at it; a shard that has changed since is another."""
        retry = self.retries.get(shard.name)
        return retry if retry is not None and retry.shard == shard else None

    def _run(self, shard: Seen, *, overwrite: bool) -> RunResult:
        """The shard's run. What an ended run left of other work, as before a promotion, is no hindrance."""
        run = self.places.run_of(shard.name)
        with storage.translated(run.parent, "create the folder"):
            run.parent.mkdir(parents=True, exist_ok=True)
        request = replace(
            self.request.run,
            inputs=(shard.path,),
            output=os.path.join(run, ""),  # a folder, though it is called as a file is
            if_exists="overwrite" if overwrite else "resume",
            globs=False,
            workers=self._workers(shard),
        )
        try:
            return self.score(request)
        except (StagingExists, RunMismatch):
            clear_stagings(run)
            return self.score(request)

    def _workers(self, shard: Seen) -> int | None:
        """What an earlier watcher may have died of is scored in processes of its own: it would end this one too."""
        asked = self.request.run.workers
        return 2 if shard.name in self.left_over and asked in (None, 1) else asked

    def _scored(self, shard: Seen, result: RunResult) -> None:
        self.bad_in_a_row = self.failing_in_a_row = 0
        self.worked.add(result.manifest.model.digest)
        self.retries.pop(shard.name, None)
        self._told(Scored(shard, result))
        self.finish(shard)

    def _failed(self, shard: Seen, error: MlserveError) -> None:
        given = self._circumstances(shard)
        match blame(error, given):
            case Blame.GONE:
                self.tell(Noted(f"{shown(shard.text, limit=400)} went away before it was scored"))
            case Blame.MOMENT:
                self._delay(shard, error, given.attempts)
            case Blame.SHARD:
                self._reject(shard, error, given.attempts)
            case Blame.ALL:
                raise error

    def _circumstances(self, shard: Seen) -> Circumstances:
        retry = self._retry(shard)
        stood_s = self.settling.stood_s(shard, now_s=time.monotonic())
        age_s = max(stood_s, time.time() - shard.mtime_ns / 1e9)
        may_grow = not self.request.marker and age_s < PATIENCE * self.request.settled_s
        return Circumstances(shard, self.places, retry.attempts + 1 if retry else 1, may_grow, self._has_worked)

    def _has_worked(self) -> bool:
        """Whether the model, as it is named now, has scored another shard: then it is not to blame."""
        run = self.request.run
        try:
            found = scoring.resolve(named(run), registry=run.registry, trust_policy=run.trust_policy)
        except MlserveError:
            return False
        return found.package.digest in self.worked

    def _delay(self, shard: Seen, error: MlserveError, attempts: int) -> None:
        self.failing_in_a_row = self.failing_in_a_row + 1 if isinstance(error, ELSEWHERE) else 0
        wait_s = min(self.request.interval_s * 2.0 ** min(attempts, 20), LONGEST_WAIT_S)
        not_before_s = float("inf") if self.request.once else time.monotonic() + wait_s
        grows = isinstance(error, CorruptFile)
        self.retries[shard.name] = Retry(shard, attempts, not_before_s, grows)
        if grows:
            self.tell(Noted(f"{shown(shard.text, limit=400)} is not there as a whole yet, or damaged: {error.what}"))
        else:
            self._told(Delayed(shard, error, None if self.request.once else wait_s))

    def _reject(self, shard: Seen, error: MlserveError, attempts: int) -> None:
        """Aside with it; where even that does not work out, it is tried again later."""
        moves = self.request.bad_shards == "move"
        reason = rejection(shard, error, model=named(self.request.run))
        run = self.places.run_of(shard.name)
        try:
            if run.parent.is_dir():
                clear_stagings(run)
            place = set_aside(shard, reason, folder=self.places.rejected, moves=moves)
        except MlserveError as trouble:
            self.tell(Noted(f"{shown(shard.text, limit=400)} is bad and cannot be set aside: {error}", is_wrong=True))
            self._delay(shard, trouble, attempts)
            return
        self.settled[shard.name] = shard
        self.retries.pop(shard.name, None)
        self._told(Rejected(shard, reason, place, moves))
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= self.request.most_bad:
            raise _too_many(self.bad_in_a_row, error, self.places)

    def _told(self, event: Event) -> None:
        self.tally.add(event)
        self.tell(event)


def named(run: ScoreRequest) -> str:
    """The model as it was asked for; of a split the first, which is its champion."""
    return run.model or next(iter(run.split), "")


def _changed(run: Path) -> OutputExists:
    return OutputExists(
        "the shard was written again after its run",
        shown(str(run), limit=400),
        "score it in place of the old one with --changed rescore, or give it another name",
    )


def _bug(error: Exception) -> MlserveError:
    ours = MlserveError(f"{type(error).__name__}: {error}")
    ours.__cause__ = error  # whose trace --verbose shows
    return ours


def _too_many(count: int, last: MlserveError, places: Places) -> DataError:
    return DataError(
        f"{count} shards in a row were bad, the last: {last.what}",
        shown(str(places.rejected), limit=400),
        "the reasons stand there; if it was the model or an option, mend that and move the shards back into the inbox",
    )
