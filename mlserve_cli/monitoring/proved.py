"""A finished run's own files, each proved to be the one that its manifest names before anything is read from it."""

from __future__ import annotations

from pathlib import Path

from mlserve_cli import storage, tables
from mlserve_cli.errors import RunMismatch, shown
from mlserve_cli.manifest import FoundRun
from mlserve_cli.profiles import Profile, read_profile


def profile_of(run: FoundRun) -> Profile | None:
    """The run's profile; None where it has none. Raises RunMismatch (65) where it is another than the run's."""
    found = run.manifest.profile
    if found is None:
        return None
    path = run.manifest_path.parent / tables.os_path(found.path)
    prove(path, found.sha256)
    return read_profile(path)


def prove(path: Path, sha256: str) -> None:
    """Raises RunMismatch (65) where the file is missing, or another."""
    if not path.is_file() or storage.record_of(path).sha256 != sha256:
        raise RunMismatch(
            "a file is not what the manifest says" if path.is_file() else "a file is missing",
            shown(str(path), limit=400),
            "mlserve verify says all that is wrong with the run",
        )
