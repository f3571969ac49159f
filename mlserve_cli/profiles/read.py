"""The profile that stands at a path: its own file, or the one of a run or a package."""

from __future__ import annotations

from pathlib import Path

from mlserve_cli.contract import decode_sealed
from mlserve_cli.errors import InputMissing, shown
from mlserve_cli.profiles.values import Profile
from mlserve_cli.storage import translated

PROFILE_NAME = "profile.json"
_MANIFEST = "manifest.json"


def read_profile(path: Path) -> Profile:
    """A profile's file, or the profile of the run or package at `path`.

    Raises InputMissing (66) where there is none, RunMismatch (65) where it was changed, InvalidConfig (78) for another
    format.
    """
    file = profile_path(path)
    with translated(file, "read"):
        if not file.is_file():
            raise InputMissing(
                "there is no profile",
                shown(str(path), limit=400),
                "name a profile.json, a run that was scored with --profile on, or a package with a baseline; "
                "of rows it is made by mlserve profile DATA -o profile.json",
            )
        data = file.read_bytes()
    return decode_sealed(data, Profile, where=shown(str(file), limit=400))


def profile_path(path: Path) -> Path:
    """Where the profile of a run (its folder, file or manifest) or of a package lies; a .json is one itself."""
    if path.is_dir():
        return path / PROFILE_NAME
    if path.name == _MANIFEST:
        return path.with_name(PROFILE_NAME)
    if path.name.endswith(f".{_MANIFEST}"):
        return path.with_name(path.name.removesuffix(_MANIFEST) + PROFILE_NAME)
    return path if path.suffix == ".json" else path.with_name(f"{path.name}.{PROFILE_NAME}")
