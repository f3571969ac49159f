"""How far rows have moved: a profile, a run, a model's baseline or data beside another; and one run after the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mlserve_cli.errors import InputMissing, InvalidConfig, MlserveError, nearest, shown
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.profiles import ColumnDrift, Drift, Profile, Thresholds, profile_path, read_profile, read_thresholds
from mlserve_cli.profiles import drift as drifted
from mlserve_cli.scoring.drift_check import named_profile
from mlserve_cli.tables import text_of


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


def drift(base: str, now: str, *, thresholds: str | None = None, registry: str | None = None) -> Drift:
    """How far NOW is from BASE: each a profile.json, a run, a package or a model of the registry with its baseline.

    Raises InputMissing (66) where there is no profile, DataError (65) where they have no column in common,
    InvalidConfig (78) for thresholds that are no such.
    """
    limits = read_thresholds(thresholds)
    (one, name), (other, _) = (named_profile(side, registry=registry) for side in (base, now))
    limits.check_columns({*_names(one), *_names(other)})
    return drifted(one, other, thresholds=limits, name=text_of(name))


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
    first, name = (found[0][1], _name_below(found[0][0], runs)) if base is None else _named(base, registry)
    limits.check_columns({name for _, profile in found for name in _names(profile)} | {*_names(first)})
    entries = tuple(_entry(run, profile, runs, first, name=name, limits=limits) for run, profile in found)
    ranked = _ranked(entries)
    for column in columns:
        if column not in ranked:
            raise InvalidConfig(f"no run has a column {shown(column)}", "--column", nearest(column, ranked))
    return DriftHistory(name, entries, ranked, tuple(skipped))


def _named(base: str, registry: str | None) -> tuple[Profile, str]:
    profile, name = named_profile(base, registry=registry)
    return profile, text_of(name)


def _profiled_runs(runs: str) -> tuple[list[tuple[FoundRun, Profile]], list[str]]:
    damaged: list[MlserveError] = []
    found: list[tuple[FoundRun, Profile]] = []
    without: list[str] = []
    for run in find_runs(runs, skipped=damaged):
        if run.manifest.profile is None:
            without.append(f"{_name_below(run, runs)}: it has no profile")
            continue
        found.append((run, read_profile(run.manifest_path.with_name(profile_path(run.path).name))))
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
