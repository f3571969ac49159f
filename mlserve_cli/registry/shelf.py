"""One name's folder in a registry: read so that it is always one whole state, changed so that it always stays one.

NAME/lock                      held by who writes
NAME/history/00000001.json     the truth: numbered entries, chained, each appearing whole and never over another
NAME/versions/N/               packages, as they were added
NAME/aliases/ALIAS.json        derived from the history
NAME/head.json                 derived from the history
NAME/intent.json               while somebody writes, and after they were killed: what they were about to do
NAME/uses/N/                   which runs used a version, as far as they could write it down

A change is made when its entry stands. Everything else follows from the entries: the next writer completes it where an
intent says that it was begun. Without an intent, what does not agree was put there by somebody else: InvalidRegistry.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.contract import Value
from mlserve_cli.errors import Forbidden, InvalidRegistry, shown
from mlserve_cli.registry.history import HISTORY_FORMAT, Entry, History, encode_entry, entry_name, read_history

WAIT_S = 120.0  # for another writer: one that copies a model of some gigabytes takes seconds
LOOKS, BETWEEN_LOOKS_S = 50, 0.01  # of a reader that came in the middle of a change


class Intent(Value, frozen=True):
    """The entry that is about to be made, and the version whose folder comes or goes with it (0: none)."""

    format: int
    sequence: int
    version: int


class Shelf(msgspec.Struct, frozen=True):
    """A name's folder. Holds no resource."""

    folder: Path

    def exists(self) -> bool:
        """Whether there is anything of it."""
        return self.folder.is_dir()

    def version_folder(self, version: int) -> Path:
        """Where a version's package lies."""
        return self.folder / "versions" / str(version)

    def read(self) -> History:
        """The state now, without a lock, so that a registry that may only be read can be.

        Raises InvalidRegistry (78) where history, aliases and versions do not agree, and no writer is the reason.
        """
        before: _Look | None = None
        for look in range(LOOKS):
            found = self._looked_at()
            if found.wrong == "":
                return found.history
            if found == before and found.intent is None:  # a writer would have left an intent, or moved on
                break
            before = found
            if look < LOOKS - 1:
                time.sleep(BETWEEN_LOOKS_S)
        raise InvalidRegistry(found.wrong, shown(str(self.folder), limit=400))

    @contextmanager
    def writing(self) -> Iterator[History]:
        """Alone with it while the body runs, after what killed writers left was completed or cleared away.

        Raises Forbidden (77) where it may not be written, TryLater (75) where another writer does not come to an end.
        """
        with _may_write(self.folder):
            for name in ("history", "versions", "aliases"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        with storage.wait_to_hold(self.folder / "lock", timeout_s=WAIT_S):
            for name in ("", "history", "versions", "aliases"):
                storage.sweep_drafts(self.folder / name)
            yield self._settled()

    def change(self, entry: Entry, *, prepare: Callable[[], None] | None = None) -> History:
        """Make one change; the caller is `writing`. `prepare` puts a new version in its place."""
        comes_or_goes = entry.version if entry.action in ("add", "remove") else 0
        intent = Intent(HISTORY_FORMAT, entry.sequence, comes_or_goes)
        storage.replace(self.folder / "intent.json", encode_entry(intent))
        if prepare is not None:
            prepare()
        path = self.folder / "history" / entry_name(entry.sequence)
        data = encode_entry(entry)
        if not storage.publish(path, lambda file: file.write(data)).is_new:
            raise InvalidRegistry("somebody writes to the history without its lock", shown(str(path), limit=400))
        return self._settled()

    def _settled(self) -> History:
        """What follows from the entries, done; then the intent goes."""
        found = self._looked_at()
        if found.wrong:
            raise InvalidRegistry(found.wrong, shown(str(self.folder), limit=400))
        if found.intent is not None:
            for name, content in found.history.derived().items():
                if found.derived.get(name) != content:
                    storage.replace(self.folder / name, content)
            unwanted = found.versions - found.history.versions.keys()
            for version in unwanted:
                storage.discard_folder(self.version_folder(version))
            with storage.translated(self.folder, "complete the change"):
                (self.folder / "intent.json").unlink(missing_ok=True)
        return found.history

    def _looked_at(self) -> _Look:
        """Derived files first: a change in between makes them older than the history, never newer."""
        derived = self._derived_files()
        versions = self._version_numbers()
        history = read_history(self.folder / "history")
        intent = self._intent()
        return _Look(derived, versions, history, intent)

    def _derived_files(self) -> dict[str, bytes]:
        with storage.translated(self.folder, "read"):
            paths = [self.folder / "head.json", *sorted((self.folder / "aliases").glob("[!.]*"))]
            return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths if path.is_file()}

    def _version_numbers(self) -> frozenset[int]:
        folder = self.folder / "versions"
        with storage.translated(folder, "list"):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return frozenset(int(name) for name in names if name.isascii() and name.isdecimal() and name[0] != "0")

    def _intent(self) -> Intent | None:
        path = self.folder / "intent.json"
        with storage.translated(path, "read"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return msgspec.json.decode(data, type=Intent)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRegistry(
                f"it says nothing that could be meant: {error}", shown(str(path), limit=400)
            ) from error


class _Look(msgspec.Struct, frozen=True):
    """All of a name's folder as it was found."""

    derived: dict[str, bytes]
    versions: frozenset[int]
    history: History
    intent: Intent | None

    @property
    def wrong(self) -> str:
        """What does not agree and no writer explains, or ""."""
        new, old = self.history.derived(), self._before().derived()
        for name in sorted(self.derived.keys() | new.keys()):
            if self.derived.get(name) not in (new.get(name), old.get(name)):
                return f"{shown(name)} is not what the history says: one of the two was put back or changed by hand"
        stand = set(self.history.versions)
        odd = {self.intent.version} if self.intent is not None else set()
        for version in sorted((stand ^ self.versions) - odd):
            if version in stand:
                return f"version {version} is in the history, and its folder is gone"
            return f"versions/{version} is not in the history: somebody put it there, or cut the history"
        return ""

    def _before(self) -> History:
        """What derived files may still say."""
        begun = self.intent is not None and self.intent.sequence == len(self.history.entries)
        return self.history.before_last() if begun else self.history


@contextmanager
def _may_write(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Forbidden(
                "the registry may not be written by this user",
                shown(str(folder), limit=400),
                "ask its owner, or name another --registry",
            ) from error
        with storage.translated(folder, "make the registry's folders"):
            raise
