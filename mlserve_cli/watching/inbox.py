"""One look at the inbox: which shards are there, and what each looked like.

It is looked at again and again. inotify says nothing of what another machine writes to an NFS, SMB or FUSE mount, drops
events when its queue is full, and after a restart one has to look all the same.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlserve_cli.tables import HIDDEN, KNOWN_ENDINGS, ending_of, text_of

# What writers call a file that they are not done with. Only asked where any ending will do.
TEMPORARY = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock", ".done", ".ok")
LONGEST_NAME_BYTES = 200  # its staging, its lock and its reason are called after it
Passed = Callable[[str, str], None]  # a name, and why it is passed over


@dataclass(frozen=True, slots=True)
class Seen:
    """A shard as it was at one look. `name` is its path in the inbox and, as `path`, what the system opens."""

    name: str
    path: str
    size_bytes: int
    mtime_ns: int
    inode: int

    @property
    def text(self) -> str:
        """The name as JSON can carry it."""
        return text_of(self.name)


def look(inbox: str, *, any_ending: bool, passed: Passed) -> list[Seen]:
    """Every shard in the inbox and in its folders, in no order. Raises OSError where the inbox cannot be listed."""
    return list(_walk(inbox, "", any_ending=any_ending, passed=passed, above=()))


def look_again(shard: Seen) -> Seen | None:
    """The shard as it is now, None where it cannot be read.

    It is opened for that: on NFS only this asks the server, where `stat` may answer what was so a minute ago.
    """
    try:
        handle = os.open(shard.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _seen(shard.name, shard.path, os.fstat(handle))
    finally:
        os.close(handle)


def _walk(
    inbox: str, folder: str, *, any_ending: bool, passed: Passed, above: tuple[tuple[int, int], ...]
) -> Iterator[Seen]:
    place = os.path.join(inbox, folder) if folder else inbox
    status = os.stat(place)
    here = (status.st_dev, status.st_ino)
    if here in above:
        passed(folder, "a link leads back into a folder above it")
        return
    with os.scandir(place) as entries:
        listed = [entry for entry in entries if not entry.name.startswith(HIDDEN)]
    for entry in listed:
        name = os.path.join(folder, entry.name)
        try:
            if entry.is_dir():
                yield from _walk(inbox, name, any_ending=any_ending, passed=passed, above=(*above, here))
            elif _is_shard(entry, name, any_ending=any_ending, passed=passed):
                yield _seen(name, os.path.join(inbox, name), entry.stat())
        except FileNotFoundError:  # it went in between, or is a link to what is not there yet
            continue
        except OSError as error:
            passed(name, f"it cannot be looked at: {error.strerror or error}")


def _is_shard(entry: os.DirEntry[str], name: str, *, any_ending: bool, passed: Passed) -> bool:
    ending = ending_of(entry.name)
    if not (ending in KNOWN_ENDINGS or (any_ending and ending not in TEMPORARY)):
        return False
    if not stat.S_ISREG(entry.stat().st_mode):
        passed(name, "it is a pipe, a socket or a device")
    elif len(os.fsencode(entry.name)) > LONGEST_NAME_BYTES:
        passed(name, f"its name is longer than {LONGEST_NAME_BYTES} bytes")
    else:
        return True
    return False


def _seen(name: str, path: str, status: os.stat_result) -> Seen:
    return Seen(name, path, status.st_size, status.st_mtime_ns, status.st_ino)
