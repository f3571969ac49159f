"""What an OSError means for a person and for a scheduler: which of our errors, and which exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlserve_cli.errors import Forbidden, IOFailed, MlserveError, OutputError, OutputExists, shown

_CANNOT_BE = frozenset(
    (
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EINVAL,
        errno.EXDEV,
        errno.EBUSY,
        errno.ENXIO,
        errno.ENODEV,
    )
)
_TAKEN = frozenset((errno.EEXIST, errno.ENOTEMPTY))
_REFUSED = frozenset((errno.EACCES, errno.EPERM))
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


@contextmanager
def translated(path: str | os.PathLike[str], action: str) -> Iterator[None]:
    """An OSError becomes one of ours that names `path`; `action` reads on after "cannot": "write", "create"."""
    try:
        yield
    except OSError as error:
        raise as_ours(error, path, action) from error


def as_ours(error: OSError, path: str | os.PathLike[str], action: str) -> MlserveError:
    """The error of our tree that says the same. What is not known to be otherwise is a failed read or write."""
    what = f"cannot {action}: {error.strerror or error}"
    where = shown(os.fspath(path), limit=400)
    if error.errno in _FULL:
        return IOFailed(what, where, "make room and run it again; --resume takes up what is finished")
    if error.errno in _REFUSED:
        return Forbidden(what, where, "check the owner and the permissions of the file and its folders")
    if error.errno in _TAKEN:
        return OutputExists(what, where, "choose another --output, or --if-exists overwrite")
    if error.errno in _CANNOT_BE:
        return OutputError(what, where, "check the path: each folder of it must exist and be writable")
    return IOFailed(what, where, "check the disk, then run it again; --resume takes up what is finished")
