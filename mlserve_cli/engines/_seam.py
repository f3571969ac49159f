"""The seam between a run and what carries out its jobs: jobs and one function in, what became of each out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

import msgspec

J = TypeVar("J")
R = TypeVar("R")


class Finished(msgspec.Struct, Generic[J, R], frozen=True):
    """A job is done. `seconds` are those of the function; `peak_bytes` is the most its process ever had in memory."""

    job: J
    result: R
    worker: int
    seconds: float
    peak_bytes: int


class Died(msgspec.Struct, Generic[J], frozen=True):
    """A job's worker died, for the `deaths`-th time with this job. `given_up`: it will not be tried again."""

    job: J
    deaths: int
    detail: str
    given_up: bool


class TimedOut(msgspec.Struct, Generic[J], frozen=True):
    """A job ran longer than it may. Its worker was killed and the job is not tried again."""

    job: J
    seconds: float


Event: TypeAlias = Finished[J, R] | Died[J] | TimedOut[J]


class Engine(Protocol):
    """Carries out jobs, with as many at once as it has workers, in the order given as workers come free.

    An exception that the function raises comes out of `run` as itself and ends it. However `run` ends, by that, by
    being closed or by a signal's exception, no worker goes on working when it has. One `run` at a time.
    """

    @property
    def workers(self) -> int: ...

    def start(self) -> None:
        """Make workers ready while the caller still does something else. May be left out."""

    def run(
        self, jobs: Sequence[J], function: Callable[[J], R], *, standing: Callable[[J], R | None]
    ) -> Iterator[Event[J, R]]:
        """`function` is found by its module and name. `standing` says what a dead worker's job left finished, if so."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
