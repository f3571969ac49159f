"""What the engines' tests give their workers to do. A worker finds a function by its module and name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from mlserve_cli.engines import check_stop
from mlserve_cli.errors import BadRow


@dataclass(frozen=True, slots=True)
class Job:
    number: int
    folder: str = ""  # where a job leaves a trace of itself
    seconds: float = 0.0
    kills: int = 0  # how often it kills its worker before it goes through; -1: always


def square(job: Job) -> int:
    """Counts its attempts, dies as often as it is told to, and returns the square."""
    attempt = leave_trace(job)
    if job.kills < 0 or attempt <= job.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(job.seconds)
    return job.number**2


def leave_trace(job: Job) -> int:
    """One file per attempt, named by job and process. Returns how many attempts that makes."""
    if not job.folder:
        return 1
    Path(job.folder, f"{job.number}-{os.getpid()}").touch()
    return len([name for name in os.listdir(job.folder) if name.startswith(f"{job.number}-")])


def publish_then_die(job: Job) -> int:
    Path(job.folder, f"done-{job.number}").write_text(str(job.number**2))
    if job.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.number**2


def standing_result(job: Job) -> int | None:
    path = Path(job.folder, f"done-{job.number}")
    return int(path.read_text()) if path.exists() else None


def nothing_stands(_: Job) -> None:
    return None


def refuse_three(job: Job) -> int:
    if job.number == 3:
        raise BadRow("flights.csv", 17, "dep_delay", "NA", "not a number")
    return job.number


class KeywordOnly(Exception):
    """An exception that pickles but cannot be unpickled: it breaks a whole pool of loky's."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


def raise_what_cannot_travel(job: Job) -> int:
    raise KeywordOnly(reason=f"job {job.number}")


def return_what_cannot_travel(_: Job) -> object:
    return lambda: None


def exit_quietly(_: Job) -> int:
    os._exit(7)


def process_id(job: Job) -> int:
    time.sleep(job.seconds)
    return os.getpid()


def busy_until_stopped(job: Job) -> int:
    leave_trace(job)
    until = time.monotonic() + job.seconds
    while time.monotonic() < until:
        check_stop()
        time.sleep(0.005)
    return job.number


def make_noise(job: Job) -> int:
    print("noise on standard output", flush=True)
    os.write(2, b"noise on standard error\n")
    return job.number


def environment(_: Job) -> dict[str, str]:
    return dict(os.environ)


def allocate(job: Job) -> int:
    """More memory than the address space of the worker allows: a MemoryError, not a death."""
    return len(bytearray(1 << 46)) + job.number


def set_up() -> None:
    os.environ["SET_UP"] = "yes"


def fail_to_set_up() -> None:
    raise BadRow("golden.parquet", 0, "score", "0.5", "the library here scores differently")


def die_in_set_up() -> None:
    os._exit(3)
