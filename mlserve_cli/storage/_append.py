"""Lines added to a file that others add to as well: whole, in one write, under a lock; rotation is noticed."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlserve_cli.errors import OutputError, TryLater, shown
from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._publish import sync_folder
from mlserve_cli.storage._signals import deferred_signals

_HELD = frozenset((errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES))
_NOT_LOCKABLE = frozenset((errno.EINVAL, errno.ENOTSUP, errno.ENOLCK, errno.EBADF))


@dataclass(slots=True)
class HeldLog:
    """A file of lines, open for appending and held against other writers. `size_bytes` is 0 for a pipe or terminal."""

    path: Path
    handle: int
    size_bytes: int
    is_regular: bool

    def tail(self, length_bytes: int) -> bytes:
        """The last bytes of it. Raises OSError."""
        length_bytes = min(length_bytes, self.size_bytes)
        return os.pread(self.handle, length_bytes, self.size_bytes - length_bytes)

    @property
    def is_cut(self) -> bool:
        """Whether its last line has no end: who wrote it was killed, or the disk was full."""
        return self.size_bytes > 0 and self.tail(1) != b"\n"

    def append(self, line: bytes) -> None:
        """`line` stands at the end, durable, as a line of its own; or the file is as long as it was. Raises OSError."""
        data = (b"\n" if self.is_cut else b"") + line + b"\n"
        with deferred_signals():
            try:
                _write_all(self.handle, data)
                if self.is_regular:
                    os.fsync(self.handle)
                    if not self.size_bytes:
                        sync_folder(self.path.parent)
            except OSError:
                if self.is_regular:
                    with suppress(OSError):  # append-only files cannot be cut: whoever appends next will see it
                        os.ftruncate(self.handle, self.size_bytes)
                raise
        self.size_bytes += len(data) if self.is_regular else 0


@contextmanager
def held_log(path: Path, *, timeout_s: float, regular: bool = False) -> Iterator[HeldLog]:
    """The log at `path`, created where there is none, held while the body runs.

    `regular`: a pipe, a terminal or a device will not do. Raises OutputError (73), Forbidden (77), IOFailed (74), and
    TryLater (75) where somebody holds it for longer than `timeout_s`.
    """
    handle = -1
    try:
        with translated(path, "append to the log"):
            handle = _take(path, until=time.monotonic() + timeout_s)
            found = os.fstat(handle)
            is_regular = stat.S_ISREG(found.st_mode)
            if regular and not is_regular:
                raise OutputError("this log must be a file", shown(os.fspath(path), limit=400), "name a file")
            yield HeldLog(path, handle, found.st_size if is_regular else 0, is_regular)
    finally:
        if handle >= 0:
            os.close(handle)  # and the kernel lets go of it


def read_log(path: Path, *, timeout_s: float) -> bytes:
    """All of a log, at a moment when nobody is writing to it. Raises what held_log does."""
    with translated(path, "read the log"):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        with open(handle, "rb", buffering=0) as file:
            _wait(handle, path, until=time.monotonic() + timeout_s, kind=fcntl.LOCK_SH)
            return file.read()


def _take(path: Path, *, until: float) -> int:
    """The open, locked file that stands at `path` now: one that was rotated away while we waited is not it any more."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        try:
            _wait(handle, path, until=until)
            if _stands_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _wait(handle: int, path: Path, *, until: float, kind: int = fcntl.LOCK_EX) -> None:
    """Asked for again and again, since a signal must be able to end the waiting."""
    while True:
        try:
            return fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NOT_LOCKABLE:  # a device, or a file system without locks: one write must do
                return None
            if error.errno not in _HELD:
                raise
        if time.monotonic() > until:
            raise TryLater(
                "another process has been writing to the log for long",
                shown(os.fspath(path), limit=400),
                "run it again",
            )
        time.sleep(random.uniform(0.002, 0.02))  # so that those who wait do not ask in step


def _stands_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _write_all(handle: int, data: bytes) -> None:
    """One write as a rule; the system may take less, at a limit or where the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
