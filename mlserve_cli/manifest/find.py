"""Finding finished runs: the manifest of one that is named, every run below a folder in the order of their start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mlserve_cli.errors import InputMissing, InvalidConfig, MlserveError, RunMismatch, UsageError, shown
from mlserve_cli.manifest.values import Manifest, read_manifest
from mlserve_cli.storage import translated

MANIFEST_NAME = "manifest.json"
MANIFEST_SUFFIX = ".manifest.json"
HIDDEN = ("_", ".")  # staging, locks, and what a person put aside


class FoundRun(msgspec.Struct, frozen=True):
    """A finished run: `path` is its output, a folder or one file, and `manifest_path` where its manifest lies."""

    path: Path
    manifest_path: Path
    manifest: Manifest


def find_runs(*roots: str | Path, skipped: list[MlserveError] | None = None) -> tuple[FoundRun, ...]:
    """Every run that `roots` are or hold, each once, ordered by when it started, then by its path.

    A root is a run (a folder, an output file, a manifest) or a folder below which runs stand. Hidden names (`_*`, `.*`)
    and links to folders are passed over: `latest -> 2026-11-23` would count a run twice. A manifest that cannot be read
    as one goes to `skipped`; without such a list it is raised: RunMismatch (65) or InvalidConfig (78).

    Raises InputMissing (66) where a root is nothing or no root holds any run.
    """
    found: dict[Path, FoundRun] = {}
    for path in (path for root in roots for path in _manifests_at(root)):
        try:
            found[path] = FoundRun(_output_of(path), path, read_manifest(path))
        except (RunMismatch, InvalidConfig) as error:
            if skipped is None:
                raise
            skipped.append(error)
    if not found:
        places = ", ".join(shown(str(root), limit=400) for root in roots)
        raise InputMissing("no finished run stands there", places, "name the --output of a run, or a folder of them")
    return tuple(sorted(found.values(), key=lambda run: (run.manifest.run.started_at, os.fsencode(run.manifest_path))))


def manifest_path_of(run: str | Path) -> Path:
    """Where the manifest of one RUN lies: a folder, an output file, or a manifest. Raises InputMissing (66)."""
    path = Path(run).absolute()
    if path.is_dir():
        return path / MANIFEST_NAME
    if is_manifest(path):
        return path
    if path.exists():
        return path.with_name(path.name + MANIFEST_SUFFIX)
    raise InputMissing(f"there is no run at {shown(str(run), limit=400)}", "", "name the --output of a finished run")


def is_manifest(path: Path) -> bool:
    """Whether a file is called as a run's manifest is."""
    return path.name == MANIFEST_NAME or path.name.endswith(MANIFEST_SUFFIX)


def refuse_inside_run(place: Path, *, what: str) -> None:
    """UsageError (2) where a file at `place` would stand in a finished run's folder: what is committed stays so."""
    for folder in place.resolve().parents:
        if _is_run(folder):
            raise UsageError(
                f"{what} would stand inside the run, and verify would find a file that is not part of it",
                shown(str(place), limit=400),
                "put it beside the run, or anywhere else",
            )


def _is_run(folder: Path) -> bool:
    """Whether a run stands there. Other programs have a manifest.json of their own, which cannot be read as ours."""
    try:
        read_manifest(folder / MANIFEST_NAME)
    except MlserveError:
        return False
    return True


def _output_of(manifest_path: Path) -> Path:
    if manifest_path.name == MANIFEST_NAME:
        return manifest_path.parent
    return manifest_path.with_name(manifest_path.name.removesuffix(MANIFEST_SUFFIX))


def _manifests_at(root: str | Path) -> Iterator[Path]:
    path = Path(root).absolute()
    with translated(path, "look for runs"):
        below = path.is_dir() and not (path / MANIFEST_NAME).is_file()
    if below:
        yield from _manifests_below(path)
    else:
        yield manifest_path_of(root)


def _manifests_below(folder: Path) -> Iterator[Path]:
    """Manifests in and below a folder; nothing is looked for inside of a run."""
    with translated(folder, "look for runs"):
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: os.fsencode(entry.name))
        visible = [entry for entry in entries if not entry.name.startswith(HIDDEN)]
        files = [folder / entry.name for entry in visible if entry.is_file()]
        folders = [folder / entry.name for entry in visible if entry.is_dir(follow_symlinks=False)]
    manifests = [path for path in files if is_manifest(path)]
    yield from manifests
    if folder / MANIFEST_NAME not in manifests:
        for below in folders:
            yield from _manifests_below(below)
