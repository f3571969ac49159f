"""`--reuse RUN`: parts of an earlier run whose shard, rows and work did not change are taken over, digest checked."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from mlserve_cli import storage
from mlserve_cli.errors import RunMismatch, UsageError, shown
from mlserve_cli.manifest import RECORD_FORMAT, Latencies, Manifest, OutputFile, Stages, TaskRecord, read_manifest
from mlserve_cli.planning import Plan, Task
from mlserve_cli.tables import Shard

NOT_THE_CONTENT = ("index", "path")  # where a shard lies, and the place it has among others


def reusable_records(
    plan: Plan, plan_id: str, *, earlier: str, into: storage.Staging, done: Container[int]
) -> Iterator[TaskRecord]:
    """Publish the parts that an earlier run made of the same rows with the same work; yields a record for each.

    Tasks in `done` are left alone.
    A task whose rows went to quarantine is scored again: its reasons stand in its own record only.
    Raises RunMismatch (65) where a part of the earlier run is not what its manifest says.
    """
    folder = Path(earlier)
    if not folder.is_dir():
        raise UsageError(
            f"--reuse {shown(earlier)} is not a run's folder", "", "only runs written to a folder have parts"
        )
    manifest = read_manifest(folder / "manifest.json")
    if manifest.plan.work_id != plan.work_id or manifest.rows.coerced:
        return
    made = {_key(manifest.plan, task): task.id for task in manifest.plan.tasks}
    files = _whole_parts(manifest)
    for task in plan.tasks:
        part = files.get(made.get(_key(plan, task), -1))
        if part is not None and part.rows == task.rows and task.id not in done:
            yield _take(part, folder, task, plan, plan_id, into)


def _key(plan: Plan, task: Task) -> tuple[str, int, int]:
    shard: Shard = plan.inputs[task.shard]
    content = {name: value for name, value in msgspec.to_builtins(shard).items() if name not in NOT_THE_CONTENT}
    return repr(sorted(content.items())), task.start_row, task.stop_row


def _whole_parts(manifest: Manifest) -> dict[int, OutputFile]:
    return {file.task: file for file in manifest.outputs if file.kind == "data"}


def _take(part: OutputFile, folder: Path, task: Task, plan: Plan, plan_id: str, into: storage.Staging) -> TaskRecord:
    source = folder / part.path

    def copy(file: BinaryIO) -> None:
        with storage.translated(source, "read"), open(source, "rb") as original:
            shutil.copyfileobj(original, file, 1 << 20)

    target = into.data / f"{task.stem}{plan.part_suffix}"
    published = storage.publish(target, copy)
    if published.record.sha256 != part.sha256:
        raise RunMismatch(
            "a part of the run that --reuse names is not what its manifest says",
            shown(str(source), limit=400),
            "mlserve verify says what is wrong with that run; leave --reuse out",
        )
    if not published.is_new and storage.record_of(target) != published.record:
        raise RunMismatch(
            "a part of an earlier attempt is not what the run that --reuse names has",
            shown(str(target), limit=400),
            "look at the disk, then start anew with --if-exists overwrite",
        )
    return TaskRecord(
        format=RECORD_FORMAT,
        plan_id=plan_id,
        task=task.id,
        rows_in=task.rows,
        rows_out=task.rows,
        rows_quarantined=0,
        part=published.record,
        quarantine=None,
        reasons={},
        coerced={},
        stages=Stages(),
        latencies=Latencies(),
        worker=0,
        started_at_s=0.0,
        seconds=0.0,
        peak_memory_bytes=0,
        reused=True,
    )
