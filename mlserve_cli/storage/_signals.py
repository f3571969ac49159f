"""Signals that must not land in the middle: a rename with its clean-up, a process that is started or ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object] | int | None


@contextmanager
def deferred_signals() -> Iterator[None]:
    """HUP, INT and TERM that come while the body runs are delivered when it has ended, never within.

    Blocking them (`pthread_sigmask`) does not do: the kernel hands the signal to a thread of pyarrow or ONNX Runtime
    that does not block it, and Python still runs the handler in the main thread. Elsewhere than in the main thread
    Python never runs a handler, so there is nothing to defer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = _Waiting()
    try:
        waiting.take_over()
        yield
    finally:
        waiting.hand_back()


class _Waiting:
    """Stands in for the handlers and remembers what came; once handed back it passes on to the real ones."""

    def __init__(self) -> None:
        self.active = True
        self.came: list[int] = []
        self.handlers: dict[int, Handler] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.active:
            self.came.append(number)
            return
        handler = self.handlers[number]
        if callable(handler):  # a signal came while the others were handed back
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def take_over(self) -> None:
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler is not None and handler != signal.SIG_IGN:  # None: not set from Python, so not ours to move
                self.handlers[number] = handler
                signal.signal(number, self)

    def hand_back(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.active = False
        for number in self.came[:1]:  # the first decides how the run ends
            signal.raise_signal(number)
