"""A trial: some rows of the real input, read, scored and written by the very code of a run, into a folder that goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from mlserve_cli import engines, storage
from mlserve_cli.contract import encode_canonical
from mlserve_cli.errors import WorkersDied
from mlserve_cli.manifest import TaskRecord
from mlserve_cli.planning import Plan, Task
from mlserve_cli.scoring.candidates import Candidate, Ground
from mlserve_cli.scoring.layout import Layout, engine_for
from mlserve_cli.scoring.task import Job, TaskFailure, jobs_of, run_job, take_work

WAKE_S = 10.0


class Trial(msgspec.Struct, frozen=True):
    """What one trial took: `start_s` until the first rows were scored, then `rows` in `seconds`."""

    rows: int
    seconds: float
    start_s: float

    def expected_s(self, rows: int) -> float:
        """Seconds of a run over so many rows."""
        return self.start_s + rows * self.seconds / self.rows


def run_trial(ground: Ground, candidate: Candidate, *, rows: int) -> Trial:
    """Score about so many rows, spread over the input's tasks, after a first few that make the workers ready."""
    plan, layout = ground.plan_of(candidate), ground.layout_of(candidate)
    first = _tasks(plan, count=layout.lanes, rows=1, number=0)
    then = _tasks(plan, count=layout.lanes, rows=rows, number=len(first))
    sample = msgspec.structs.replace(plan, tasks=(*first, *then))
    began = time.perf_counter()
    with storage.scratch(encode_canonical(sample)) as staging, _started(layout) as engine:
        if layout.in_process:
            take_work(str(staging.root), sample, ground.predictors[sample.predictor])
        warm_up, jobs = (jobs_of(tasks, staging=staging, layout=layout) for tasks in (first, then))
        _wake_all(engine, warm_up, sample, lanes=1 if layout.in_process else len(first))
        ready = time.perf_counter()
        _carry_out(engine, jobs, sample)
        seconds = time.perf_counter() - ready
    return Trial(sum(task.rows for task in then), seconds, ready - began)


@contextmanager
def _started(layout: Layout) -> Iterator[engines.Engine]:
    with engine_for(layout, max_retries=0) as engine:
        engine.start()
        yield engine


def _wake_all(engine: engines.Engine, jobs: Sequence[Job], plan: Plan, *, lanes: int) -> None:
    """The first jobs again and again until each worker has done one: what is quick to start takes all of them first."""
    until, awake = time.perf_counter() + WAKE_S, set[int]()
    while not awake or (len(awake) < lanes and time.perf_counter() < until):
        awake |= _carry_out(engine, jobs, plan)


def _tasks(plan: Plan, *, count: int, rows: int, number: int) -> tuple[Task, ...]:
    """The first rows of `count` of the plan's tasks, evenly spread; together about `rows`, in whole windows."""
    filled = [task for task in plan.tasks if task.rows]
    chosen = [filled[place * len(filled) // count] for place in range(count)] if len(filled) > count else filled
    each = max(-(-rows // len(chosen) // plan.unit_rows) * plan.unit_rows, plan.unit_rows)
    return tuple(
        Task(number + place, task.shard, number + place, task.start_row, min(task.start_row + each, task.stop_row))
        for place, task in enumerate(chosen)
    )


def _carry_out(engine: engines.Engine, jobs: Sequence[Job], plan: Plan) -> set[int]:
    """The workers that did them. Raises the first task's error, as a run would."""
    workers = set()
    for event in engine.run(jobs, run_job, standing=_nothing_stands):
        match event:
            case engines.Finished(result=TaskFailure() as failure):
                raise failure.noted()
            case engines.Finished(worker=worker):
                workers.add(worker)
            case engines.Died(job=job, deaths=deaths, detail=detail):
                task = plan.tasks[job.task]
                raise WorkersDied(plan.inputs[task.shard].name, task.start_row, task.stop_row, deaths, detail)
            case _:  # no task has a time-out here
                continue
    return workers


def _nothing_stands(job: Job) -> TaskRecord | None:  # noqa: ARG001  the seam's
    """A trial takes nothing up."""
    return None
