"""Runs a finished run's plan again and compares what comes out with what came out then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from mlserve_cli import engines, storage, tables
from mlserve_cli.contract import encode_canonical
from mlserve_cli.errors import InvalidModel, RunMismatch, shown
from mlserve_cli.manifest import Environment, Manifest, ModelAccount, TaskRecord, manifest_path_of, read_manifest
from mlserve_cli.planning import Plan, PlannedModel
from mlserve_cli.scoring import single_file
from mlserve_cli.scoring.account import environment
from mlserve_cli.scoring.distance import distances
from mlserve_cli.scoring.layout import engine_for, lay_out
from mlserve_cli.scoring.request import SILENT, Observer, ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel, resolve
from mlserve_cli.scoring.task import Job, TaskFailure, jobs_of, run_job
from mlserve_cli.scoring.verify_run import check_files
from mlserve_cli.tables import os_path, text_of

# What two machines' float32 arithmetic may differ by, where the libraries or the processor are not the same.
TOLERANCE = 1e-5
WHAT_DECIDES = ("onnxruntime", "pyarrow", "numpy", "cpu", "cpu_flags")


class Replayed(msgspec.Struct, frozen=True):
    """The comparison. `identical`: every file to the byte; else `largest_difference` over all scores (absolute).

    `differs` names what of the environment is not as it was then.
    """

    manifest: Manifest
    files: int
    identical: bool
    largest_difference: float
    differs: tuple[str, ...]


def replay(
    run: str,
    *,
    workers: int | None = None,
    registry: str | None = None,
    trust_policy: str | None = None,
    observer: Observer = SILENT,
) -> Replayed:
    """Score the plan of a run again, into a folder that is thrown away; challengers change nothing and are left out.

    The model is looked for where it lay then, or under its name and version in `registry`, where one is given or the
    run had it from one.

    Raises Untrusted (77) where a trust policy does not let the model run now, InvalidModel (78) where it is another,
    InputChanged (75) or InputMissing (66) where an input is, and RunMismatch (65) where the output is not the same: to
    the byte here, within 1e-5 in another environment.
    """
    path = manifest_path_of(run)
    manifest = read_manifest(path)
    check_files(manifest, path.parent)
    model = _same_model(manifest.model, manifest.plan.model, registry=registry, trust_policy=trust_policy)
    arms = _same_arms(manifest, registry=registry, trust_policy=trust_policy)
    plan = _with_models_at(manifest.plan, model, arms)
    for shard in plan.inputs:
        tables.check_unchanged(shard)
    with storage.scratch(encode_canonical(plan)) as staging:
        records = _score_again(plan, (model, *arms), staging, workers=workers, observer=observer)
        return _compare(manifest, path, list(_files(plan, records, staging, path)))


def _same_model(
    account: ModelAccount, planned: PlannedModel, *, registry: str | None, trust_policy: str | None
) -> ResolvedModel:
    if account.registry:
        place, then = f"{account.name}:{account.version}", os_path(account.registry)
        model = resolve(place, registry=registry or then, trust_policy=trust_policy)
    else:
        model = resolve(planned.folder, trust_policy=trust_policy)
    if model.package.digest != planned.digest:
        raise InvalidModel(
            f"the model is another one now: {model.package.digest}, the run was made by {planned.digest}",
            shown(planned.path, limit=400),
            "put back the version that made the run",
        )
    return model


def _same_arms(manifest: Manifest, *, registry: str | None, trust_policy: str | None) -> tuple[ResolvedModel, ...]:
    """The other models of a split."""
    split, account = manifest.plan.split, manifest.split
    if split is None or account is None:
        return ()
    return tuple(
        _same_model(arm.model, rival.model, registry=registry, trust_policy=trust_policy)
        for arm, rival in zip(account.arms[1:], split.rivals, strict=True)
    )


def _with_models_at(plan: Plan, model: ResolvedModel, arms: Sequence[ResolvedModel]) -> Plan:
    """The same plan without challengers or profile, and with the models where they lie now."""
    own = replace(plan, model=_at(plan.model, model), challengers=(), profile_every=0)
    if plan.split is None:
        return own
    rivals = tuple(
        replace(rival, model=_at(rival.model, arm)) for rival, arm in zip(plan.split.rivals, arms, strict=True)
    )
    return replace(own, split=replace(plan.split, rivals=rivals))


def _at(planned: PlannedModel, model: ResolvedModel) -> PlannedModel:
    return replace(planned, path=text_of(model.package.path))


def _score_again(
    plan: Plan, models: Sequence[ResolvedModel], staging: storage.Staging, *, workers: int | None, observer: Observer
) -> list[TaskRecord]:
    request = ScoreRequest(model=plan.model.folder, inputs=(), output="", workers=workers)
    layout = lay_out(plan, request, model_bytes=sum(model.facts.size_bytes for model in models))
    observer.planned(plan, layout.estimate)
    observer.stage("scoring")
    jobs = jobs_of(plan.tasks, staging=staging, layout=layout)
    records: dict[int, TaskRecord] = {}
    with engine_for(layout, max_retries=request.max_retries) as engine:
        for event in engine.run(jobs, run_job, standing=_nothing_stands):
            match event:
                case engines.Finished(result=TaskRecord() as record):
                    records[record.task] = record
                    observer.finished(record, resumed=False)
                case engines.Finished(result=TaskFailure() as failure):
                    raise failure.noted()
                case engines.Died(detail=detail, given_up=True):
                    raise RunMismatch(f"a task that was scored then kills its worker now: {detail}")
                case _:
                    observer.lost("a worker died")
    return [records[task.id] for task in plan.tasks]


def _nothing_stands(job: Job) -> None:
    """A replay has nothing to take up: a worker that dies has done nothing."""


def _files(
    plan: Plan, records: list[TaskRecord], staging: storage.Staging, manifest_path: Path
) -> Iterator[tuple[Path, str]]:
    """The files that the run would consist of now, with their digests, in the manifest's order."""
    if manifest_path.name != "manifest.json":
        out = manifest_path.with_name(manifest_path.name.removesuffix(".manifest.json"))
        for file in single_file.merge(plan, staging, out):
            yield staging.payload / file.path, file.sha256
        return
    for record in records:
        yield staging.data / record.part.name, record.part.sha256
        if record.quarantine is not None:
            yield staging.quarantine / record.quarantine.name, record.quarantine.sha256


def _compare(manifest: Manifest, path: Path, found: list[tuple[Path, str]]) -> Replayed:
    then = [file for file in manifest.outputs if file.kind in ("data", "quarantine")]
    if len(found) != len(then):
        raise RunMismatch(f"{len(found)} files now, {len(then)} then", str(path), "look at the quarantine")
    differs = _differs(manifest.environment)
    unlike = [(new, old) for (new, digest), old in zip(found, then, strict=True) if digest != old.sha256]
    largest = max((_distance(new, path.parent / old.path) for new, old in unlike), default=0.0)
    if unlike and not differs:
        raise RunMismatch(
            f"{len(unlike)} of {len(found)} files differ, the scores by up to {largest:.3g}",
            shown(str(path.parent / unlike[0][1].path), limit=400),
            "same model, same inputs, same environment: please report it",
        )
    if not largest <= TOLERANCE:
        raise RunMismatch(
            f"scores differ by up to {largest:.3g}, more than {TOLERANCE:g}",
            f"the environment differs in {', '.join(differs)}",
            "score it again where it was scored, or compare the quality of both",
        )
    return Replayed(manifest, len(found), not unlike, largest, differs)


def _differs(then: Environment) -> tuple[str, ...]:
    now = environment(threads=then.threads_per_worker)
    return tuple(name for name in WHAT_DECIDES if getattr(then, name) != getattr(now, name))


def _distance(new: Path, old: Path) -> float:
    """The largest difference of any score of two files; infinite where anything else differs."""
    one, other = tables.read_part(str(new)), tables.read_part(str(old))
    if one.num_rows != other.num_rows or one.column_names != other.column_names:
        return float("inf")
    columns = ((one[name], other[name]) for name in one.column_names)
    return max((float(distances(*pair).max(initial=0.0)) for pair in columns), default=0.0)
