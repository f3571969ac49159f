"""How this machine carries a plan out: on threads of this process or on workers, and in chunks of what size.

Nothing here shows in the output: the plan is frozen before.
"""

from __future__ import annotations

import msgspec

from mlserve_cli import engines
from mlserve_cli.errors import MemoryTooSmall
from mlserve_cli.planning import (
    COMPILER_BYTES,
    SOURCE_BYTES,
    TEXT_BYTES,
    Estimate,
    Need,
    Plan,
    bytes_per_text,
    fit_lanes,
    row_bytes,
)
from mlserve_cli.scoring.machine import memory_limit_bytes, usable_cores
from mlserve_cli.scoring.predictors import session_threads
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.rows import columns_of
from mlserve_cli.tables import Column, reader_bytes

# Rows up to which threads of one process beat workers, by what a row costs. Two workers take 0.4 s and 150 MiB until
# they score; after that threads are as fast on a few cores, since reading and inference let go of the GIL (measured on
# two cores, 4 M rows: threads 1.9 to 2.2 s, workers 2.4 to 3.0 s). What workers give beside speed is that one may die.
# Threads share a session, too, and with it what of a large forest stands in the cache.
THREADS_ROWS = {"linear": 8_000_000, "network": 4_000_000, "other": 250_000, "trees": 4_000_000}
THREADS_BYTES = 1 << 30
# The rest of a batch's way is Python and holds the GIL: past this many threads they wait for each other.
THREADS_MOST = 4


NO_ROOM = "it does not fit into the memory limit beside the champion"


class Layout(msgspec.Struct, frozen=True):
    """`lanes` tasks at once, on threads of this process or on as many workers.

    `alone` is why challengers take no part, "" where they do.
    """

    lanes: int
    in_process: bool
    threads_per_worker: int
    chunk_rows: int
    estimate: Estimate
    alone: str = ""


def lay_out(plan: Plan, request: ScoreRequest, *, model_bytes: int, rival_bytes: int = 0) -> Layout:
    """Lanes, threads and chunk size for this machine, within the memory limit.

    `rival_bytes` are the files of the plan's other models. Raises MemoryTooSmall (78) where not even one lane fits.
    """
    try:
        return _laid_out(plan, request, model_bytes=model_bytes + rival_bytes)
    except MemoryTooSmall:
        if not plan.challengers:
            raise
        alone = _laid_out(plan.of_champion, request, model_bytes=model_bytes)
        return msgspec.structs.replace(alone, alone=NO_ROOM)


def _laid_out(plan: Plan, request: ScoreRequest, *, model_bytes: int) -> Layout:
    in_process = _stays_in_process(plan, request, usable_cores())
    try:
        return _fitted(plan, request, model_bytes=model_bytes, in_process=in_process)
    except MemoryTooSmall:
        if in_process or request.task_timeout is not None:
            raise
        return _fitted(plan, request, model_bytes=model_bytes, in_process=True)  # the least that a run can take


def _fitted(plan: Plan, request: ScoreRequest, *, model_bytes: int, in_process: bool) -> Layout:
    cores = usable_cores()
    wanted = request.workers or (min(cores, THREADS_MOST) if in_process else max(cores // session_threads(plan), 1))
    lanes = min(wanted, max(len(plan.tasks), 1))
    limits = [limit for limit in (request.memory_limit, memory_limit_bytes()) if limit is not None]
    estimate = fit_lanes(
        need_of(plan, model_bytes=model_bytes),
        wanted=lanes,
        batch_rows=plan.unit_rows,
        limit_bytes=min(limits, default=None),
        in_process=in_process,
    )
    spare = wanted // lanes if in_process and request.workers is None else 1
    return Layout(estimate.lanes, in_process, request.threads_per_worker or spare, estimate.chunk_rows, estimate)


def engine_for(layout: Layout, *, max_retries: int, task_timeout_s: float | None = None) -> engines.Engine:
    """What carries out the jobs of a plan that is laid out so."""
    if layout.in_process:
        return engines.InProcess(layout.lanes)
    return engines.Processes(layout.lanes, max_retries=max_retries, task_timeout_s=task_timeout_s)


def need_of(plan: Plan, *, model_bytes: int) -> Need:
    """What a lane needs, from the plan's columns and the model's size."""
    columns = columns_read(plan)
    outputs = [*plan.contract.outputs, *(output for rival in plan.rivals for output in rival.contract.outputs)]
    most_rows = max((task.rows for task in plan.tasks), default=0)
    sources = 0 if plan.output.id_column is not None else SOURCE_BYTES
    kernels = "trees" in (plan.predictor, *(rival.predictor for rival in plan.rivals))
    return Need(
        model_bytes=model_bytes,
        row_bytes=row_bytes(columns, outputs) + sources + bytes_per_text(plan.inputs),
        most_rows=most_rows,
        compiler_bytes=COMPILER_BYTES if kernels else 0,
        page_bytes=reader_bytes(columns, plan.inputs) + most_rows * _held_bytes(plan),
        columns=len(columns),
    )


def columns_read(plan: Plan) -> list[Column]:
    """The columns that are read of each shard, as the first has them."""
    used = {*columns_of(plan)}
    return [column for shard in plan.inputs[:1] for column in shard.columns if column.name in used]


def _held_bytes(plan: Plan) -> int:
    """What challengers hold of each row until its task is done: their scores, and its ids."""
    return sum(row_bytes((), rival.contract.outputs) + 2 * TEXT_BYTES for rival in plan.challengers)


def _stays_in_process(plan: Plan, request: ScoreRequest, cores: int) -> bool:
    """One worker is this process, and little work stays in it. Only a worker can be stopped by a time-out."""
    if request.task_timeout is not None:
        return False
    if request.workers is not None:
        return request.workers == 1
    if session_threads(plan) >= cores:
        return True  # one session takes all of them: a large forest takes 11.9 s so, and 14.1 s on two workers
    kind = "network" if plan.predictor == "trees" else plan.model.family  # what a row costs on the kernel for trees
    few = plan.rows <= THREADS_ROWS.get(kind, THREADS_ROWS["other"])
    small = sum(shard.size_bytes for shard in plan.inputs) <= THREADS_BYTES
    return few and small and (cores <= THREADS_MOST or plan.rows <= 100_000)
