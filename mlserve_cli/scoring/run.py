"""A run from its lock to its commit: what stands already, the tasks that are left, the account of every row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mlserve_cli import engines, storage
from mlserve_cli.contract import encode_canonical, encode_sealed
from mlserve_cli.errors import (
    IOFailed,
    OutputExists,
    RunMismatch,
    StagingExists,
    TaskTimeout,
    TooManyBadRows,
    TryLater,
    Unavailable,
    UsageError,
    WorkersDied,
    shown,
)
from mlserve_cli.manifest import Manifest, OutputFile, TaskRecord, read_manifest, read_record
from mlserve_cli.planning import Plan, Task, difference
from mlserve_cli.profiles import Profile
from mlserve_cli.scoring import single_file
from mlserve_cli.scoring.account import Facts, account
from mlserve_cli.scoring.drift_check import DriftCheck
from mlserve_cli.scoring.estimate import expected_seconds, sampling_is_cheap
from mlserve_cli.scoring.layout import Layout, engine_for, lay_out
from mlserve_cli.scoring.machine import MemoryWatch, give_back_memory, watched_memory
from mlserve_cli.scoring.request import Observer, ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.reuse import reusable_records
from mlserve_cli.scoring.rivals import NO_RIVALS, Rivals
from mlserve_cli.scoring.run_profile import with_profiles, write_profile
from mlserve_cli.scoring.task import Job, TaskFailure, describe, jobs_of, load_plan, run_job, take_work
from mlserve_cli.scoring.verify_run import check_files
from mlserve_cli.session import Predictor

# What another attempt may get past: what is finished stays for it. A signal leaves it too, being no Exception.
RESUMABLE = (WorkersDied, IOFailed, TryLater, Unavailable)


class Place(msgspec.Struct, frozen=True):
    """Where a run will stand, held by this process alone."""

    out: Path
    manifest: Path
    is_file: bool


class OpenRun(msgspec.Struct):
    """A run under way: records by task id, and what befell it."""

    plan: Plan
    plan_id: str
    request: ScoreRequest
    model: ResolvedModel
    place: Place
    layout: Layout
    staging: storage.Staging
    standing: Manifest | None
    started_at_s: float
    records: dict[int, TaskRecord] = {}
    resumed_tasks: int = 0
    reused_tasks: int = 0
    lost_workers: int = 0
    expected_seconds: float | None = None
    rivals: Rivals = NO_RIVALS
    drift_check: DriftCheck | None = None
    again: list[Job] = []
    memory: MemoryWatch = msgspec.field(default_factory=MemoryWatch)

    @property
    def left(self) -> list[Task]:
        """Tasks without a record, the largest first, so that no worker is left with a long one at the end."""
        return sorted((task for task in self.plan.tasks if task.id not in self.records), key=lambda task: -task.rows)

    def commit(self) -> Manifest:
        """Account for every row, write the manifest, let the whole run appear in one step."""
        files = single_file.merge(self.plan, self.staging, self.place.out) if self.place.is_file else None
        profiled = self._profile()
        drift = self.drift_check.judge(profiled[0]) if self.drift_check is not None and profiled is not None else None
        manifest = account(self._facts(), files=files, profiled=profiled, drift=drift)
        storage.replace(self.staging.manifest, encode_sealed(manifest))
        overwrite = self.request.if_exists == "overwrite"
        if self.place.is_file:
            single_file.commit(manifest.outputs, self.staging, self.place.out, self.place.manifest, overwrite=overwrite)
        else:
            storage.commit_folder(self.staging, self.place.out, overwrite=overwrite)
        return read_manifest(self.place.manifest)

    def _profile(self) -> tuple[Profile, OutputFile] | None:
        """The run's profile, in a file that waits for the commit; None for a run without one."""
        if not self.plan.profile_every:
            return None
        records = [self.records[task.id] for task in self.plan.tasks]
        return write_profile(self.plan, records, self.staging, out=self.place.out, is_file=self.place.is_file)

    def _facts(self) -> Facts:
        now_s = time.time()
        return Facts(
            plan=self.plan,
            plan_id=self.plan_id,
            request=self.request,
            model=self.model,
            rivals=self.rivals,
            layout=self.layout,
            records=self.records,
            started_at_s=self.started_at_s,
            finished_at_s=now_s,
            seconds=now_s - self.started_at_s,
            resumed_tasks=self.resumed_tasks,
            reused_tasks=self.reused_tasks,
            lost_workers=self.lost_workers,
            peak_memory_bytes=self.memory.peak_bytes,
            expected_seconds=self.expected_seconds,
        )


@contextmanager
def hold_output(request: ScoreRequest) -> Iterator[Place]:
    """The output, looked at before anything else is done, and locked.

    Raises OutputError (73) or Forbidden (77) where nothing can be created, OutputBusy (75) where another run is on it.
    """
    out = storage.locate(request.output)
    storage.check_creatable(out, is_file=request.single_file)
    with storage.hold(out):
        place = Place(out, storage.manifest_of(out, is_file=request.single_file), request.single_file)
        _refuse_what_stands(place, request)
        yield place


@contextmanager
def open_run(
    plan: Plan,
    request: ScoreRequest,
    *,
    model: ResolvedModel,
    place: Place,
    observer: Observer,
    rivals: Rivals = NO_RIVALS,
    drift_check: DriftCheck | None = None,
) -> Iterator[OpenRun]:
    """The run's staging, created or taken up, with the records that stand in it.

    It stays for `--resume` where the run is ended by a signal, a dying worker or the disk; it goes where running the
    same plan again could only fail again.
    """
    plan_id = plan.id
    layout = lay_out(plan, request, model_bytes=model.facts.size_bytes, rival_bytes=rivals.size_bytes)
    observer.planned(plan, layout.estimate)
    standing = _finished_run(place, plan, plan_id, request)
    staging = storage.staging_of(place.out, plan_id)
    run = OpenRun(
        plan,
        plan_id,
        request,
        model,
        place,
        layout,
        staging,
        standing,
        time.time(),
        rivals=rivals,
        drift_check=drift_check,
    )
    if standing is not None:
        if staging.exists():
            staging.discard()
        yield run
        return
    _claim_staging(run)
    try:
        _take_up_records(run, observer=observer)
        _reuse_parts(run, observer=observer)
        yield run
    except Exception as error:
        if not isinstance(error, RESUMABLE):
            staging.discard()
        raise
    finally:
        staging.sweep()  # the drafts of workers that were killed: their space is wanted back


def run_tasks(run: OpenRun, *, predictor: Predictor, observer: Observer) -> None:
    """Score what is left, on workers or in this process, until each task has its record.

    Raises the first task's error, WorkersDied (71), or TooManyBadRows (65) as soon as there are too many.
    """
    observer.stage("scoring")
    jobs = jobs_of(run.left, staging=run.staging, layout=run.layout)
    allowed = run.request.allowed_errors(run.plan.rows)
    workers = engine_for(run.layout, max_retries=run.request.max_retries, task_timeout_s=run.request.task_timeout)
    _check_errors(run, allowed)
    with watched_memory() as run.memory, workers as engine:
        engine.start()
        if run.layout.in_process:
            take_work(str(run.staging.root), run.plan, predictor, rivals=run.rivals.predictors)
        elif jobs:  # the driver has nothing else to do while its workers start
            if sampling_is_cheap(run.plan):
                arms = run.rivals.predictors if run.plan.split is not None else {}  # a challenger may hang on these
                expected = expected_seconds(run.plan, run.layout, predictor=predictor, rivals=arms)
                run.expected_seconds = round(expected, 3)
            give_back_memory()
        _carry_out(run, engine, jobs, allowed=allowed, observer=observer)
        _carry_out(run, engine, run.again, allowed=allowed, observer=observer)


def _carry_out(
    run: OpenRun, engine: engines.Engine, jobs: Sequence[Job], *, allowed: int | None, observer: Observer
) -> None:
    for event in engine.run(jobs, run_job, standing=lambda job: standing_record(run.staging, job)):
        _take_event(run, event, observer=observer)
        _check_errors(run, allowed)


def _refuse_what_stands(place: Place, request: ScoreRequest) -> None:
    standing = storage.standing_at(place.out, is_file=place.is_file)
    left_over = storage.stagings(place.out)
    where = shown(str(place.out), limit=400)
    if request.if_exists == "error":
        if standing is not storage.Standing.NOTHING:
            raise OutputExists(
                f"{standing.value} stands there already",
                where,
                "choose another --output, or say --resume or --if-exists overwrite",
            )
        if left_over:
            raise StagingExists(
                "a run that ended early left its staging beside the output",
                shown(str(left_over[0].root), limit=400),
                "take it up with --resume, or clear it with --if-exists overwrite",
            )
    elif standing is storage.Standing.OTHER and not (request.if_exists == "resume" and place.is_file and left_over):
        raise OutputExists(
            "what stands there is not a finished run, so it is neither taken up nor overwritten",
            where,
            "choose another --output, or move it away",
        )


def _finished_run(place: Place, plan: Plan, plan_id: str, request: ScoreRequest) -> Manifest | None:
    """Under `--resume`, the run that stands there already, proved to be this plan's and whole."""
    if request.if_exists != "resume" or not place.manifest.exists():
        return None
    manifest = read_manifest(place.manifest)
    if manifest.run.id != plan_id:
        raise OutputExists(
            f"a run of another plan stands there: {difference(manifest.plan, plan)}",
            shown(str(place.out), limit=400),
            "choose another --output, or replace it with --if-exists overwrite",
        )
    check_files(manifest, place.manifest.parent)
    return manifest


def _claim_staging(run: OpenRun) -> None:
    for other in storage.stagings(run.place.out):
        if run.request.if_exists == "overwrite":
            other.discard()
        elif other.root != run.staging.root:
            raise StagingExists(
                f"the staging of another plan stands beside the output: {_difference_from(other, run.plan)}",
                shown(str(other.root), limit=400),
                "run what it was made for with --resume, or clear it with --if-exists overwrite",
            )
    storage.recover(run.staging, run.place.out)
    run.staging.prepare(encode_canonical(run.plan))


def _difference_from(staging: storage.Staging, plan: Plan) -> str:
    try:
        return difference(load_plan(staging.root), plan)
    except (OSError, msgspec.DecodeError):  # a staging whose plan was never finished differs in everything
        return "its plan cannot be read"


def _take_up_records(run: OpenRun, *, observer: Observer) -> None:
    """The records of an earlier attempt, each checked against its files: no flipped bit may come to OUT."""
    for task in run.plan.tasks:
        path = run.staging.record(task.id)
        if not path.exists():
            continue
        record = read_record(path)
        if (record.plan_id, record.task) != (run.plan_id, task.id):
            raise RunMismatch("the record is of another task", str(path), "clear the staging: --if-exists overwrite")
        _check_file(run.staging.data, record.part)
        if record.quarantine is not None:
            _check_file(run.staging.quarantine, record.quarantine)
        for rival in record.challengers:
            if rival.part is not None:
                _check_file(run.staging.challengers / rival.name, rival.part)
        run.records[task.id] = record
        run.resumed_tasks += 1
        observer.finished(record, resumed=True)


def _check_file(folder: Path, expected: storage.FileRecord) -> None:
    path = folder / expected.name
    if not path.exists() or storage.record_of(path) != expected:
        raise RunMismatch(
            "a part is not what its record says",
            shown(str(path), limit=400),
            "look at the disk; clear the staging with --if-exists overwrite",
        )


def _reuse_parts(run: OpenRun, *, observer: Observer) -> None:
    """Under `--reuse`, the parts of an earlier run that are already what this run would make."""
    earlier = run.request.reuse
    if earlier is None:
        return
    if run.place.is_file:
        raise UsageError("--reuse takes parts over, and an output that is one file has none", "", "write to a folder")
    taken = reusable_records(run.plan, run.plan_id, earlier=earlier, into=run.staging, done=run.records.keys())
    for record in with_profiles(taken, run.plan, data=run.staging.data):
        run.records[record.task] = record
        run.reused_tasks += 1
        observer.finished(record, resumed=True)


def standing_record(staging: storage.Staging, job: Job) -> TaskRecord | None:
    """What a worker that died had finished of its job: the record says, and nothing else."""
    path = staging.record(job.task)
    return read_record(path) if path.exists() else None


Event = engines.Event[Job, TaskRecord | TaskFailure]


def _take_event(run: OpenRun, event: Event, *, observer: Observer) -> None:
    match event:
        case engines.Finished(result=TaskRecord() as record):
            run.records[record.task] = record
            observer.finished(record, resumed=False)
        case engines.Finished(result=TaskFailure() as failure):
            raise failure.noted()
        case engines.Died(job=job, deaths=deaths, detail=detail, given_up=given_up):
            run.lost_workers += 1
            task = run.plan.tasks[job.task]
            if given_up and not _again_alone(run, job, f"its worker died {deaths} times: {detail}"):
                name = run.plan.inputs[task.shard].name
                raise WorkersDied(name, task.start_row, task.stop_row, deaths, detail)
            observer.lost(f"{detail}: {describe(task, run.plan)}")
        case engines.TimedOut(job=job, seconds=seconds):
            task = run.plan.tasks[job.task]
            if not _again_alone(run, job, f"the task ran longer than --task-timeout {seconds:.3g} s"):
                raise TaskTimeout(run.plan.inputs[task.shard].name, task.start_row, task.stop_row, seconds)


def _again_alone(run: OpenRun, job: Job, reason: str) -> bool:
    """Whether the task is tried once more without its challengers, who may be what ended it."""
    if job.alone or not run.plan.challengers:
        return False
    run.again.append(msgspec.structs.replace(job, alone=reason))
    return True


def _check_errors(run: OpenRun, allowed: int | None) -> None:
    if allowed is None:
        return
    bad = sum(record.rows_quarantined for record in run.records.values())
    if bad > allowed:
        raise TooManyBadRows(bad, allowed, run.plan.rows, _first_reason(run))


def _first_reason(run: OpenRun) -> str:
    record = next(
        run.records[task.id] for task in run.plan.tasks if run.records.get(task.id) and run.records[task.id].reasons
    )
    return f"{next(iter(record.reasons))} in {describe(run.plan.tasks[record.task], run.plan)}"
