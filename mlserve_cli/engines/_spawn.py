"""A worker process as its driver holds it: started, spoken to, ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mlserve_cli.engines._wire import receive, send
from mlserve_cli.engines._worker import CHANNEL, Done, Failed, Ready
from mlserve_cli.errors import Unavailable
from mlserve_cli.storage import deferred_signals

_BOOT = "import sys; sys.path[:] = sys.argv[3:]; from mlserve_cli.engines._worker import main; main(int(sys.argv[2]))"
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    # One thread per worker, before any library reads them; ONNX Runtime is told in its SessionOptions.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Worker:
    """One process, its socket, and the number of the job that it is at."""

    def __init__(self, slot: int, process: int, channel: socket.socket) -> None:
        self.slot, self.process, self.channel = slot, process, channel
        self.is_ready = False
        self._number: int | None = None
        self._since = 0.0

    @property
    def is_busy(self) -> bool:
        return self._number is not None

    @property
    def busy_s(self) -> float:
        """Since when it is at its job, the start of the process not counted."""
        return time.monotonic() - self._since if self.is_busy and self.is_ready else 0.0

    def hand(self, number: int, function: Callable[..., object], job: object) -> None:
        self._number, self._since = number, time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead: that is heard next
            send(self.channel, (function, job))

    def put_down(self) -> int:
        assert self._number is not None
        number, self._number = self._number, None
        return number

    def hear(self) -> Ready | Done | Failed | None:
        """What it says; None: it is dead."""
        try:
            said = receive(self.channel)
        except EOFError:
            return None
        if isinstance(said, Ready):
            self.is_ready, self._since = True, time.monotonic()
        assert isinstance(said, Ready | Done | Failed)
        return said

    def end(self) -> str:
        """Make sure that it is dead, and say how it died."""
        with deferred_signals():
            self.channel.close()
            self.kill()
            return self.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)

    def wait(self) -> str:
        try:
            _, status = os.waitpid(self.process, 0)
        except ChildProcessError:  # the host of this process waits for all children itself
            return "it ended"
        code = os.waitstatus_to_exitcode(status)
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def spawn(
    workers: list[Worker],
    slot: int,
    setup: Callable[[], object] | None,
    environment: Mapping[str, str],
    *,
    show_stderr: bool,
) -> None:
    """Start a process and add it to `workers`. A new interpreter rather than a fork: pyarrow's and ONNX Runtime's
    threads do not survive one. No start of joblib or of a resource tracker either: two workers with all
    their libraries are there after 0.28 s, with loky after 0.65 s."""
    if not sys.executable:
        raise Unavailable("worker processes cannot be started", "Python does not know its own executable", "")
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", _BOOT, "mlserve-worker", str(os.getpid()), *sys.path]
    with theirs, deferred_signals():
        try:
            process = os.posix_spawn(
                sys.executable,
                command,
                {**os.environ, **_ENVIRONMENT, **environment},
                file_actions=_descriptors(theirs, show_stderr=show_stderr),
                setsigmask=_ENDING,
            )
        except OSError as error:
            ours.close()
            raise Unavailable(f"a worker process cannot be started: {error.strerror}", sys.executable, "") from error
        worker = Worker(slot, process, ours)
        workers.append(worker)
    send(worker.channel, setup)


def kill_all(workers: Sequence[Worker]) -> None:
    """All at once, then each is waited for: none is left when this returns."""
    with deferred_signals():
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.channel.close()
            worker.wait()


def _descriptors(theirs: socket.socket, *, show_stderr: bool) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
    """No standard input; nothing on standard output, which is the run's alone; errors only where they are asked for."""
    null = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    return [
        (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        *(() if show_stderr and _is_open(2) else (null,)),
        (os.POSIX_SPAWN_DUP2, 2, 1),
    ]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
