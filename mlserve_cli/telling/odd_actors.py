"""Who and what was never seen before: a user, a machine, a model, a version of it, another model under an old name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mlserve_cli.errors import shown
from mlserve_cli.telling.entries import Model
from mlserve_cli.telling.findings import Finding, Kind
from mlserve_cli.telling.runs import AuditedRun

FEWEST_RUNS = 20  # in a young log everyone is new


@dataclass(slots=True)
class _Seen:
    users: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    digests: dict[str, dict[str, str]] = field(default_factory=dict)  # by name, by version


def new_actors(runs: Sequence[AuditedRun]) -> Iterator[Finding]:
    """Everything that comes for the first time once the log is long enough to know who usually comes."""
    seen = _Seen()
    for place, run in enumerate(runs):
        if place >= FEWEST_RUNS:
            yield from _new(run, seen)
        seen.users.add(run.user)
        seen.hosts.add(run.host)
        for model in _models(run):
            seen.digests.setdefault(model.name, {})[_version(model)] = model.digest


def _new(run: AuditedRun, seen: _Seen) -> Iterator[Finding]:
    if run.user not in seen.users:
        yield _finding("new-user", run, f"user {shown(run.user)} never ran anything before", user=run.user)
    if run.host not in seen.hosts:
        yield _finding("new-host", run, f"nothing ran on {shown(run.host)} before", host=run.host)
    for model in _models(run):
        yield from _new_model(run, model, seen)


def _new_model(run: AuditedRun, model: Model, seen: _Seen) -> Iterator[Finding]:
    facts = {"model": model.name, "version": model.version, "digest": model.digest}
    versions = seen.digests.get(model.name)
    if versions is None:
        yield _finding("new-model", run, f"model {shown(model.name)} never ran before", **facts)
    elif _version(model) not in versions:
        named = model.version or model.digest[:19]
        yield _finding("new-version", run, f"version {shown(named)} of {shown(model.name)} never ran before", **facts)
    elif versions[_version(model)] != model.digest:
        what = f"{shown(model.name)}:{shown(model.version)} is not the model that ran under this name before"
        yield _finding("changed-model", run, what, before=versions[_version(model)], **facts)


def _models(run: AuditedRun) -> Sequence[Model]:
    """Every model that scored rows of the run, challengers too."""
    ended = run.ended
    return [*([ended.model] if ended.model is not None else []), *ended.others] if ended is not None else []


def _version(model: Model) -> str:
    """A model that comes from no registry has no version: then its digest is what tells two apart."""
    return model.version or model.digest


def _finding(kind: Kind, run: AuditedRun, what: str, **figures: str) -> Finding:
    entry = run.line.entry
    return Finding(kind, entry.when, run.line.place, run.job, entry.run, what, dict(figures))
