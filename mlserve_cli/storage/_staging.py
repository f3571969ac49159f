"""Where a run is built: a hidden sibling of OUT on the same file system, named by its plan.

.NAME.mlserve-<first 16 of the plan id>/   0700
    plan.json                              written first
    records/task-00012.json                task 12 is complete
    run/                                   what becomes OUT: data/, quarantine/, challengers/, manifest.json
    old/                                   only where OUT cannot be swapped in one step, for that moment
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mlserve_cli.errors import OutputError, shown
from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._publish import DRAFT_SUFFIX, publish, replace, sync_folder

_ID_LENGTH = 16
_PREFIX_END = ".mlserve-"


class Staging(msgspec.Struct, frozen=True):
    """The folder in which one plan's run is built, and what it is called inside. Holds no resource."""

    root: Path

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def payload(self) -> Path:
        return self.root / "run"

    @property
    def data(self) -> Path:
        return self.payload / "data"

    @property
    def quarantine(self) -> Path:
        return self.payload / "quarantine"

    @property
    def challengers(self) -> Path:
        return self.payload / "challengers"

    @property
    def manifest(self) -> Path:
        return self.payload / "manifest.json"

    @property
    def old(self) -> Path:
        return self.root / "old"

    def record(self, task: int) -> Path:
        return self.records / f"task-{task:05d}.json"

    def challenger(self, name: str) -> Path:
        """Where a challenger's parts go; made where it does not stand yet, since most runs have none."""
        folder = self.challengers / name
        with translated(folder, "create"):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(self.challengers)
                sync_folder(self.payload)
        return folder

    def exists(self) -> bool:
        return os.path.lexists(self.root)

    def prepare(self, plan: bytes) -> None:
        """Create it, or take up what stands: the plan first, then the folders; drafts of a run that died are swept.

        A plan file that differs is replaced: it is `plan` by name, so what differs is damage or an unfinished write.
        """
        with translated(self.root, "create the staging folder"):
            _make_private_folder(self.root)
            for folder in (self.records, self.payload, self.data, self.quarantine):
                folder.mkdir(exist_ok=True)
            self.sweep()
            sync_folder(self.root.parent)
        if not publish(self.plan, lambda file: file.write(plan)).is_new and self._standing_plan() != plan:
            replace(self.plan, plan)

    def discard(self) -> None:
        """Remove it and all that is in it; the plan first, so that half a staging is never taken for a whole one.

        An old run of which it is the only copy is put back first.
        """
        if _PREFIX_END in self.root.name:
            recover(self, self.root.with_name(self.root.name.removeprefix(".").rpartition(_PREFIX_END)[0]))
        with translated(self.root, "remove the staging folder"):
            self.plan.unlink(missing_ok=True)
            remove_tree(self.root)

    def sweep(self) -> None:
        """Remove the drafts that killed processes left, where it stands. Nobody may be writing any more."""
        with translated(self.root, "remove what was half written"):
            beside = self.challengers.iterdir() if self.challengers.is_dir() else ()
            for folder in (self.root, self.records, self.payload, self.data, self.quarantine, *beside):
                for draft in folder.glob(f".*{DRAFT_SUFFIX}"):
                    draft.unlink()

    def _standing_plan(self) -> bytes:
        with translated(self.plan, "read"):
            return self.plan.read_bytes()


def staging_of(out: Path, plan_id: str) -> Staging:
    """The staging of one plan's run on `out`, whether or not it stands already."""
    return Staging(out.with_name(f"{_prefix(out)}{plan_id[:_ID_LENGTH]}"))


def stagings(out: Path) -> tuple[Staging, ...]:
    """All that runs on `out` left beside it, whatever their plan."""
    prefix = _prefix(out)
    with translated(out.parent, "list"), os.scandir(out.parent) as entries:
        names = sorted(e.name for e in entries if _is_staging(e, prefix))
    return tuple(Staging(out.with_name(name)) for name in names)


def recover(staging: Staging, out: Path) -> None:
    """Put back an old run that a crash caught between being moved out and the new one moved in (see commit_folder).

    The caller holds `out`.
    """
    with translated(out, "put back the old run"):
        if staging.old.is_dir() and not os.path.lexists(out):
            os.rename(staging.old, out)


@contextmanager
def scratch(plan: bytes) -> Iterator[Staging]:
    """A staging without an OUT, for a run that goes to standard output: gone at the end, whatever happens."""
    import tempfile  # brings shutil and random along, and only this one run in a hundred wants it

    with translated(tempfile.gettempdir(), "create the staging folder"):
        root = Path(tempfile.mkdtemp(prefix="mlserve-"))
    staging = Staging(root)
    try:
        staging.prepare(plan)
        yield staging
    finally:
        staging.discard()


def remove_tree(root: Path) -> None:
    """Remove a folder with all in it, following no link; nothing there is fine. Raises OSError."""
    for folder, folders, files in os.walk(root, topdown=False, onerror=_raise_unless_gone):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.unlink(path)
            else:
                os.rmdir(path)
    if os.path.lexists(root):
        os.rmdir(root)


def _prefix(out: Path) -> str:
    return f".{out.name}{_PREFIX_END}"


def _is_staging(entry: os.DirEntry[str], prefix: str) -> bool:
    suffix = entry.name.removeprefix(prefix)
    return (
        entry.name.startswith(prefix)
        and len(suffix) == _ID_LENGTH
        and set(suffix) <= set("0123456789abcdef")
        and entry.is_dir(follow_symlinks=False)
    )


def _make_private_folder(root: Path) -> None:
    """Its name can be foretold: another user's folder or link there must not take in what we write."""
    try:
        os.mkdir(root, 0o700)
    except FileExistsError:
        found = os.lstat(root)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise OutputError(
                "the staging folder's name is taken by something that is not this user's own private folder",
                shown(os.fspath(root), limit=400),
                "remove it and run again",
            ) from None


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
