"""How far rows have moved: a profile, a run, a model's baseline or data beside another; and one run after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli import tables
from mlserve_cli.errors import InputMissing, InvalidConfig, MlserveError, RunMismatch, nearest, shown
from mlserve_cli.manifest import MANIFEST_NAME, MANIFEST_SUFFIX, FoundRun, find_runs, is_manifest
from mlserve_cli.monitoring.profile import profile
from mlserve_cli.monitoring.proved import profile_of
from mlserve_cli.profiles import (
    PROFILE_NAME,
    ColumnDrift,
    Drift,
    Profile,
    Thresholds,
    profile_path,
    read_thresholds,
)
from mlserve_cli.profiles import drift as drifted
from mlserve_cli.registry import PACKAGE_FILE
from mlserve_cli.scoring.drift_check import named_profile
from mlserve_cli.scoring.request import SILENT, Observer, ScoreRequest
from mlserve_cli.tables import Dialect, text_of


class DriftOfRun(msgspec.Struct, frozen=True):
    """A run beside the base: `run` is its path below the folder that was looked into."""

    run: str
    started_at: str
    exit_code: int
    drift: Drift

    def column(self, name: str) -> ColumnDrift | None:
        """A column's figures, None where the run does not have it."""
        return next((column for column in self.drift.columns if column.name == name), None)


class DriftHistory(msgspec.Struct, frozen=True):
    """Runs in the order in which they started, each beside the same base; `ranked` has the columns, what moved most
    first, and `skipped` why a run was left out."""

    base: str
    runs: tuple[DriftOfRun, ...]
    ranked: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def drift(
    base: str,
    now: str,
    *,
    thresholds: str | None = None,
    registry: str | None = None,
    request: ScoreRequest | None = None,
    dialect: Dialect = tables.Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
    observer: Observer = SILENT,
) -> Drift:
    """How far NOW is from BASE: each a profile.json, a run, a package or model of the registry with its baseline, or
    data, which is profiled first: as the model of `request` takes and scores it, else every column as it stands.

    Raises InputMissing (66) where nothing is there, DataError (65) where they have no column in common, InvalidConfig
    (78) for thresholds that are no such.
    """
    limits = read_thresholds(thresholds)
    sides: list[tuple[Profile, str]] = []
    for side in (base, now):
        if _is_data(side):
            found = profile(side, request=request, dialect=dialect, input_format=input_format, observer=observer)
            sides.append((found, text_of(side)))
        else:
            sides.append(named_profile(side, registry=registry))
    (one, name), (other, _) = sides
    limits.check_columns({*_names(one), *_names(other)})
    return drifted(one, other, thresholds=limits, name=name)


def drift_history(
    runs: str,
    *,
    base: str | None = None,
    columns: Sequence[str] = (),
    thresholds: str | None = None,
    registry: str | None = None,
) -> DriftHistory:
    """Every run below RUNS beside BASE, or else beside the first of them.

    A run without a profile is left out by name. Raises InputMissing (66) where none has one, InvalidConfig (78) where
    no run has one of `columns`.
    """
    found, skipped = _profiled_runs(runs)
    limits = read_thresholds(thresholds)
    first, name = found[0][1], _name_below(found[0][0], runs)
    if base is not None:
        first, name = named_profile(base, registry=registry)
    limits.check_columns({name for _, profile in found for name in _names(profile)} | {*_names(first)})
    entries = tuple(_entry(run, profile, runs, first, name=name, limits=limits) for run, profile in found)
    ranked = _ranked(entries)
    for column in columns:
        if column not in ranked:
            raise InvalidConfig(f"no run has a column {shown(column)}", "--column", nearest(column, ranked))
    return DriftHistory(name, entries, ranked, tuple(skipped))


def _is_data(name: str) -> bool:
    """Whether rows stand there, rather than something that has a profile, or nothing."""
    path = Path(name)
    known = (MANIFEST_NAME, PACKAGE_FILE, PROFILE_NAME)
    if any(character in name for character in "*?["):
        return not path.exists()
    return (
        path.exists()
        and not (path.suffix in (".json", ".onnx") or is_manifest(path))
        and not any((path / one).is_file() for one in known)
        and not profile_path(path).is_file()
        and not path.with_name(path.name + MANIFEST_SUFFIX).is_file()
    )


def _profiled_runs(runs: str) -> tuple[list[tuple[FoundRun, Profile]], list[str]]:
    damaged: list[MlserveError] = []
    found: list[tuple[FoundRun, Profile]] = []
    without: list[str] = []
    for run in find_runs(runs, skipped=damaged):
        try:
            its_profile = profile_of(run)
        except (RunMismatch, InvalidConfig) as error:
            damaged.append(error)
            continue
        if its_profile is None:
            without.append(f"{_name_below(run, runs)}: it has no profile")
        else:
            found.append((run, its_profile))
    if not found:
        raise InputMissing(
            "no run there has a profile", shown(runs, limit=400), "score with --profile on, or with a model's package"
        )
    return found, [*without, *(f"{error.where}: {error.what}" for error in damaged)]


def _entry(run: FoundRun, profile: Profile, runs: str, base: Profile, *, name: str, limits: Thresholds) -> DriftOfRun:
    ran = run.manifest.run
    return DriftOfRun(
        _name_below(run, runs), ran.started_at, ran.exit_code, drifted(base, profile, thresholds=limits, name=name)
    )


def _name_below(run: FoundRun, runs: str) -> str:
    relative = os.path.relpath(run.path, Path(runs).absolute())
    return text_of(run.path.name if relative == "." else relative)


def _ranked(entries: Sequence[DriftOfRun]) -> tuple[str, ...]:
    """Columns by how many runs report them, then by their largest index."""
    reported: dict[str, tuple[int, float]] = {}
    for entry in entries:
        for column in entry.drift.columns:
            times, largest = reported.get(column.name, (0, 0.0))
            reported[column.name] = (times + bool(column.reasons), max(largest, column.psi))
    return tuple(sorted(reported, key=lambda name: (-reported[name][0], -reported[name][1], name)))


def _names(profile: Profile) -> tuple[str, ...]:
    return (*profile.features, *profile.scores)
