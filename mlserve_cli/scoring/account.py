"""The account of a run: every row of every input, found again in the records, and put into the manifest."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import add

import msgspec
import numpy as np
import pyarrow as pa

from mlserve_cli._version import __version__
from mlserve_cli.errors import MlserveError
from mlserve_cli.manifest import (
    MANIFEST_FORMAT,
    ChallengerAccount,
    Deduplication,
    Environment,
    InputAccount,
    Latencies,
    Manifest,
    OutputFile,
    Rows,
    Run,
    SplitAccount,
    Stages,
    TaskRecord,
    Throughput,
    TimeLine,
    WorkerAccount,
)
from mlserve_cli.planning import Plan
from mlserve_cli.profiles import Drift, Profile
from mlserve_cli.scoring.drift_check import DRIFT_EXIT_CODE
from mlserve_cli.scoring.layout import Layout
from mlserve_cli.scoring.machine import cpu_model
from mlserve_cli.scoring.model_account import model_account
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.rivals import Rivals
from mlserve_cli.scoring.run_profile import profile_account
from mlserve_cli.session import runtime_version

QUARANTINED_EXIT_CODE = 3


class Facts(msgspec.Struct, frozen=True):
    """All that a manifest is made from."""

    plan: Plan
    plan_id: str
    request: ScoreRequest
    model: ResolvedModel
    rivals: Rivals
    layout: Layout
    records: Mapping[int, TaskRecord]
    started_at_s: float
    finished_at_s: float
    seconds: float
    resumed_tasks: int
    reused_tasks: int
    lost_workers: int
    peak_memory_bytes: int
    expected_seconds: float | None


def account(
    facts: Facts,
    *,
    files: Sequence[OutputFile] | None,
    profiled: tuple[Profile, OutputFile] | None = None,
    drift: Drift | None = None,
) -> Manifest:
    """The manifest of a run whose every task has its record; `files` where the parts were joined into other files.

    Raises MlserveError (1) where the sums do not hold: that is a bug, and nothing may be committed then.
    """
    records = [facts.records[task.id] for task in facts.plan.tasks]
    _prove_conservation(facts.plan, records)
    rows = _rows(records)
    return Manifest(
        format=MANIFEST_FORMAT,
        run=_run(facts, rows, drift),
        model=model_account(facts.model, facts.plan),
        inputs=_inputs(facts.plan, records),
        outputs=(*(_parts(records) if files is None else files), *([profiled[1]] if profiled is not None else [])),
        rows=rows,
        deduplication=_deduplication(facts.plan, records),
        throughput=_throughput(facts, records),
        environment=environment(threads=facts.layout.threads_per_worker),
        plan=facts.plan,
        profile=profile_account(*profiled) if profiled is not None else None,
        drift=drift,
        challengers=_challengers(facts, records),
        split=_split(facts, records),
    )


def environment(*, threads: int) -> Environment:
    """The libraries and the machine as they are here and now."""
    cpu, flags = cpu_model()
    system = os.uname()
    return Environment(
        mlserve=__version__,
        python=sys.version.split()[0],
        onnxruntime=runtime_version(),
        pyarrow=pa.__version__,
        numpy=np.__version__,
        cpu=cpu,
        cpu_flags=flags,
        platform=f"{system.sysname} {system.release} {system.machine}",
        threads_per_worker=threads,
        provider="cpu",
    )


def _prove_conservation(plan: Plan, records: Sequence[TaskRecord]) -> None:
    for task, record in zip(plan.tasks, records, strict=True):
        if not task.rows == record.rows_in == record.rows_out + record.rows_quarantined:
            raise MlserveError(
                f"task {task.id} planned {task.rows} rows, read {record.rows_in}, wrote {record.rows_out} "
                f"and set {record.rows_quarantined} aside",
                plan.inputs[task.shard].name,
                "nothing was committed",
            )


def _run(facts: Facts, rows: Rows, drift: Drift | None) -> Run:
    return Run(
        id=facts.plan_id,
        status="complete with rows in quarantine" if rows.rows_quarantined else "complete",
        exit_code=_exit_code(facts.request, rows, drift),
        started_at=_iso(facts.started_at_s),
        finished_at=_iso(facts.finished_at_s),
        seconds=round(facts.seconds, 6),
        command=list(facts.request.command),
        settings=dict(facts.request.settings),
        resumed_tasks=facts.resumed_tasks,
        reused_tasks=facts.reused_tasks,
        lost_workers=facts.lost_workers,
    )


def _exit_code(request: ScoreRequest, rows: Rows, drift: Drift | None) -> int:
    if request.fail_on_drift and drift is not None and not drift.passed:
        return DRIFT_EXIT_CODE
    aside = rows.rows_quarantined and request.allowed_errors(rows.rows_in) is None
    return QUARANTINED_EXIT_CODE if aside else 0


def _inputs(plan: Plan, records: Sequence[TaskRecord]) -> tuple[InputAccount, ...]:
    rows_in, rows_out, aside = Counter[int](), Counter[int](), Counter[int]()
    for task, record in zip(plan.tasks, records, strict=True):
        rows_in[task.shard] += record.rows_in
        rows_out[task.shard] += record.rows_out
        aside[task.shard] += record.rows_quarantined
    return tuple(
        InputAccount(shard.name, shard.path, rows_in[shard.index], rows_out[shard.index], aside[shard.index])
        for shard in plan.inputs
    )


def _challengers(facts: Facts, records: Sequence[TaskRecord]) -> tuple[ChallengerAccount, ...]:
    if not (facts.plan.challengers or facts.rivals.failed):
        return ()
    from mlserve_cli.scoring.rivals_account import challenger_accounts  # with the comparison, which few runs need

    return challenger_accounts(facts.plan, facts.rivals, records)


def _split(facts: Facts, records: Sequence[TaskRecord]) -> SplitAccount | None:
    if facts.plan.split is None:
        return None
    from mlserve_cli.scoring.rivals_account import split_account

    return split_account(facts.plan, facts.plan.split, facts.model, facts.rivals, records)


def _parts(records: Sequence[TaskRecord]) -> list[OutputFile]:
    files = []
    for record in records:
        part, aside = record.part, record.quarantine
        files.append(
            OutputFile(f"data/{part.name}", "data", record.task, record.rows_out, part.size_bytes, part.sha256)
        )
        if aside is not None:
            path = f"quarantine/{aside.name}"
            files.append(
                OutputFile(path, "quarantine", record.task, record.rows_quarantined, aside.size_bytes, aside.sha256)
            )
        files += [
            OutputFile(
                f"challengers/{one.name}/{one.part.name}",
                "challenger",
                record.task,
                record.rows_out,
                one.part.size_bytes,
                one.part.sha256,
            )
            for one in record.challengers
            if one.part is not None
        ]
    return files


def _rows(records: Sequence[TaskRecord]) -> Rows:
    reasons: Counter[str] = sum((Counter(record.reasons) for record in records), Counter())
    coerced: Counter[str] = sum((Counter(record.coerced) for record in records), Counter())
    return Rows(
        rows_in=sum(record.rows_in for record in records),
        rows_out=sum(record.rows_out for record in records),
        rows_quarantined=sum(record.rows_quarantined for record in records),
        reasons=dict(sorted(reasons.items())),
        coerced=dict(sorted(coerced.items())),
    )


def _deduplication(plan: Plan, records: Sequence[TaskRecord]) -> Deduplication:
    """Rows that went through the model, beside all that were read; parts of an earlier run were not looked at."""
    mine = [record for record in records if not record.reused]
    return Deduplication(
        window_rows=plan.deduplicate_rows,
        rows=sum(record.rows_in for record in mine),
        scored_rows=sum(record.scored_rows for record in mine),
        reason=plan.deduplicate_reason,
    )


def _throughput(facts: Facts, records: Sequence[TaskRecord]) -> Throughput:
    rows = sum(record.rows_in for record in records)
    stages = reduce(add, (record.stages for record in records), Stages())
    latencies = reduce(add, (record.latencies for record in records), Latencies())
    seconds = {name: getattr(stages, f"{name}_s") for name in ("read", "features", "inference", "write")}
    return Throughput(
        rows_per_s=round(rows / max(facts.seconds, 1e-9), 1),
        stages=stages,
        stage_rows_per_s={name: round(rows / spent, 1) for name, spent in seconds.items() if spent > 0},
        batch_p50_s=latencies.quantile_s(0.50),
        batch_p95_s=latencies.quantile_s(0.95),
        batch_p99_s=latencies.quantile_s(0.99),
        workers=_workers(facts, records),
        peak_memory_bytes=facts.peak_memory_bytes,
        estimated_seconds=facts.expected_seconds,
        estimated_peak_memory_bytes=facts.layout.estimate.peak_memory_bytes,
        time_line=_time_line(facts, records),
    )


def _workers(facts: Facts, records: Sequence[TaskRecord]) -> tuple[WorkerAccount, ...]:
    """Who did what in this attempt; shares of time mean nothing for the tasks of an earlier one."""
    mine = _of_this_attempt(facts, records)
    span = max((r.started_at_s + r.seconds for r in mine), default=0) - min((r.started_at_s for r in mine), default=0)
    found = []
    for pid in sorted({record.worker for record in mine}):
        done = [record for record in mine if record.worker == pid]
        busy = sum(record.seconds for record in done) / max(span, 1e-9)
        found.append(WorkerAccount(pid, len(done), round(min(busy, 1.0), 4), max(r.peak_memory_bytes for r in done)))
    return tuple(found)


def _time_line(facts: Facts, records: Sequence[TaskRecord]) -> TimeLine:
    mine = sorted(_of_this_attempt(facts, records), key=lambda record: (record.started_at_s, record.task))
    return TimeLine(
        task=[record.task for record in mine],
        worker=[record.worker for record in mine],
        start_s=[round(record.started_at_s - facts.started_at_s, 4) for record in mine],
        seconds=[round(record.seconds, 4) for record in mine],
        read_s=[round(record.stages.read_s, 4) for record in mine],
        features_s=[round(record.stages.features_s, 4) for record in mine],
        inference_s=[round(record.stages.inference_s, 4) for record in mine],
        write_s=[round(record.stages.write_s, 4) for record in mine],
        profile_s=[round(record.stages.profile_s, 4) for record in mine],
    )


def _of_this_attempt(facts: Facts, records: Sequence[TaskRecord]) -> list[TaskRecord]:
    return [record for record in records if record.started_at_s >= facts.started_at_s and not record.reused]


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
