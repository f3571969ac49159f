"""All that a run's page is made from, read from the run's own files and proved against its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlserve_cli import tables
from mlserve_cli.errors import MlserveError
from mlserve_cli.manifest import Manifest, OutputFile
from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.monitoring.proved import profile_of, prove
from mlserve_cli.profiles import Profile, read_profile
from mlserve_cli.reporting.evaluations import Judged, judged_runs

ROWS_SET_ASIDE_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SetAside:
    """One row of the quarantine."""

    file: str
    row: int
    column: str
    reason: str
    value: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run and what belongs to it; what may be None is there where the run, or whoever asked, brought it."""

    name: str
    manifest: Manifest
    profile: Profile | None
    baseline: Profile | None
    set_aside: tuple[SetAside, ...]
    judged: Judged | None


def gather(run: FoundRun, *, evaluation: Sequence[str] = (), baseline: str | None = None) -> Gathered:
    """Read what belongs to a run.

    `evaluation` are files that `evaluate` wrote, of this run among others. `baseline` names the profile that the run is
    drawn against: a profile.json, a package, a run; without it the one is taken with which the run itself was compared,
    where it still stands as it was. Raises RunMismatch (65) where a file is not what the manifest says.
    """
    manifest, root = run.manifest, run.manifest_path.parent
    return Gathered(
        name=run.path.name,
        manifest=manifest,
        profile=profile_of(run),
        baseline=read_profile(Path(baseline)) if baseline is not None else _own_baseline(manifest),
        set_aside=_first_rows_set_aside(manifest, root),
        judged=judged_runs(evaluation, [manifest]).get(manifest.run.id),
    )


def _own_baseline(manifest: Manifest) -> Profile | None:
    """What the run was compared with, as long as it is still there and the same."""
    if manifest.drift is None:
        return None
    try:
        found = read_profile(Path(tables.os_path(manifest.drift.base)))
    except MlserveError:  # it may be gone, moved or replaced since: the figures stand in the manifest all the same
        return None
    return found if found.digest == manifest.drift.base_digest else None


def _first_rows_set_aside(manifest: Manifest, root: Path) -> tuple[SetAside, ...]:
    found: list[SetAside] = []
    for file in manifest.outputs:
        if file.kind == "quarantine" and len(found) < ROWS_SET_ASIDE_SHOWN:
            found += _rows_of(file, root)
    return tuple(found[:ROWS_SET_ASIDE_SHOWN])


def _rows_of(file: OutputFile, root: Path) -> list[SetAside]:
    path = root / tables.os_path(file.path)
    prove(path, file.sha256)
    names = ["source_file", "source_row", "column", "reason", "value"]
    first = tables.read_part(path, columns=names).slice(0, ROWS_SET_ASIDE_SHOWN)
    return [
        SetAside(file=file, row=row, column=column or "", reason=reason, value=value or "")
        for file, row, column, reason, value in zip(*(first[name].to_pylist() for name in names), strict=True)
    ]
