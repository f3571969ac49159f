"""What a run, a preview, a proof and a replay say at the end: lines for people, facts for machines."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from mlserve_cli.cli.drift_looks import run_drift_facts, run_drift_lines
from mlserve_cli.cli.progress import MIB, duration
from mlserve_cli.cli.rollout_looks import other_facts, other_lines, planned_facts, planned_lines
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.manifest import Manifest
    from mlserve_cli.planning import Plan, Task
    from mlserve_cli.scoring import Preview, Replayed, RunResult, Verified

TASKS_SHOWN = 12


def run_lines(result: RunResult) -> list[str]:
    """The summary of a run, with the command that proves it."""
    manifest = result.manifest
    rows, speed, model = manifest.rows, manifest.throughput, manifest.model
    head = "already complete" if result.already else "scored"
    files, took = count_text(len(manifest.inputs), "file"), duration(manifest.run.seconds)
    at_once = max(len(speed.workers), 1)  # workers, or threads
    memory, expected = speed.peak_memory_bytes // MIB, speed.estimated_peak_memory_bytes // MIB
    spent = ", ".join(
        f"{stage} {duration(getattr(speed.stages, f'{stage}_s'))}"
        for stage in ("read", "features", "inference", "write", *(["profile"] if manifest.profile is not None else []))
    )
    return [
        f"{head}: {rows.rows_in:,} rows of {files} in {took} ({speed.rows_per_s:,.0f} rows/s)",
        f"  model     {shown(model_name(manifest))}, {model.precision}, {model.digest[:19]}",
        f"  rows      {rows_text(manifest)}",
        f"  time      {took}, {count_text(at_once, 'task')} at a time{_expected(manifest)}",
        f"  stages    {spent}",
        *_repeats(manifest),
        *other_lines(manifest),
        f"  memory    {memory:,} MiB at most (estimated {expected:,} MiB)",
        *_faults(manifest),
        *_set_aside(result),
        *run_drift_lines(manifest.drift),
        f"  output    {shown(str(result.output), limit=400)}",
        f"  verify    mlserve verify {shlex.quote(str(result.output))}",
    ]


def run_facts(result: RunResult) -> Facts:
    """The last line of standard output, for XCom and scripts."""
    manifest = result.manifest
    return {
        "status": manifest.run.status,
        "exit_code": manifest.run.exit_code,
        "already_complete": result.already,
        "output": str(result.output),
        "manifest": str(result.manifest_path),
        "run_id": manifest.run.id,
        "model": {
            "name": manifest.model.name,
            "version": manifest.model.version,
            "alias": manifest.model.alias,
            "digest": manifest.model.digest,
        },
        "rows_in": manifest.rows.rows_in,
        "rows_out": manifest.rows.rows_out,
        "rows_quarantined": manifest.rows.rows_quarantined,
        "reasons": manifest.rows.reasons,
        "resumed_tasks": manifest.run.resumed_tasks,
        "reused_tasks": manifest.run.reused_tasks,
        "lost_workers": manifest.run.lost_workers,
        "scored_rows": manifest.deduplication.scored_rows,
        "seconds": manifest.run.seconds,
        "rows_per_s": manifest.throughput.rows_per_s,
        "peak_memory_bytes": manifest.throughput.peak_memory_bytes,
        **other_facts(manifest),
        **run_drift_facts(manifest.drift, exit_code=manifest.run.exit_code),
    }


def preview_lines(found: Preview) -> list[str]:
    """What a run would do."""
    plan, layout = found.plan, found.layout
    where = "in this process" if layout.in_process else f"on {count_text(layout.lanes, 'worker')}"
    files, tasks = count_text(len(plan.inputs), "file"), count_text(len(plan.tasks), "task")
    more = len(plan.tasks) - TASKS_SHOWN
    return [
        f"would score {plan.rows:,} rows of {files} in {tasks} {where}; nothing was written",
        f"  model     {shown(plan.model.name)}, {plan.model.precision}, {plan.model.family}, {plan.model.digest[:19]}",
        *(
            f"  feeds     {shown(part.tensor.name)} <- {columns_text(part.columns, plan.contract.rename)}"
            for part in plan.contract.inputs
        ),
        f"  writes    {', '.join(map(shown, found.output_columns))}",
        f"  batches   of {plan.batch_rows:,} rows, chunks of {layout.chunk_rows:,}",
        f"  repeats   {_window_text(plan)}",
        *planned_lines(plan),
        f"  estimate  {duration(found.expected_seconds)}, {found.estimate.peak_memory_bytes // MIB:,} MiB at most",
        *(_task_line(task, plan) for task in plan.tasks[:TASKS_SHOWN]),
        *([f"  … and {more:,} more"] if more > 0 else []),
    ]


def _window_text(plan: Plan) -> str:
    once = f"scored once among {plan.deduplicate_rows:,} rows" if plan.deduplicate_rows else "each row by itself"
    return f"{once}: {plan.deduplicate_reason}"


def _task_line(task: Task, plan: Plan) -> str:
    name = shown(plan.inputs[task.shard].name, limit=200)
    return f"  task {task.id:<4} {name} rows {task.start_row:,} to {task.stop_row:,}"


def preview_facts(found: Preview) -> Facts:
    """A preview for machines."""
    plan = found.plan
    return {
        "status": "dry run",
        "exit_code": 0,
        "run_id": plan.id,
        "rows": plan.rows,
        "files": [shard.name for shard in plan.inputs],
        "tasks": len(plan.tasks),
        "batch_rows": plan.batch_rows,
        "deduplicate_rows": plan.deduplicate_rows,
        "workers": found.layout.lanes,
        "in_process": found.layout.in_process,
        "output_columns": list(found.output_columns),
        "estimated_seconds": round(found.expected_seconds, 3),
        "estimated_peak_memory_bytes": found.estimate.peak_memory_bytes,
        **planned_facts(plan),
    }


def verified_lines(found: Verified) -> list[str]:
    """That a run holds, and what was looked at."""
    return [
        f"verified: {rows_text(found.manifest)}; every digest, count and place holds",
        f"  files     {found.files:,}, {found.size_bytes:,} bytes",
        f"  model     {shown(model_name(found.manifest))}, {found.manifest.model.digest}",
        f"  manifest  {shown(str(found.manifest_path), limit=400)}",
    ]


def verified_facts(found: Verified) -> Facts:
    """A proof for machines."""
    rows = found.manifest.rows
    return {
        "status": "verified",
        "exit_code": 0,
        "manifest": str(found.manifest_path),
        "run_id": found.manifest.run.id,
        "files": found.files,
        "rows_in": rows.rows_in,
        "rows_out": rows.rows_out,
        "rows_quarantined": rows.rows_quarantined,
    }


def replayed_lines(found: Replayed) -> list[str]:
    """How the second run compares with the first."""
    same = "the same bytes" if found.identical else f"scores within {found.largest_difference:.3g}"
    lines = [f"replayed: {found.manifest.rows.rows_in:,} rows, {count_text(found.files, 'file')}, {same}"]
    if found.differs:
        lines.append(f"  note      the environment differs from then in {', '.join(found.differs)}")
    return lines


def replayed_facts(found: Replayed) -> Facts:
    """A replay for machines."""
    return {
        "status": "replayed",
        "exit_code": 0,
        "run_id": found.manifest.run.id,
        "identical": found.identical,
        "largest_difference": found.largest_difference,
        "environment_differs": list(found.differs),
    }


def rows_text(manifest: Manifest) -> str:
    """Conservation, and why rows were set aside."""
    rows = manifest.rows
    text = f"{rows.rows_in:,} in = {rows.rows_out:,} out + {rows.rows_quarantined:,} in quarantine"
    reasons = ", ".join(f"{shown(reason)} {count:,}" for reason, count in rows.reasons.items())
    return f"{text} ({reasons})" if reasons else text


def _repeats(manifest: Manifest) -> list[str]:
    found = manifest.deduplication
    if not (found.window_rows and found.scored_rows):
        return []
    fewer = found.rows / found.scored_rows
    return [f"  repeats   scored once: {found.scored_rows:,} distinct rows, {fewer:,.1f} times fewer than were read"]


def _set_aside(result: RunResult) -> list[str]:
    aside = [file.path for file in result.manifest.outputs if file.kind == "quarantine"]
    if not aside:
        return []
    place = result.manifest_path.parent / (aside[0] if len(aside) == 1 else os.path.dirname(aside[0]))
    return [f"  set aside {shown(str(place), limit=400)} says which rows, and why"]


def _faults(manifest: Manifest) -> list[str]:
    run = manifest.run
    told = {
        "taken up from an earlier attempt": (run.resumed_tasks, "task"),
        "taken over from an earlier run": (run.reused_tasks, "task"),
        "lost and replaced": (run.lost_workers, "worker"),
    }
    texts = [f"{count_text(number, noun)} {what}" for what, (number, noun) in told.items() if number]
    return [f"  note      {'; '.join(texts)}"] if texts else []


def _expected(manifest: Manifest) -> str:
    expected = manifest.throughput.estimated_seconds
    return "" if expected is None else f" (estimated {duration(expected)})"


def model_name(manifest: Manifest) -> str:
    """Name, version, and the alias that named it."""
    model = manifest.model
    alias = f" (@{model.alias})" if model.alias else ""
    return f"{model.name} {model.version}".strip() + alias


def columns_text(columns: tuple[str, ...], rename: dict[str, str]) -> str:
    """Column names, each with the file's own where that is another."""
    return ", ".join(shown(name) + (f" (from {shown(rename[name])})" if name in rename else "") for name in columns)


def count_text(number: int, noun: str) -> str:
    """1 file, 2 files."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
