"""Worker processes die, hang and misbehave; the run goes on, and none outlives it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from mlserve_cli.engines import Died, Event, Finished, Processes, TimedOut
from mlserve_cli.errors import BadRow, Unavailable
from tests.engines import jobs
from tests.engines.jobs import Job, nothing_stands, square

R = TypeVar("R")


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    assert children() == set()


def test_a_job_that_kills_its_worker_is_done_in_the_end(tmp_path: Path) -> None:
    todo = [Job(number, str(tmp_path), kills=2 if number == 3 else 0) for number in range(8)]

    events = run(todo, square, workers=2)

    assert sorted(results(events)) == [number**2 for number in range(8)]
    assert [(e.job.number, e.deaths, e.given_up) for e in deaths(events)] == [(3, 1, False), (3, 2, False)]
    assert {e.detail for e in deaths(events)} == {"killed by SIGKILL"}


def test_a_job_that_always_kills_its_worker_is_named_and_all_others_are_done(tmp_path: Path) -> None:
    todo = [Job(number, str(tmp_path), kills=-1 if number == 0 else 0) for number in range(8)]

    events = run(todo, square, workers=2, max_retries=2)

    assert sorted(results(events)) == [number**2 for number in range(1, 8)]
    assert [(e.job.number, e.deaths, e.given_up) for e in deaths(events)] == [
        (0, 1, False),
        (0, 2, False),
        (0, 3, True),
    ]
    assert attempts(tmp_path) == Counter({0: 3} | dict.fromkeys(range(1, 8), 1)), "no other job paid for it"


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_a_job_is_tried_as_often_as_it_may(tmp_path: Path, max_retries: int) -> None:
    events = run([Job(0, str(tmp_path), kills=-1), Job(1)], square, workers=2, max_retries=max_retries)

    assert [e.given_up for e in deaths(events)] == [False] * max_retries + [True]
    assert results(events) == [1]


def test_the_last_attempt_is_made_alone(tmp_path: Path) -> None:
    todo = [Job(0, str(tmp_path), kills=2), *(Job(number, str(tmp_path), seconds=0.1) for number in range(1, 9))]

    events = run(todo, square, workers=3, max_retries=2)

    last = events[-1]
    assert isinstance(last, Finished)
    assert last.job.number == 0, "it came after all others"


def test_what_a_dead_worker_published_counts_as_done(tmp_path: Path) -> None:
    todo = [Job(number, str(tmp_path), kills=number % 2) for number in range(6)]

    events = run(todo, jobs.publish_then_die, workers=2, standing=jobs.standing_result)

    assert sorted(results(events)) == [0, 1, 4, 9, 16, 25]
    assert deaths(events) == []


@pytest.mark.parametrize("seed", range(3))
def test_workers_killed_at_random_moments_lose_no_job(seed: int) -> None:
    todo = [Job(number, seconds=0.02) for number in range(60)]
    moments = random.Random(seed)
    over = threading.Event()
    killed: list[int] = []

    def rage() -> None:
        """Ten times and no more: on a busy machine a worker may need longer to start than it is given to live."""
        while len(killed) < 10 and not over.wait(moments.uniform(0.01, 0.2)):
            for victim in list(children())[:1]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)

    killer = threading.Thread(target=rage)
    killer.start()
    try:
        events = run(todo, square, workers=2, max_retries=100)
    finally:
        over.set()
        killer.join()

    assert sorted(results(events)) == [number**2 for number in range(60)]
    assert killed


def test_an_idle_worker_that_is_killed_is_no_loss() -> None:
    with Processes(2) as engine:
        list(engine.run([Job(0), Job(1)], square, standing=nothing_stands))
        for child in children():
            os.kill(child, signal.SIGKILL)
        events = list(engine.run([Job(2), Job(3)], square, standing=nothing_stands))

    assert sorted(results(events)) == [4, 9]


def test_a_job_that_runs_too_long_is_named_and_its_worker_killed() -> None:
    started = time.monotonic()

    events = run([Job(0, seconds=60), Job(1), Job(2)], square, workers=2, task_timeout_s=0.5)

    assert time.monotonic() - started < 5
    assert [e.job.number for e in events if isinstance(e, TimedOut)] == [0]
    assert sorted(results(events)) == [1, 4]


def test_a_worker_s_start_does_not_count_against_the_time_limit() -> None:
    events = run([Job(number) for number in range(4)], square, workers=2, task_timeout_s=0.05)
    assert sorted(results(events)) == [0, 1, 4, 9]


def test_an_exit_is_a_death_too() -> None:
    events = run([Job(0)], jobs.exit_quietly, workers=1, max_retries=1)
    assert [e.detail for e in deaths(events)] == ["exited with 7", "exited with 7"]


def test_an_exception_that_cannot_travel_comes_back_as_its_text() -> None:
    with pytest.raises(Exception, match="KeywordOnly: job 0") as caught:
        run([Job(0)], jobs.raise_what_cannot_travel, workers=1)
    assert "raise_what_cannot_travel" in "".join(caught.value.__notes__)


def test_a_result_that_cannot_travel_is_an_exception_and_not_a_death() -> None:
    with pytest.raises(Exception, match="lambda"):
        run([Job(0)], jobs.return_what_cannot_travel, workers=1)


def test_memory_that_is_refused_is_an_exception_and_not_a_death() -> None:
    with pytest.raises(MemoryError):
        run([Job(0)], jobs.allocate, workers=1)


def test_the_set_up_runs_in_each_worker_before_its_first_job() -> None:
    with Processes(2, setup=jobs.set_up, environment={"GIVEN": "too"}) as engine:
        events = list(engine.run([Job(0), Job(1)], jobs.environment, standing=nothing_stands))

    for event in events:
        assert isinstance(event, Finished)
        assert event.result["SET_UP"] == "yes"
        assert event.result["GIVEN"] == "too"
        assert event.result["ORT_DISABLE_TELEMETRY"] == "1"
        assert event.result["OMP_NUM_THREADS"] == "1"
    assert "SET_UP" not in os.environ


def test_a_set_up_that_fails_ends_the_run_with_its_error() -> None:
    with Processes(2, setup=jobs.fail_to_set_up) as engine, pytest.raises(BadRow, match="scores differently"):
        list(engine.run([Job(0)], square, standing=nothing_stands))


def test_workers_that_die_before_they_stand_end_the_run_and_blame_no_job() -> None:
    with Processes(2, setup=jobs.die_in_set_up) as engine, pytest.raises(Unavailable, match="exited with 3") as caught:
        list(engine.run([Job(0)], square, standing=nothing_stands))
    assert caught.value.exit_code == 69


def test_workers_start_while_the_driver_does_something_else() -> None:
    with Processes(2) as engine:
        engine.start()
        assert len(children()) == 2
        early = children()
        events = list(engine.run([Job(n, seconds=0.05) for n in range(4)], jobs.process_id, standing=nothing_stands))
    assert set(results(events)) == early


def test_no_more_workers_are_started_than_there_are_jobs() -> None:
    with Processes(8) as engine:
        events = list(engine.run([Job(0, seconds=0.1), Job(1, seconds=0.1)], square, standing=nothing_stands))
        assert len(children()) == 2
    assert len(events) == 2


def test_workers_take_jobs_in_the_order_given_as_they_come_free() -> None:
    todo = [Job(0, seconds=0.6), *(Job(number, seconds=0.05) for number in range(1, 9))]

    events = run(todo, square, workers=2)

    assert results(events) == [1, 4, 9, 16, 25, 36, 49, 64, 0], "one slow job held up no other"


def test_a_worker_s_output_reaches_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    run([Job(0)], jobs.make_noise, workers=1)
    assert capfd.readouterr() == ("", "")


def test_a_worker_s_output_goes_to_standard_error_where_that_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    with Processes(1, show_stderr=True) as engine:
        list(engine.run([Job(0)], jobs.make_noise, standing=nothing_stands))
    assert capfd.readouterr() == ("", "noise on standard output\nnoise on standard error\n")


DRIVER = """
    import signal, sys
    from mlserve_cli.engines import Processes
    from mlserve_cli.errors import Interrupted
    from tests.engines.jobs import Job, nothing_stands, square
    def end(number, frame):
        raise Interrupted(number)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    jobs = [Job(number, sys.argv[1], seconds=30) for number in range(4)]
    try:
        with Processes(2) as engine:
            for event in engine.run(jobs, square, standing=nothing_stands):
                print(event, flush=True)
    except Interrupted as interrupted:
        sys.exit(interrupted.exit_code)
"""


@pytest.mark.parametrize("to_group", [False, True], ids=["driver", "group"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_driver_and_all_workers(tmp_path: Path, number: int, times: int, to_group: bool) -> None:
    with driver(tmp_path) as process:
        workers = wait_for_workers(tmp_path, 2)
        for _ in range(times):
            (os.killpg if to_group else os.kill)(process.pid, number)
        said = process.communicate(timeout=10)

    late = [-number] if times == 2 else []  # a second one that comes when Python has let go of its handlers already
    assert process.returncode in (128 + number, *late)
    assert said == ("", "")
    assert alive(workers) == set(), "workers are gone before the driver is"


def test_a_signal_while_workers_start_ends_them_too(tmp_path: Path) -> None:
    for delay_s in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2):
        with driver(tmp_path) as process:
            time.sleep(delay_s)
            started = children(process.pid)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=10)
        assert process.returncode in (-signal.SIGTERM, 143)
        assert said[1] == ""
        assert gone_within(started, seconds=3)


def test_workers_of_a_killed_driver_are_gone_at_once(tmp_path: Path) -> None:
    with driver(tmp_path) as process:
        workers = wait_for_workers(tmp_path, 2)
        process.kill()
        process.wait()

    assert gone_within(workers, seconds=3)


def run(
    todo: list[Job],
    function: Callable[[Job], R],
    *,
    workers: int,
    max_retries: int = 2,
    task_timeout_s: float | None = None,
    standing: Callable[[Job], R | None] = nothing_stands,
) -> list[Event[Job, R]]:
    with Processes(workers, max_retries=max_retries, task_timeout_s=task_timeout_s) as engine:
        return list(engine.run(todo, function, standing=standing))


def results(events: list[Event[Job, R]]) -> list[R]:
    return [event.result for event in events if isinstance(event, Finished)]


def deaths(events: list[Event[Job, R]]) -> list[Died[Job]]:
    return [event for event in events if isinstance(event, Died)]


def attempts(folder: Path) -> Counter[int]:
    return Counter(int(name.split("-")[0]) for name in os.listdir(folder))


def driver(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_workers(folder: Path, count: int) -> set[int]:
    """The process ids of workers that have begun with a job."""
    until = time.monotonic() + 10
    while len(os.listdir(folder)) < count:
        assert time.monotonic() < until, "no worker has begun"
        time.sleep(0.01)
    return {int(name.split("-")[1]) for name in os.listdir(folder)}


def children(parent: int | None = None) -> set[int]:
    parent = parent or os.getpid()
    found = set()
    for task in Path(f"/proc/{parent}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def alive(processes: set[int]) -> set[int]:
    """Those that still run. A dead one that nobody has waited for yet is dead."""
    return {process for process in processes if state(process) not in ("", "Z", "X")}


def state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone_within(processes: set[int], *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while alive(processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
