"""One run at a time on one output, by a lock that the kernel lets go of with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlserve_cli.errors import Forbidden, OutputBusy, TryLater, shown
from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._signals import deferred_signals

_HELD = frozenset((errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES))


@contextmanager
def hold(out: Path) -> Iterator[None]:
    """Hold `out` while the body runs. Where another run holds it: OutputBusy at once, and nothing is touched.

    The lock is `flock` on a hidden sibling of `out`, which goes when the body ends. After a SIGKILL the file stays,
    unlocked, and the next run takes it over.
    """
    path = lock_path(out)
    handle = -1
    try:
        with translated(path, "create the output's lock"), deferred_signals():
            handle = _take(path, out)
        yield
    finally:
        if handle >= 0:
            _let_go(path, handle)


@contextmanager
def wait_to_hold(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock file `path`, which stays, while the body runs; waits for who holds it.

    Raises Forbidden (77) where it may not be written, TryLater (75) where it is still held after `timeout_s`.
    """
    handle = -1
    try:
        with translated(path, "take the lock"):
            handle = _opened(path)
            _wait(handle, path, until=time.monotonic() + timeout_s)
        yield
    finally:
        if handle >= 0:
            os.close(handle)  # and the kernel lets go of it


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise Forbidden(
                "this user may not write there",
                shown(os.fspath(path.parent), limit=400),
                "ask its owner, or name another place",
            ) from error
        raise


def _wait(handle: int, path: Path, *, until: float) -> None:
    """Asked for again and again, since a signal must be able to end the waiting."""
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        if time.monotonic() > until:
            raise TryLater(
                "another process has been writing there for long", shown(os.fspath(path), limit=400), "run it again"
            )
        time.sleep(random.uniform(0.002, 0.02))  # so that those who wait do not ask in step


def lock_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.mlserve.lock")


def _take(path: Path, out: Path) -> int:
    """The locked file's descriptor. Whoever held the lock may unlink the file between our open and our flock:
    then what we locked is a file without a name, and we begin again."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands_at(path, handle):
                return handle
            os.close(handle)
        except OSError as error:
            os.close(handle)
            if error.errno in _HELD:
                raise OutputBusy(
                    "another run holds this output",
                    shown(os.fspath(out), limit=400),
                    "run it again when that has ended",
                ) from None
            raise
        except BaseException:
            os.close(handle)
            raise


def _let_go(path: Path, handle: int) -> None:
    with deferred_signals():
        with suppress(OSError):
            os.unlink(path)  # while it is still locked, so that nobody loses a lock which they hold
        os.close(handle)


def _stands_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False
