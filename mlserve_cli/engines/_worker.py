"""What runs in a worker process: one job after the other, until its driver is gone."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

import msgspec

from mlserve_cli.engines._memory import peak_bytes
from mlserve_cli.engines._wire import receive, send

CHANNEL = 3  # the descriptor at which a worker finds its socket
_PR_SET_PDEATHSIG = 1


class Ready(msgspec.Struct, frozen=True):
    """The worker stands and its set-up is done."""


class Done(msgspec.Struct, frozen=True):
    result: object
    seconds: float
    peak_bytes: int


class Failed(msgspec.Struct, frozen=True):
    error: BaseException


class RemoteError(Exception):
    """What a worker raised and could not send: its type and text, and its traceback as a note."""


def main(driver: int) -> None:
    """Serve the driver at the other end of the socket. `driver` is its process id."""
    _die_with(driver)
    _leave_signals_to_the_driver()
    _be_killed_first()
    sys.argv[1:] = []
    channel = socket.socket(fileno=CHANNEL)
    channel.set_inheritable(False)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the driver is gone, and with it the reason to be
        _set_up(channel)
        while True:
            _carry_out(channel)


def _set_up(channel: socket.socket) -> None:
    setup: Callable[[], object] | None = receive(channel)  # type: ignore[assignment]  # sent by _spawn
    try:
        if setup is not None:
            setup()
    except Exception as error:  # noqa: BLE001  a task's edge: it goes to the driver, which raises it
        send(channel, Failed(_sendable(error)))
    else:
        send(channel, Ready())


def _carry_out(channel: socket.socket) -> None:
    message: tuple[Callable[[object], object], object] = receive(channel)  # type: ignore[assignment]  # sent by _spawn
    function, job = message
    started = time.perf_counter()
    try:
        result = function(job)
        answer = Done(result, time.perf_counter() - started, peak_bytes())
        pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001  a task's edge: it goes to the driver, which raises it
        send(channel, Failed(_sendable(error)))
    else:
        send(channel, answer)


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note, or, where it does not come through pickling as itself, its text."""
    error.add_note(f"in worker process {os.getpid()}:\n{''.join(traceback.format_exception(error)).rstrip()}")
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:  # noqa: BLE001  whatever its __reduce__ or __init__ do
        pass
    text = RemoteError(f"{type(error).__name__}: {error}")
    for note in error.__notes__:
        text.add_note(note)
    return text


def _die_with(driver: int) -> None:
    """The kernel kills this process when the driver ends, however that ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:  # it ended before that
        os._exit(1)


def _leave_signals_to_the_driver() -> None:
    """INT to the process group, as from a terminal, comes to the workers too; the driver alone decides what it means.

    They are blocked when the process starts, so that none comes before this."""
    ending = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    for number in ending:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)


def _be_killed_first() -> None:
    """Where memory runs out, a lost worker is a task done again, a lost driver the whole run."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
