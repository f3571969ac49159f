"""An output that is one file: the parts joined in their order, and the manifest beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mlserve_cli import storage, tables
from mlserve_cli.manifest import OutputFile
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.rows import metadata_of, output_schema

QUARANTINE_SUFFIX, PROFILE_SUFFIX = ".quarantine.parquet", ".profile.json"
CHALLENGER_INFIX = ".challenger-"
LONGEST_NAME = 255 - 26  # bytes, as its draft has more of them


def merge(plan: Plan, staging: storage.Staging, out: Path) -> list[OutputFile]:
    """Join the parts, and the quarantine's if there are any, into files that only wait to be committed."""
    parts = [staging.data / f"{task.stem}{plan.part_suffix}" for task in plan.tasks]
    aside = [path for task in plan.tasks if (path := staging.quarantine / f"{task.stem}.parquet").exists()]
    files = [_join(parts, staging.payload / out.name, plan, kind="data")]
    if aside:
        files.append(_join(aside, staging.payload / f"{out.name}{QUARANTINE_SUFFIX}", plan, kind="quarantine"))
    for rival in plan.challengers:
        theirs = [staging.challengers / rival.name / f"{task.stem}.parquet" for task in plan.tasks]
        target = staging.payload / f"{out.name}{CHALLENGER_INFIX}{rival.name}.parquet"
        fits = len(os.fsencode(target.name)) <= LONGEST_NAME
        if fits and all(path.exists() for path in theirs):  # else it failed, and rows of it would say less than none
            files.append(_join(theirs, target, plan.of(rival), kind="challenger"))
    return files


def commit(
    files: Sequence[OutputFile], staging: storage.Staging, out: Path, manifest: Path, *, overwrite: bool
) -> None:
    """Let the files appear, the manifest last; then the staging goes."""
    staged = [(staging.payload / file.path, out.with_name(file.path)) for file in files]
    stale = _beside(out)
    storage.commit_files([*staged, (staging.manifest, manifest)], overwrite=overwrite)
    if overwrite:
        for path in {*stale}.difference(target for _, target in staged):
            path.unlink(missing_ok=True)
    staging.discard()


def _beside(out: Path) -> list[Path]:
    """The files that a run may put beside its output."""
    usual = [out.with_name(f"{out.name}{suffix}") for suffix in (QUARANTINE_SUFFIX, PROFILE_SUFFIX)]
    prefix = f"{out.name}{CHALLENGER_INFIX}"
    with storage.translated(out.parent, "list"):
        return usual + [path for path in out.parent.iterdir() if path.name.startswith(prefix)]


def _join(
    parts: list[Path], target: Path, plan: Plan, *, kind: Literal["data", "quarantine", "challenger"]
) -> OutputFile:
    is_data = kind == "data"
    target.unlink(missing_ok=True)  # of an attempt that ended between the merge and the commit
    published = storage.publish(
        target,
        lambda file: tables.merge_parts(
            [str(part) for part in parts],
            file,
            format=plan.output.format if is_data else "parquet",
            compression=plan.output.compression if is_data else "zstd",
            row_group_rows=plan.output.row_group_rows,
            schema=output_schema(plan) if is_data else tables.part_schema(str(parts[0])),
            metadata=metadata_of(plan),
        ),
    )
    record = published.record
    return OutputFile(
        path=record.name,
        kind=kind,
        task=-1,
        rows=published.value,
        size_bytes=record.size_bytes,
        sha256=record.sha256,
    )
