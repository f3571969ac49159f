"""What a signature of a package must be for: the name and version by which it is asked for, not what it says itself."""

from __future__ import annotations

from pathlib import Path

from mlserve_cli.registry.history import read_history
from mlserve_cli.registry.packages import Package
from mlserve_cli.trust import SIGNATURES, SUFFIX, Subject

VERSIONS, HISTORY = "versions", "history"


def subject_of(package: Package) -> Subject:
    """A package, opened and its digests proved, as trust looks at it.

    A version of a registry has the name and number of its place, so that what lies in another's place is noticed; a
    package folder elsewhere has those in its package.toml.
    """
    folder = Path(package.path) if package.file else None
    if folder is None or package.described is None:
        return Subject(package.name, package.version, "", package.digest, None, {}, ())
    name, version, added = package.name, package.version, ""
    if _is_version(folder):
        name, version = folder.parent.parent.name, folder.name
        added = _added(folder.parent.parent, int(version))
    standing = sorted(signature_folder(folder).glob(f"{signature_prefix(folder)}*{SUFFIX}"))
    proved = {file: digest.removeprefix("sha256:") for file, digest in package.described.digests.items()}
    return Subject(name, version, added, package.digest, folder, proved, tuple(standing))


def signature_path(folder: Path, *, key_id: str) -> Path:
    """Where the signature of a package by a key lies: inside of it, or beside the versions of a registry."""
    return signature_folder(folder) / f"{signature_prefix(folder)}{key_id[:16]}{SUFFIX}"


def signature_folder(folder: Path) -> Path:
    """Where the signatures of a package lie."""
    return (folder.parent.parent if _is_version(folder) else folder) / SIGNATURES


def signature_prefix(folder: Path) -> str:
    """How the names of a package's signatures begin."""
    return f"{folder.name}." if _is_version(folder) else ""


def _added(name_folder: Path, version: int) -> str:
    """The digest of the entry that added the version: with it, all that came before is signed too."""
    history = read_history(name_folder / HISTORY)
    if version not in history.versions:
        return ""
    return history.digests[history.versions[version].sequence - 1]


def _is_version(folder: Path) -> bool:
    """Whether the folder is ROOT/NAME/versions/N of a registry."""
    return folder.parent.name == VERSIONS and folder.name.isdecimal() and (folder.parent.parent / HISTORY).is_dir()
