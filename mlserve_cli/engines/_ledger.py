"""Which jobs are still to do, which of them killed their workers, and which come next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic

from mlserve_cli.engines._seam import Died, J


class Ledger(Generic[J]):
    """Jobs by their number in the list given.

    A job whose worker died is tried again at once, the last time alone, when all others are finished: what killed it
    may have been the memory that the others took.
    """

    def __init__(self, jobs: Sequence[J], *, max_retries: int) -> None:
        self.jobs = jobs
        self._waiting = deque(range(len(jobs)))
        self._alone: deque[int] = deque()
        self._deaths: dict[int, int] = {}
        self._max_retries = max_retries

    @property
    def waiting(self) -> int:
        """How many can be handed out at once to as many workers."""
        return len(self._waiting) or min(1, len(self._alone))

    @property
    def is_last_alone(self) -> bool:
        """Whether only jobs are left that must run without company."""
        return not self._waiting and bool(self._alone)

    def take(self) -> int:
        return (self._waiting or self._alone).popleft()

    def give_back(self, number: int) -> None:
        """Not the job's fault: it stays the next."""
        self._waiting.appendleft(number)

    def blame(self, number: int, detail: str) -> Died[J]:
        deaths = self._deaths[number] = self._deaths.get(number, 0) + 1
        given_up = deaths > self._max_retries
        if deaths == self._max_retries:
            self._alone.append(number)
        elif not given_up:
            self._waiting.appendleft(number)
        return Died(self.jobs[number], deaths, detail, given_up)
