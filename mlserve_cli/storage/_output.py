"""What stands at OUT before a run, and whether a run may come to stand there. Nothing is written here."""

from __future__ import annotations

import os
import re
import stat
from enum import Enum
from pathlib import Path

from mlserve_cli.errors import Forbidden, OutputError, OutputExists, shown
from mlserve_cli.storage._oserrors import translated

_PART = re.compile(r"part-\d{5,}-\d{5,}\.(parquet|csv)")
_FILES, _FOLDERS = ("manifest.json", "profile.json"), ("data", "quarantine")
_CHALLENGERS = "challengers"  # with a folder of parts for each


class Standing(Enum):
    """What stands at an output's name. An empty folder counts as nothing."""

    NOTHING = "nothing"
    RUN = "a finished run"
    OTHER = "something else"


def locate(out: str) -> Path:
    """The absolute path of an output, links resolved, so that one output has one name, one lock and one staging."""
    with translated(out, "find the output"):
        if not out or "\0" in out:
            raise OutputError("the output has no name", shown(out), "give --output a path")
        return Path(os.path.realpath(out))


def manifest_of(out: Path, *, is_file: bool) -> Path:
    """Where the manifest of the run at `out` is."""
    return out.with_name(f"{out.name}.manifest.json") if is_file else out / "manifest.json"


def check_creatable(out: Path, *, is_file: bool) -> None:
    """Refuse before the first batch what could only fail at the commit."""
    parent = out.parent
    where = shown(os.fspath(out), limit=400)
    with translated(out, "look at the output"):
        if not parent.is_dir():
            hint = "create it: mkdir -p" if not os.path.lexists(parent) else "choose another --output"
            raise OutputError(
                "the output's folder does not exist or is not a folder", shown(str(parent), limit=400), hint
            )
        if out == parent:
            raise OutputError("the root of the file system cannot be an output", where, "choose another --output")
        _check_name(out)
        _check_writable(parent)
        if is_file and out.is_dir():
            raise OutputExists("a folder stands where the output file should be", where, "choose another --output")
        if not is_file and os.path.lexists(out) and not out.is_dir():
            raise OutputExists("a file stands where the output folder should be", where, "choose another --output")
        if os.path.ismount(out):
            raise OutputError("a mount point cannot be swapped for a run", where, "choose a folder inside it")


def standing_at(out: Path, *, is_file: bool) -> Standing:
    """What stands there. `RUN` only where nothing but a finished run's own names does: that alone may be replaced."""
    with translated(out, "look at the output"):
        if is_file:
            return _standing_file(out)
        if not os.path.lexists(out) or (out.is_dir() and not os.listdir(out)):
            return Standing.NOTHING
        return Standing.RUN if is_run_folder(out) else Standing.OTHER


def is_run_folder(folder: Path) -> bool:
    """Whether a folder holds a manifest, `data/`, and no name that a run does not make. Raises OSError."""
    if not folder.is_dir():
        return False
    names = set(os.listdir(folder))
    if not {"manifest.json", "data"} <= names <= {*_FILES, *_FOLDERS, _CHALLENGERS}:
        return False
    if not all(stat.S_ISREG(os.lstat(folder / name).st_mode) for name in _FILES if name in names):
        return False
    beside = [*(folder / _CHALLENGERS).iterdir()] if _CHALLENGERS in names else []
    return all(map(_holds_parts_only, [*(folder / name for name in _FOLDERS if name in names), *beside]))


def _check_name(out: Path) -> None:
    """Staging, lock and manifest have longer names than OUT: by up to 26 bytes."""
    longest = os.pathconf(out.parent, "PC_NAME_MAX") - 26
    if len(os.fsencode(out.name)) > longest:
        raise OutputError(f"the output's name is longer than {longest} bytes", shown(out.name), "choose a shorter one")


def _check_writable(parent: Path) -> None:
    if os.access(parent, os.W_OK | os.X_OK):
        return
    where = shown(os.fspath(parent), limit=400)
    if os.statvfs(parent).f_flag & os.ST_RDONLY:
        raise OutputError("the output's file system is read-only", where, "choose another --output")
    raise Forbidden("the output's folder is not writable", where, "check its owner and permissions")


def _standing_file(out: Path) -> Standing:
    manifest = manifest_of(out, is_file=True)
    has_file, has_manifest = os.path.lexists(out), os.path.lexists(manifest)
    if not has_file and not has_manifest:
        return Standing.NOTHING
    if has_file and has_manifest and out.is_file() and manifest.is_file():
        return Standing.RUN
    return Standing.OTHER


def _holds_parts_only(folder: Path) -> bool:
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        return False
    with os.scandir(folder) as entries:
        return all(_PART.fullmatch(e.name) and e.is_file(follow_symlinks=False) for e in entries)
