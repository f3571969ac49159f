"""One run at a time on one output, by a lock that the kernel lets go of with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlserve_cli.errors import OutputBusy, shown
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
