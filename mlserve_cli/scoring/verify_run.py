"""Proves a finished run: that every file is what the manifest says, and that every row is there once and in order."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import storage, tables
from mlserve_cli.contract import compute as pc
from mlserve_cli.errors import RunMismatch, shown
from mlserve_cli.manifest import Manifest, manifest_path_of, read_manifest
from mlserve_cli.planning import Plan, Task
from mlserve_cli.scoring.rows import output_schema

CHUNK_ROWS = 65_536
ALL_TASKS = -1


class Verified(msgspec.Struct, frozen=True):
    """A run that holds: its manifest, where it stands, and how much was looked at."""

    manifest: Manifest
    manifest_path: Path
    files: int
    size_bytes: int


def verify(run: str) -> Verified:
    """Prove the run at RUN: a folder, an output file, or a manifest.

    Raises InputMissing (66) where there is no run, RunMismatch (65) with the first difference.
    """
    path = manifest_path_of(run)
    manifest = read_manifest(path)
    _prove_sums(manifest, path)
    check_files(manifest, path.parent)
    _prove_nothing_extra(manifest, path)
    _prove_rows(manifest, path.parent)
    _prove_other_models(manifest, path.parent)
    _prove_profile(manifest, path.parent)
    size_bytes = sum(file.size_bytes for file in manifest.outputs)
    return Verified(manifest, path, len(manifest.outputs), size_bytes)


def check_files(manifest: Manifest, root: Path) -> None:
    """Every file of the run is there, byte for byte. Raises RunMismatch (65)."""
    for file in manifest.outputs:
        path = root / file.path
        if not path.is_file():
            raise _mismatch("a file of the run is missing", path)
        found = storage.record_of(path)
        if (found.size_bytes, found.sha256) != (file.size_bytes, file.sha256):
            raise _mismatch(f"sha256 is {found.sha256}, the manifest says {file.sha256}", path)


def _prove_sums(manifest: Manifest, path: Path) -> None:
    """The manifest agrees with itself: the plan with its id, the rows with their sums."""
    rows, plan = manifest.rows, manifest.plan
    written = sum(file.rows for file in manifest.outputs if file.kind == "data")
    aside = sum(file.rows for file in manifest.outputs if file.kind == "quarantine")
    claims = {
        "the plan's id": (plan.id, manifest.run.id),
        "rows in": (rows.rows_in, rows.rows_out + rows.rows_quarantined),
        "rows planned": (plan.rows, rows.rows_in),
        "rows of the inputs": (sum(part.rows_in for part in manifest.inputs), rows.rows_in),
        "rows of the data files": (written, rows.rows_out),
        "rows of the quarantine files": (aside, rows.rows_quarantined),
        "rows by reason": (sum(rows.reasons.values()), rows.rows_quarantined),
        "the status": (manifest.run.status == "complete", rows.rows_quarantined == 0),
    }
    for name, (found, wanted) in claims.items():
        if found != wanted:
            raise _mismatch(f"{name}: {found} is not {wanted}", path)
    _prove_tasks_cover(plan, path)
    _prove_files_are_the_tasks(manifest, path)


def _prove_tasks_cover(plan: Plan, path: Path) -> None:
    """Each shard's tasks follow each other without gap or overlap."""
    reached = dict.fromkeys(range(len(plan.inputs)), 0)
    for place, task in enumerate(plan.tasks):
        if task.id != place or task.start_row != reached.get(task.shard):
            raise _mismatch(
                f"task {task.id} of shard {task.shard} starts at row {task.start_row}: not planned so", path
            )
        reached[task.shard] = task.stop_row


def _prove_files_are_the_tasks(manifest: Manifest, path: Path) -> None:
    """One data file for each task, or one for all of them; a quarantine file for some."""
    tasks = [task.id for task in manifest.plan.tasks]
    data, aside = ([file.task for file in manifest.outputs if file.kind == kind] for kind in ("data", "quarantine"))
    if data not in (tasks, [ALL_TASKS]) or sorted({*aside} & {*tasks, ALL_TASKS}) != aside:
        raise _mismatch("the files are not those of the plan's tasks, each once", path)


def _prove_nothing_extra(manifest: Manifest, path: Path) -> None:
    if path.name != "manifest.json":
        return
    files = [file.path for file in manifest.outputs]
    folders_of_files = {str(folder) for file in files for folder in PurePosixPath(file).parents}
    known = {"manifest.json", "data", "quarantine", *files, *folders_of_files}
    for folder, folders, names in os.walk(path.parent):
        for name in (*folders, *names):
            relative = os.path.relpath(os.path.join(folder, name), path.parent)
            if relative not in known:
                raise _mismatch("a file stands in the run that is not part of it", path.parent / relative)


def _prove_other_models(manifest: Manifest, root: Path) -> None:
    if manifest.plan.rivals:
        from mlserve_cli.scoring.verify_rivals import prove_challengers, prove_split  # with the hash: few runs need it

        prove_challengers(manifest, root)
        prove_split(manifest, root)


def _prove_profile(manifest: Manifest, root: Path) -> None:
    """The run's profile is there where the plan says so, and is of the rows that were written."""
    found = [(file.path, file.sha256) for file in manifest.outputs if file.kind == "profile"]
    account = manifest.profile
    if found != ([(account.path, account.sha256)] if account is not None else []):
        raise _mismatch("the profile is not the one that the manifest accounts for", root)
    if (account is not None) != bool(manifest.plan.profile_every):
        raise _mismatch("the plan says otherwise of the profile", root)
    if account is None:
        return
    from mlserve_cli.profiles import read_profile  # with the sketches, which few runs need

    profile = read_profile(root / account.path)
    claims = {
        "rows of the profile": (profile.rows, manifest.rows.rows_out),
        "rows that the manifest says": (profile.rows, account.rows),
        "rows of its quantiles": (profile.quantile_rows, account.sampled_rows),
        "the model of the profile": (profile.model, manifest.model.digest),
    }
    for name, (seen, wanted) in claims.items():
        if seen != wanted:
            raise _mismatch(f"{name}: {seen} is not {wanted}", root / account.path)


def _prove_rows(manifest: Manifest, root: Path) -> None:
    """Rows as they stand in the files: counts, and their places where the output says them."""
    plan = manifest.plan
    aside = _quarantined(manifest, root)
    for file in manifest.outputs:
        if file.kind != "data":
            continue
        path = root / file.path
        tasks = plan.tasks if file.task == ALL_TASKS else (plan.tasks[file.task],)
        if plan.output.id_column is not None:
            if (found := tables.part_rows(str(path))) != file.rows:
                raise _mismatch(f"{found} rows, the manifest says {file.rows}", path)
            continue
        _prove_order(path, tasks, aside, manifest)


def _prove_order(path: Path, tasks: tuple[Task, ...], aside: dict[str, NDArray[np.int64]], manifest: Manifest) -> None:
    """The file holds exactly the planned rows that are not in quarantine, in the input's order."""
    found = _Sources(path, manifest)
    for task in tasks:
        name = manifest.plan.inputs[task.shard].name
        gone = aside.get(name, np.empty(0, np.int64))
        wanted = np.setdiff1d(np.arange(task.start_row, task.stop_row, dtype=np.int64), gone, assume_unique=True)
        files, rows = found.take(len(wanted))
        if len(rows) != len(wanted):
            raise _mismatch(f"{len(wanted) - len(rows)} rows of {shown(name)} are missing", path)
        different = np.flatnonzero((rows != wanted) | (files != name))
        if len(different):
            at = int(different[0])
            raise _mismatch(
                f"row {rows[at]} of {shown(files[at])} stands where row {wanted[at]} of {shown(name)} should", path
            )
    if len(found.take(1)[1]):
        raise _mismatch("rows stand in the file that the plan does not know", path)


class _Sources:
    """The source_file and source_row of a data file, taken in order in any amounts, in bounded memory."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        file = tables.FoundFile(str(path), path.name)
        dialect = tables.Dialect(delimiter=",")
        self._shard = tables.look_into(file, index=0, dialect=dialect, input_format=manifest.plan.output.format)
        wanted = [column.name for column in self._shard.columns]
        if wanted != output_schema(manifest.plan).names:
            raise _mismatch(f"its columns are {', '.join(map(shown, wanted))}", path)
        self._chunks = tables.read_chunks(
            self._shard,
            columns=("source_file", "source_row"),
            start_row=0,
            stop_row=self._shard.rows,
            chunk_rows=CHUNK_ROWS,
            dialect=dialect,
        )
        self._held: list[tuple[NDArray[np.object_], NDArray[np.int64]]] = []

    def take(self, count: int) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
        """The next `count` rows: names (object, shape [n]) and rows (int64, shape [n]); fewer at the end."""
        have = sum(len(rows) for _, rows in self._held)
        while have < count and (chunk := next(self._chunks, None)) is not None:
            names = np.asarray(chunk.table["source_file"].to_numpy(zero_copy_only=False), dtype=np.object_)
            self._held.append((names, chunk.table["source_row"].cast(pa.int64()).to_numpy()))
            have += len(names)
        files = np.concatenate([np.empty(0, np.object_), *(names for names, _ in self._held)])
        rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows in self._held)])
        self._held = [(files[count:], rows[count:])]
        return files[:count], rows[:count]


def _quarantined(manifest: Manifest, root: Path) -> dict[str, NDArray[np.int64]]:
    """The rows in quarantine by the name of their shard, each ascending; a row that stands twice is a mismatch."""
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for file in manifest.outputs:
        if file.kind == "quarantine":
            table = tables.read_part(str(root / file.path), columns=("source_file", "source_row"))
            if table.num_rows != file.rows:
                raise _mismatch(f"{table.num_rows} rows, the manifest says {file.rows}", root / file.path)
            for name in table["source_file"].unique().to_pylist():
                mine = table.filter(pc.equal(table["source_file"], name))["source_row"].to_numpy()
                rows.setdefault(name, []).append(mine)
    found = {name: np.sort(np.concatenate(parts)) for name, parts in rows.items()}
    for name, places in found.items():
        if len(np.unique(places)) != len(places):
            raise _mismatch(f"a row of {shown(name)} stands twice in quarantine", root)
    return found


def _mismatch(what: str, path: Path) -> RunMismatch:
    return RunMismatch(what, shown(str(path), limit=400), "the run is not what was committed: score it anew")
