"""An output that is one file: the parts joined in their order, and the manifest beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlserve_cli import storage, tables
from mlserve_cli.manifest import OutputFile
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.rows import metadata_of, output_schema

QUARANTINE_SUFFIX, PROFILE_SUFFIX = ".quarantine.parquet", ".profile.json"


def merge(plan: Plan, staging: storage.Staging, out: Path) -> list[OutputFile]:
    """Join the parts, and the quarantine's if there are any, into files that only wait to be committed."""
    parts = [staging.data / f"{task.stem}{plan.part_suffix}" for task in plan.tasks]
    aside = [path for task in plan.tasks if (path := staging.quarantine / f"{task.stem}.parquet").exists()]
    files = [_join(parts, staging.payload / out.name, plan, kind="data")]
    if aside:
        files.append(_join(aside, staging.payload / f"{out.name}{QUARANTINE_SUFFIX}", plan, kind="quarantine"))
    return files


def commit(
    files: Sequence[OutputFile], staging: storage.Staging, out: Path, manifest: Path, *, overwrite: bool
) -> None:
    """Let the files appear, the manifest last; then the staging goes."""
    staged = [(staging.payload / file.path, out.with_name(file.path)) for file in files]
    stale = [out.with_name(f"{out.name}{suffix}") for suffix in (QUARANTINE_SUFFIX, PROFILE_SUFFIX)]
    storage.commit_files([*staged, (staging.manifest, manifest)], overwrite=overwrite)
    if overwrite:
        for path in {*stale}.difference(target for _, target in staged):
            path.unlink(missing_ok=True)
    staging.discard()


def _join(parts: list[Path], target: Path, plan: Plan, *, kind: str) -> OutputFile:
    quarantine = kind == "quarantine"
    target.unlink(missing_ok=True)  # of an attempt that ended between the merge and the commit
    published = storage.publish(
        target,
        lambda file: tables.merge_parts(
            [str(part) for part in parts],
            file,
            format="parquet" if quarantine else plan.output.format,
            compression="zstd" if quarantine else plan.output.compression,
            row_group_rows=plan.output.row_group_rows,
            schema=tables.part_schema(str(parts[0])) if quarantine else output_schema(plan),
            metadata=metadata_of(plan),
        ),
    )
    record = published.record
    return OutputFile(
        path=record.name,
        kind="quarantine" if quarantine else "data",
        task=-1,
        rows=published.value,
        size_bytes=record.size_bytes,
        sha256=record.sha256,
    )
