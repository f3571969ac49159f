"""What a gate says of a version on the word of finished runs, and the registry's note of it: one way for every command
that judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from mlserve_cli.contract import sha256_of
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.manifest import FoundRun, ModelAccount
from mlserve_cli.registry import Gate, Registry, Verdict, checked_name, read_gate
from mlserve_cli.tables import text_of

if TYPE_CHECKING:
    from mlserve_cli.monitoring.labels import Labels

RUNS_NAMED = 20


class GateRequest(msgspec.Struct, frozen=True):
    """Which gate judges: `gate` of the file `gates`, and whether its verdict is to be recorded, by whom and why.

    `registry` is where the history lies, by default where the runs say that their model came from.
    """

    gates: str | None = None
    gate: str = ""
    record: bool = False
    registry: str | None = None
    why: str = ""
    by: str = ""


NO_GATE = GateRequest()


class Version(Protocol):
    """What a manifest says of a model: a version where it came from a registry."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def registry(self) -> str: ...


def gate_of(asked: GateRequest, *, has_limits: bool = False) -> Gate | None:
    """The gate that is asked for, None where none is. Read first, so that a mistyped name costs no time.

    A command that `has_limits` of its own needs no file: those are the gate then.

    Raises UsageError (2) where the options do not go together, and what `read_gate` raises.
    """
    if asked.record and not asked.gate:
        raise UsageError("--record records what a gate says", "", "name one with --gate")
    if not asked.gate:
        return None
    if asked.gates:
        return read_gate(asked.gates, asked.gate)
    if has_limits:
        return Gate(checked_name(asked.gate, what="gate"), least={}, most={})
    raise UsageError(f"gate {shown(asked.gate)} stands in no file", "", "name the file with --gates, or MLSERVE_GATES")


def only_version(runs: Sequence[FoundRun]) -> ModelAccount:
    """The model whose scores all these runs hold. UsageError (2) where there are several: no verdict is on two."""
    for run in runs:
        if run.manifest.split is not None:
            raise UsageError(
                "the rows were divided between models, and a verdict is on one version",
                shown(called(run), limit=400),
                "mlserve compare judges one arm beside the other",
            )
    models = {(run.manifest.model.name, run.manifest.model.digest): run.manifest.model for run in runs}
    if len(models) > 1:
        some = ", ".join(shown(spelled(model)) for model in models.values())
        raise UsageError(f"the runs are of several versions: {some}", "", "name the runs of one of them")
    return runs[-1].manifest.model


def record(verdict: Verdict, asked: GateRequest, *, version: Version) -> str:
    """Put the verdict into the history of the version; what that is called."""
    shelves = check_recordable(version, asked)
    shelves.record_verdict(version.name, int(version.version), verdict, why=asked.why, by=asked.by)
    return spelled(version)


def check_recordable(version: Version, asked: GateRequest) -> Registry:
    """The version's registry, which must still have that very package there. UsageError (2) where there is none."""
    if not (version.registry and version.version.isdecimal()):
        raise UsageError(
            f"{shown(spelled(version))} is no version of a registry, so there is no history to record in",
            "",
            "name NAME:VERSION where it is scored, or leave out --record",
        )
    shelves = Registry(Path(asked.registry or version.registry).absolute())
    added = shelves.history(version.name).versions.get(int(version.version))
    if added is not None and added.digest != version.digest:
        raise UsageError(
            f"{spelled(version)} is another package in that registry than the one that scored",
            shown(str(shelves.root), limit=400),
            f"name the registry of the runs, {shown(version.registry, limit=400)}",
        )
    return shelves


def evidence_of(runs: Sequence[FoundRun], labels: Labels | None = None) -> dict[str, str]:
    """The digest of each run's manifest and each file of labels that a verdict rests on.

    Of many runs it is one over all of theirs: a verdict goes into a history that everybody reads.
    """
    found = {called(run): run.manifest.digest for run in runs}
    if len(found) > RUNS_NAMED:
        found = {f"{len(found)} runs, the last {called(runs[-1])}": f"sha256:{sha256_of(sorted(found.items()))}"}
    told = {} if labels is None else {f"labels {name}": digest for name, digest in labels.sources.items()}
    return {**found, **told}


def called(run: FoundRun) -> str:
    """A run's place, as text."""
    return text_of(str(run.path))


def spelled(version: Version) -> str:
    """NAME:VERSION, or the name alone."""
    return f"{version.name}:{version.version}" if version.version else version.name
