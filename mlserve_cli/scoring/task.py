"""One task, as a worker does it: read its rows, score them, publish the part, then the record that says so."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec
import pyarrow as pa

from mlserve_cli import engines, storage, tables
from mlserve_cli.contract import Faults, empty_table, encode_sealed
from mlserve_cli.errors import IOFailed, MlserveError, shown
from mlserve_cli.manifest import RECORD_FORMAT, TaskRecord
from mlserve_cli.planning import Plan, Task
from mlserve_cli.profiles import Profile
from mlserve_cli.scoring.bad_rows import QUARANTINE_SCHEMA, first_bad_row, quarantine_table, reasons_of
from mlserve_cli.scoring.batches import Clock
from mlserve_cli.scoring.distinct import score_rows
from mlserve_cli.scoring.golden import check_golden_rows
from mlserve_cli.scoring.layout import Layout
from mlserve_cli.scoring.machine import give_back_memory, process_peak_bytes
from mlserve_cli.scoring.predictors import open_planned
from mlserve_cli.scoring.rows import carried_columns, columns_of, convert_chunk, metadata_of, output_rows, output_schema
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Chunk

if TYPE_CHECKING:
    from mlserve_cli.scoring.others import Others, OthersOfTask
    from mlserve_cli.scoring.profiling import RowsProfiler

T = TypeVar("T")


class Job(msgspec.Struct, frozen=True):
    """What is handed to a worker: where the plan lies, which task, and how this machine carries it out.

    `alone` is why challengers take no part in it, "" where they do.
    """

    staging: str
    task: int
    chunk_rows: int
    threads: int
    alone: str = ""


class TaskFailure(msgspec.Struct, frozen=True):
    """A task that did not work out, as a value: an exception must not take the pool down."""

    task: int
    error: MlserveError
    trace: str

    def noted(self) -> MlserveError:
        """The error with the worker's trace as a note, to be raised in the driver."""
        self.error.add_note(self.trace)
        return self.error


class _Tally(msgspec.Struct):
    """What adds up while a task's rows pass."""

    rows_in: int = 0
    scored_rows: int = 0
    coerced: dict[str, int] = {}
    set_aside: list[pa.Table] = []
    clock: Clock = msgspec.field(default_factory=Clock)
    profiler: RowsProfiler | None = None
    others: OthersOfTask | None = None

    @property
    def profile(self) -> Profile | None:
        """Of the rows so far, where one is made."""
        with self.clock.timing("profile"):
            return self.profiler.result() if self.profiler is not None else None


def jobs_of(tasks: Iterable[Task], *, staging: storage.Staging, layout: Layout) -> list[Job]:
    """What the tasks are to a worker, in the order given."""
    root = str(staging.root)
    chunk_rows, threads = layout.chunk_rows, layout.threads_per_worker
    return [Job(root, task.id, chunk_rows, threads, layout.alone) for task in tasks]


def run_job(job: Job) -> TaskRecord | TaskFailure:
    """Score one task: the one place where any exception becomes a value."""
    try:
        return _score_task(job, _opened(job.staging))
    except MlserveError as error:
        return TaskFailure(job.task, error, traceback.format_exc())
    except Exception as error:  # noqa: BLE001  a bug, or a library's exception that nobody has translated: named, with its task
        what = f"{type(error).__name__}: {error}"
        return TaskFailure(job.task, MlserveError(what, f"task {job.task}"), traceback.format_exc())


def load_plan(staging: Path) -> Plan:
    """The plan of a staging folder."""
    return msgspec.json.decode((staging / "plan.json").read_bytes(), type=Plan)


class _Work(msgspec.Struct, frozen=True):
    """What a worker holds from its first task to its last: the plan, its names, and a session that proved itself."""

    plan: Plan
    plan_id: str
    metadata: dict[str, str]
    predictor: Predictor
    others: Others | None = None


_works: dict[str, _Work] = {}  # of this process, by staging: one entry, for as long as the process works for one run


def take_work(
    staging: str, plan: Plan, predictor: Predictor, *, rivals: Mapping[str, Predictor] | None = None
) -> _Work:
    """Make this process ready for jobs of a staging: with a session that has proved itself on the golden rows.

    `rivals` are those of the other models that are open already, by their names in the plan.
    """
    check_golden_rows(plan.model, plan.contract, predictor=predictor, batch_rows=plan.batch_rows)
    work = _Work(plan, plan.id, metadata_of(plan), predictor, _others(plan, predictor, rivals or {}))
    if "trees" in (plan.model.family, *(rival.model.family for rival in plan.rivals)):
        give_back_memory()
    _works.clear()
    _works[staging] = work
    return work


def _others(plan: Plan, predictor: Predictor, rivals: Mapping[str, Predictor]) -> Others | None:
    if not plan.rivals:
        return None
    from mlserve_cli.scoring.others import open_others  # with the hash and the comparison, which few runs need

    return open_others(plan, predictor, rivals)


def _opened(staging: str) -> _Work:
    work = _works.get(staging)  # asked once: another run in a thread beside this one may take the place
    if work is None:
        plan = load_plan(Path(staging))
        work = take_work(staging, plan, open_planned(plan))
    return work


def _score_task(job: Job, work: _Work) -> TaskRecord:
    staging, plan = storage.Staging(Path(job.staging)), work.plan
    task, started_at_s, started = plan.tasks[job.task], time.time(), time.perf_counter()
    others = work.others.begin(task, alone=job.alone) if work.others is not None else None
    tally = _Tally(profiler=_profiler(plan), others=others)
    rows_out, part = _publish_once(
        staging.data / f"{task.stem}{plan.part_suffix}", lambda file: _write_part(file, job, work, task, tally)
    )
    set_aside = pa.concat_tables(tally.set_aside) if tally.set_aside else empty_table(QUARANTINE_SCHEMA)
    profile = tally.profile
    stages, latencies = tally.clock.result
    record = TaskRecord(
        format=RECORD_FORMAT,
        plan_id=work.plan_id,
        task=task.id,
        rows_in=tally.rows_in,
        rows_out=rows_out,
        rows_quarantined=set_aside.num_rows,
        part=part,
        quarantine=_publish_quarantine(staging, task, work, set_aside),
        reasons=reasons_of(set_aside),
        coerced=tally.coerced,
        stages=stages,
        latencies=latencies,
        worker=threading.get_native_id(),
        started_at_s=started_at_s,
        seconds=time.perf_counter() - started,
        peak_memory_bytes=process_peak_bytes(),
        scored_rows=tally.scored_rows,
        profile=profile,
        challengers=others.publish(staging, task) if others is not None else (),
        arm_rows=tuple(others.arms.rows) if others is not None else (),
        rows_without_key=others.arms.without_key if others is not None else 0,
    )
    storage.publish(staging.record(task.id), lambda file: file.write(encode_sealed(record)))
    return record


def _profiler(plan: Plan) -> RowsProfiler | None:
    if not plan.profile_every:
        return None
    from mlserve_cli.scoring.profiling import RowsProfiler  # with the sketches, which few runs load

    return RowsProfiler(plan)


def _publish_once(path: Path, write: Callable[[BinaryIO], T]) -> tuple[T, storage.FileRecord]:
    """Publish; a file that an earlier attempt left there without its record must be the same to the byte."""
    published = storage.publish(path, write)
    if not published.is_new and storage.record_of(path) != published.record:
        raise IOFailed(
            "a file of an earlier attempt is not what this task makes",
            shown(str(path), limit=400),
            "look at the disk, then start anew with --if-exists overwrite",
        )
    return published.value, published.record


def _write_part(file: BinaryIO, job: Job, work: _Work, task: Task, tally: _Tally) -> int:
    """Score the task's rows into an open part; returns the rows written."""
    plan = work.plan
    with ExitStack() as stack:
        writer = stack.enter_context(
            tables.PartWriter(
                file,
                schema=output_schema(plan),
                format=plan.output.format,
                compression=plan.output.compression,
                row_group_rows=plan.output.row_group_rows,
                metadata=work.metadata,
            )
        )
        pool = stack.enter_context(ThreadPoolExecutor(job.threads)) if job.threads > 1 else None
        for rows in _scored(job, work, task, tally, pool):
            with tally.clock.timing("write"):
                writer.write(rows)
    return writer.rows


def _scored(job: Job, work: _Work, task: Task, tally: _Tally, pool: ThreadPoolExecutor | None) -> Iterator[pa.Table]:
    """The task's rows, scored, chunk by chunk. Raises BadRow (65) for the first bad one under `--on-error fail`."""
    plan = work.plan
    shard = plan.inputs[task.shard]
    for chunk in _timed_chunks(job, plan, task, tally.clock):
        tally.rows_in += chunk.table.num_rows
        with tally.clock.timing("features"):
            converted = convert_chunk(chunk, plan, shard=shard)
        for column, count in converted.coerced.items():
            tally.coerced[column] = tally.coerced.get(column, 0) + count
        mapper = pool.map if pool else map
        if tally.others is not None and tally.others.is_split:
            scored, scored_rows = tally.others.score_split(
                chunk, converted, shard=shard, clock=tally.clock, mapper=mapper
            )
        else:
            scored, scored_rows = score_rows(
                converted, plan=plan, predictor=work.predictor, clock=tally.clock, mapper=mapper
            )
        tally.scored_rows += scored_rows
        if len(scored.faults):
            if plan.on_error == "fail":
                raise first_bad_row(scored.faults, file=shard.name, start_row=chunk.start_row)
            tally.set_aside.append(_set_aside(scored.faults, chunk, plan, file=shard.name))
        rows = output_rows(scored, chunk=chunk, shard=shard, plan=plan)
        if tally.profiler is not None:
            with tally.clock.timing("profile"):
                tally.profiler.add(chunk, converted, rows, kept=scored.kept, shard=shard)
        if tally.others is not None:
            tally.others.score_beside(chunk, converted, rows, scored=scored, shard=shard, mapper=mapper)
        yield rows


def _timed_chunks(job: Job, plan: Plan, task: Task, clock: Clock) -> Iterator[Chunk]:
    chunks = tables.read_chunks(
        plan.inputs[task.shard],
        columns=columns_of(plan),
        start_row=task.start_row,
        stop_row=task.stop_row,
        chunk_rows=job.chunk_rows,
        dialect=plan.dialect,
    )
    while True:
        engines.check_stop()
        with clock.timing("read"):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _set_aside(faults: Faults, chunk: Chunk, plan: Plan, *, file: str) -> pa.Table:
    named = plan.output.id_column
    ids = carried_columns(chunk, plan, names=(named,)) if named is not None else None
    return quarantine_table(faults, file=file, start_row=chunk.start_row, ids=ids)


def _publish_quarantine(
    staging: storage.Staging, task: Task, work: _Work, set_aside: pa.Table
) -> storage.FileRecord | None:
    if set_aside.num_rows == 0:
        return None

    def write(file: BinaryIO) -> None:
        with tables.PartWriter(
            file,
            schema=set_aside.schema,
            format="parquet",
            compression="zstd",
            row_group_rows=work.plan.output.row_group_rows,
            metadata=work.metadata,
        ) as writer:
            writer.write(set_aside)

    return _publish_once(staging.quarantine / f"{task.stem}.parquet", write)[1]


def describe(task: Task, plan: Plan) -> str:
    """A task as a person is told of it."""
    return f"{shown(plan.inputs[task.shard].name, limit=400)}, rows {task.start_row} to {task.stop_row - 1}"
