"""renameat2, which Python does not offer: two names swapped in one step, and a rename that never replaces."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
# NFS, CIFS, FUSE and 9p know no flags; a system before glibc 2.28 has no such function.
_NO_FLAGS = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))


def exchange(one: Path, other: Path) -> bool:
    """Swap what stands at the two names in one step; False where the file system cannot. Raises OSError."""
    return _renameat2(one, other, flags=_EXCHANGE)


def rename_to_free_name(source: Path, target: Path) -> bool:
    """Rename `source`, unless something stands at `target`: then False. Raises OSError."""
    try:
        if _renameat2(source, target, flags=_NOREPLACE):
            return True
    except FileExistsError:
        return False
    # Neither hard links nor flags. Every writer of these names holds the output's lock or is one of that run's
    # workers, and two attempts at one task write the same bytes: looking first is safe enough.
    if os.path.lexists(target):
        return False
    os.rename(source, target)
    return True


def _renameat2(source: Path, target: Path, *, flags: int) -> bool:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flags)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_FLAGS:
        return False
    raise OSError(number, os.strerror(number), os.fspath(source), None, os.fspath(target))
