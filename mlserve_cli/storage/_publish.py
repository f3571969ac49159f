"""Files appear complete or not at all: written as a draft beside their name, made durable, then linked to it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

import msgspec

from mlserve_cli.storage._oserrors import as_ours, translated
from mlserve_cli.storage._rename import rename_to_free_name
from mlserve_cli.storage._signals import deferred_signals

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")
DRAFT_SUFFIX = ".draft"
USUAL_MODE = 0o666
_NO_HARD_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file holds, said by who wrote it or measured again from the disk. `name` is the last part of its path."""

    name: str
    size_bytes: int
    sha256: str


class Published(msgspec.Struct, Generic[T], frozen=True):
    """What `write` returned, what it wrote, and whether that now stands: False where the name was taken."""

    value: T
    record: FileRecord
    is_new: bool


def publish(path: Path, write: Callable[[BinaryIO], T], *, mode: int = USUAL_MODE) -> Published[T]:
    """Let `write` fill a file that appears at `path` whole and durable, or not at all, and never over another.

    A name that is taken is no error: who comes second loses quietly. A disk that is full, an interrupt or a failing
    `write` leave no draft behind. A power cut can leave one, which the next run sweeps away. The umask takes from
    `mode`, which holds from the draft's first moment.
    """
    draft = _draft_of(path)
    try:
        value, record = _write_draft(draft, path, write, mode=mode)
        with translated(path, "put the finished file in its place"):
            is_new = _link(draft, path)
            sync_folder(path.parent)
    finally:
        with deferred_signals(), suppress(OSError):  # where even this fails, the error that led here says more
            os.unlink(draft)
    return Published(value, record, is_new)


def replace(path: Path, content: bytes) -> FileRecord:
    """`content` stands at `path` in one step, durable, whatever stood there. For small files that change."""
    draft = _draft_of(path)
    try:
        _, record = _write_draft(draft, path, lambda file: file.write(content))
        with translated(path, "replace"):
            os.replace(draft, path)
            sync_folder(path.parent)
    finally:
        with deferred_signals(), suppress(OSError):
            os.unlink(draft)
    return record


def move(source: Path, target: Path) -> bool:
    """`source` comes to stand at `target`, durable in both folders; False where something stands there already."""
    with translated(target, "move it there"):
        is_moved = rename_to_free_name(source, target)
        for folder in {target.parent, source.parent} if is_moved else ():
            sync_folder(folder)
    return is_moved


def record_of(path: Path) -> FileRecord:
    """The record of a file as it stands on the disk now, read in bounded memory."""
    with translated(path, "read"), open(path, "rb", buffering=0) as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileRecord(path.name, file.tell(), digest.hexdigest())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class HashingFile(io.FileIO):
    """A new file that digests what is written to it, and remembers the first write that failed.

    Unbuffered: pyarrow's writers hand over whole pages. It cannot seek, since the digest goes forward only.
    """

    def __init__(self, path: Path, *, mode: int = USUAL_MODE) -> None:
        super().__init__(path, "x", opener=lambda name, flags: os.open(name, flags, mode))
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        done_bytes = 0
        try:
            while done_bytes < len(view):  # the system may take less than it is given
                done_bytes += super().write(view[done_bytes:]) or 0
        except OSError as error:
            self.failure = self.failure or error
            raise
        self._digest.update(view)
        self.size_bytes += len(view)
        return len(view)

    def seekable(self) -> bool:
        return False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{DRAFT_SUFFIX}")


def _write_draft(
    draft: Path, path: Path, write: Callable[[BinaryIO], T], *, mode: int = USUAL_MODE
) -> tuple[T, FileRecord]:
    with translated(path, "create"):
        file = HashingFile(draft, mode=mode)
    try:
        value = write(file)
        with translated(path, "write"):
            os.fsync(file.fileno())
            file.close()
    except Exception as error:
        # Whatever a library between us made of it: a write that failed is what went wrong.
        if file.failure is not None:
            raise as_ours(file.failure, path, "write") from error
        raise
    finally:
        with suppress(OSError):
            file.close()
    return value, FileRecord(path.name, file.size_bytes, file.sha256)


def _link(draft: Path, path: Path) -> bool:
    try:
        os.link(draft, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return rename_to_free_name(draft, path)
    return True
