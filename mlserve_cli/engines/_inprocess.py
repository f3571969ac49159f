"""Jobs in this process: one after the other, or on threads where they let go of the interpreter's lock."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self

from mlserve_cli.engines._memory import peak_bytes
from mlserve_cli.engines._seam import Event, Finished, J, R
from mlserve_cli.storage import deferred_signals


class InProcess:
    """The engine for runs that are over before a worker process would have started. Nothing here can be killed alone:
    a job that runs for ever, or that takes the process down, needs `Processes`."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    @property
    def workers(self) -> int:
        return self._threads

    def start(self) -> None:
        """Nothing to make ready."""

    def run(
        self,
        jobs: Sequence[J],
        function: Callable[[J], R],
        *,
        standing: Callable[[J], R | None],  # noqa: ARG002  no worker dies here alone
    ) -> Iterator[Event[J, R]]:
        if self._threads > 1 and len(jobs) > 1:
            with _Threads(jobs, function, min(self._threads, len(jobs))) as threads:
                yield from threads.events()
            return
        for job in jobs:
            yield _carry_out(job, function, worker=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end: `run` has joined its threads."""


class Stopped(BaseException):
    """This thread's run has ended. Not an Exception, so that no handler at a task's edge takes it for a failed task."""


def check_stop() -> None:
    """To be called by a job now and then: ends it where its run has ended, since a thread cannot be killed."""
    stop = getattr(_here, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


_here = threading.local()


class _Threads(Generic[J, R]):
    """Threads that take jobs from one list. Leaving the block stops and joins them."""

    def __init__(self, jobs: Sequence[J], function: Callable[[J], R], count: int) -> None:
        self._jobs, self._function = iter(jobs), function
        self._left = len(jobs)
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._said: queue.SimpleQueue[Finished[J, R] | BaseException] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def events(self) -> Iterator[Finished[J, R]]:
        for _ in range(self._left):
            said = self._said.get()
            if isinstance(said, BaseException):
                raise said
            yield said

    def _work(self, number: int) -> None:
        _here.stop = self._stop
        try:
            while not self._stop.is_set():
                with self._lock:
                    job = next(self._jobs)
                self._said.put(_carry_out(job, self._function, worker=number))
        except (StopIteration, Stopped):
            return
        except BaseException as error:  # noqa: BLE001  handed over to the thread that waits, which raises it
            self._said.put(error)

    def __enter__(self) -> Self:
        with deferred_signals():
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with deferred_signals():
            for thread in self._threads:
                thread.join()


def _carry_out(job: J, function: Callable[[J], R], *, worker: int) -> Finished[J, R]:
    started = time.perf_counter()
    result = function(job)
    return Finished(job, result, worker, time.perf_counter() - started, peak_bytes())
