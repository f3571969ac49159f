"""Where exceptions of pyarrow and of the file system become errors of the tree."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from mlserve_cli.errors import CorruptFile, Forbidden, InputMissing, IOFailed, MlserveError, UnsafeInput, shown

# What pyarrow was seen to raise on damaged files. UnicodeError is a ValueError, and so is ArrowInvalid.
FOREIGN: tuple[type[Exception], ...] = (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError)

MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ESTALE)
DENIED = (errno.EACCES, errno.EPERM)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Whatever goes wrong while the file `name` is read, as an error that names it."""
    try:
        yield
    except FOREIGN as error:
        raise translation(error, name) from error


def translation(error: Exception, name: str) -> MlserveError:
    """The error of the tree; an OSError without a number is pyarrow's for damaged bytes, not for a bad disk."""
    where, detail = shown(name, limit=400), shown(" ".join(str(error).split()), limit=200)
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        if isinstance(error, MemoryError):
            return CorruptFile(f"it asks for more memory than there is: {detail}", where, "is it damaged, or a bomb?")
        return CorruptFile(f"it cannot be read: {detail}", where, "write the file anew, or leave it out of the run")
    if number in MISSING:
        return InputMissing("the file is not there", where, "check the path; was it moved while the run read it?")
    if number in DENIED:
        return Forbidden("the file may not be read", where, "look at its permissions and those of its folders")
    if number == errno.ELOOP:
        return UnsafeInput("links lead in a circle", where, "mend the link")
    return IOFailed(f"reading failed: {detail}", where, "look at the disk, then run it again")
