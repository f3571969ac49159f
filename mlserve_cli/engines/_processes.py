"""Jobs in worker processes, handed out one at a time; a worker that dies takes one job along and nothing else."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from mlserve_cli.engines._ledger import Ledger
from mlserve_cli.engines._memory import kills_for_want_of_memory
from mlserve_cli.engines._seam import Event, Finished, J, R, TimedOut
from mlserve_cli.engines._spawn import Worker, kill_all, spawn
from mlserve_cli.engines._worker import Done, Failed, Ready
from mlserve_cli.errors import Unavailable

_MAX_FAILED_STARTS = 3
# The kernel takes a dead process's memory back in its own time. A worker started 20 ms after such a death ran into the
# limit while it was still a fork of the driver, and the kernel killed the driver (measured, one run in five).
_MEMORY_COMES_BACK_S = 0.5


class Processes:
    """The engine of worker processes.

    Each worker is one process on one socket: what it is doing is known, so when it dies, the job to blame is known
    too, and no other worker notices. `setup` runs in each worker before its first job. Call `start` and `run` in a
    thread that lives as long as the engine: the kernel ends the workers with the thread that started them.
    """

    def __init__(
        self,
        workers: int,
        *,
        setup: Callable[[], object] | None = None,
        max_retries: int = 2,
        task_timeout_s: float | None = None,
        environment: Mapping[str, str] | None = None,
        show_stderr: bool = False,
    ) -> None:
        self._limit = workers
        self._setup, self._max_retries, self._timeout_s = setup, max_retries, task_timeout_s
        self._environment, self._show_stderr = environment or {}, show_stderr
        self._workers: list[Worker] = []
        self._failed_starts = 0
        self._memory_kills = kills_for_want_of_memory()

    @property
    def workers(self) -> int:
        """How many work at once: fewer than at first once memory has run out."""
        return self._limit

    def start(self) -> None:
        self._spawn(self._limit)

    def run(
        self, jobs: Sequence[J], function: Callable[[J], R], *, standing: Callable[[J], R | None]
    ) -> Iterator[Event[J, R]]:
        ledger = Ledger(jobs, max_retries=self._max_retries)
        try:
            while True:
                self._hand_out(ledger, function)
                if not any(worker.is_busy for worker in self._workers):
                    return
                events: list[Event[J, R]] = []
                for worker in self._speaking():
                    events += self._hear(worker, ledger, standing)
                events += self._late(ledger)
                self._hand_out(ledger, function)  # before the caller takes its time with the events
                yield from events
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _hand_out(self, ledger: Ledger[J], function: Callable[[J], R]) -> None:
        busy = sum(worker.is_busy for worker in self._workers)
        if ledger.is_last_alone:
            if busy:
                return
            self._end(keep=1)
        room = 1 if ledger.is_last_alone else self._limit
        self._spawn(min(room, busy + ledger.waiting))
        for worker in self._workers:
            if busy >= room or not ledger.waiting:
                return
            if not worker.is_busy:
                number = ledger.take()
                worker.hand(number, function, ledger.jobs[number])
                busy += 1

    def _hear(self, worker: Worker, ledger: Ledger[J], standing: Callable[[J], R | None]) -> Iterator[Event[J, R]]:
        said = worker.hear()
        if isinstance(said, Ready):
            self._failed_starts = 0
        elif isinstance(said, Failed):
            raise said.error
        elif isinstance(said, Done):
            job = ledger.jobs[worker.put_down()]
            result: R = said.result  # type: ignore[assignment]  # what the function returned in the worker
            yield Finished(job, result, worker.slot, said.seconds, said.peak_bytes)
        else:
            yield from self._bury(worker, ledger, standing)

    def _bury(self, worker: Worker, ledger: Ledger[J], standing: Callable[[J], R | None]) -> Iterator[Event[J, R]]:
        """A worker is dead: whose fault was it, and does what it was to do stand already?"""
        seconds = worker.busy_s
        self._workers.remove(worker)
        detail = self._explain(worker.end())
        if not worker.is_ready:
            self._count_failed_start(detail)
        if not worker.is_busy:
            return
        number = worker.put_down()
        result = standing(ledger.jobs[number])
        if result is not None:
            yield Finished(ledger.jobs[number], result, worker.slot, seconds, 0)
        elif worker.is_ready:
            yield ledger.blame(number, detail)
        else:
            ledger.give_back(number)

    def _late(self, ledger: Ledger[J]) -> Iterator[TimedOut[J]]:
        for worker in [worker for worker in self._workers if worker.is_busy and self._left_s(worker) <= 0]:
            seconds = worker.busy_s
            self._workers.remove(worker)
            worker.end()
            yield TimedOut(ledger.jobs[worker.put_down()], seconds)

    def _speaking(self) -> list[Worker]:
        """Wait for workers that have said something or died, or for the next time-out."""
        poll = select.poll()
        for worker in self._workers:
            poll.register(worker.channel, select.POLLIN)
        left_s = min((self._left_s(worker) for worker in self._workers if worker.is_busy), default=float("inf"))
        ready = dict(poll.poll(None if left_s == float("inf") else max(0, int(left_s * 1000) + 1)))
        return [worker for worker in self._workers if worker.channel.fileno() in ready]

    def _left_s(self, worker: Worker) -> float:
        if self._timeout_s is None or not worker.is_ready:
            return float("inf")
        return self._timeout_s - worker.busy_s

    def _explain(self, detail: str) -> str:
        """How it died; where memory ran out, the run goes on with one worker less."""
        kills = kills_for_want_of_memory()
        if "SIGKILL" in detail and kills is not None and kills != self._memory_kills:
            self._memory_kills = kills
            self._limit = max(1, self._limit - 1)
            time.sleep(_MEMORY_COMES_BACK_S)
            return f"{detail}, since memory ran out"
        return detail

    def _count_failed_start(self, detail: str) -> None:
        self._failed_starts += 1
        if self._failed_starts > max(_MAX_FAILED_STARTS, self._max_retries):
            raise Unavailable("worker processes cannot be started", detail, "try --workers 1, or look at --verbose")

    def _spawn(self, wanted: int) -> None:
        taken = {worker.slot for worker in self._workers}
        for slot in range(wanted):
            if slot not in taken and len(self._workers) < wanted:
                spawn(self._workers, slot, self._setup, self._environment, show_stderr=self._show_stderr)

    def _end(self, keep: int = 0) -> None:
        ended = self._workers[keep:]
        del self._workers[keep:]
        kill_all(ended)
