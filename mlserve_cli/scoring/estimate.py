"""How long a run will take: its first rows are read and scored, and what they took is carried over to the rest."""

from __future__ import annotations

import time

from mlserve_cli import tables
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.batches import Clock, score_batches
from mlserve_cli.scoring.plan import Layout
from mlserve_cli.scoring.rows import convert_chunk
from mlserve_cli.session import Predictor

SAMPLE_BATCHES = 16
SAMPLE_S = 1.0
# Measured as whole processes: starting workers and loading the libraries in each; per task: open, fsync, link twice.
WORKERS_START_S = 0.5
TASK_S = 0.01
# Writing and digesting beside reading and scoring, as a share of them (measured on the sample models).
WRITE_SHARE = 0.08


def expected_seconds(plan: Plan, layout: Layout, *, predictor: Predictor) -> float:
    """Seconds of the whole run on this machine, from a sample of at most a second; no rows take the start alone."""
    rows, seconds = _sample(plan, predictor)
    lanes = layout.workers if not layout.in_process else layout.threads_per_worker
    scoring = plan.rows * seconds / max(rows, 1) * (1 + WRITE_SHARE)
    start = 0.0 if layout.in_process else WORKERS_START_S
    return start + (scoring + TASK_S * len(plan.tasks)) / max(min(lanes, max(len(plan.tasks), 1)), 1)


def _sample(plan: Plan, predictor: Predictor) -> tuple[int, float]:
    """Rows and seconds of the first batches of the first task that has rows."""
    task = next((task for task in plan.tasks if task.rows), None)
    if task is None:
        return 0, 0.0
    columns = tuple(dict.fromkeys(plan.contract.file_column(column) for column in plan.contract.columns))
    chunks = tables.read_chunks(
        plan.inputs[task.shard],
        columns=(*columns, *(name for name in plan.output.carried if name not in columns)),
        start_row=task.start_row,
        stop_row=min(task.start_row + SAMPLE_BATCHES * plan.batch_rows, task.stop_row),
        chunk_rows=plan.batch_rows,
        dialect=plan.dialect,
    )
    began, rows = time.perf_counter(), 0
    for chunk in chunks:
        converted = convert_chunk(chunk, plan, shard=plan.inputs[task.shard])
        score_batches(
            converted,
            contract=plan.contract,
            predictor=predictor,
            batch_rows=plan.batch_rows,
            clock=Clock(),
        )
        rows += chunk.table.num_rows
        if time.perf_counter() - began > SAMPLE_S:
            break
    return rows, time.perf_counter() - began
