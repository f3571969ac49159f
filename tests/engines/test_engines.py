"""What every engine does alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from mlserve_cli.engines import Engine, Finished, InProcess, Processes
from mlserve_cli.errors import BadRow, Interrupted
from tests.engines.jobs import Job, nothing_stands, refuse_three, square

R = TypeVar("R")
Make = Callable[[], Engine]


@pytest.fixture(
    params=[InProcess, lambda: InProcess(3), lambda: Processes(1), lambda: Processes(3)],
    ids=["in process", "threads", "one process", "processes"],
)
def make(request: pytest.FixtureRequest) -> Make:
    engine: Make = request.param
    return engine


def test_every_job_is_done_once_and_its_result_comes_back(make: Make) -> None:
    jobs = [Job(number) for number in range(50)]

    with make() as engine:
        events = list(engine.run(jobs, square, standing=nothing_stands))

    assert sorted(results(events)) == [number**2 for number in range(50)]
    assert {event.job for event in events if isinstance(event, Finished)} == set(jobs)


def test_no_jobs_are_no_trouble(make: Make) -> None:
    with make() as engine:
        assert list(engine.run([], square, standing=nothing_stands)) == []


def test_an_engine_can_run_again(make: Make) -> None:
    with make() as engine:
        engine.start()
        for _ in range(2):
            events = list(engine.run([Job(2), Job(3)], square, standing=nothing_stands))
            assert sorted(results(events)) == [4, 9]


def test_an_error_of_ours_comes_back_as_itself_with_all_its_facts(make: Make) -> None:
    jobs = [Job(number) for number in range(6)]

    with make() as engine, pytest.raises(BadRow) as caught:
        list(engine.run(jobs, refuse_three, standing=nothing_stands))

    assert caught.value.args == ("flights.csv", 17, "dep_delay", "NA", "not a number")


def test_an_event_says_who_did_it_how_long_and_at_what_memory(make: Make) -> None:
    with make() as engine:
        events = list(engine.run([Job(n, seconds=0.05) for n in range(6)], square, standing=nothing_stands))
        slots = {event.worker for event in events if isinstance(event, Finished)}
        for event in events:
            assert isinstance(event, Finished)
            assert event.seconds >= 0.05
            assert event.peak_bytes > 5_000_000
        assert slots == set(range(engine.workers))


def test_a_caller_that_ends_early_ends_it(make: Make) -> None:
    with make() as engine:
        run = iter(engine.run([Job(n, seconds=0.01) for n in range(100)], square, standing=nothing_stands))
        next(run)
        with pytest.raises(Interrupted):
            throw(run, Interrupted(15))


def throw(run: object, error: BaseException) -> None:
    """As when a signal's handler raises while the run waits."""
    run.throw(error)  # type: ignore[attr-defined]  # every engine's run is a generator


def results(events: Sequence[object]) -> list[int]:
    return [event.result for event in events if isinstance(event, Finished)]
