"""What a gate says of a run's drift: a verdict on the version that scored the run, beside no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from mlserve_cli.errors import InputMissing, UsageError, shown
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.monitoring.gate import GateRequest, check_recordable, evidence_of, gate_of, only_version, record
from mlserve_cli.monitoring.proved import profile_of
from mlserve_cli.profiles import ColumnDrift, Drift
from mlserve_cli.registry import Gate, Verdict

NO_DRIFT = {"drifted_columns": 0.0}
NAMED = 5
MOST_TOLD = 20  # of the columns that drifted: everybody who reads the history reads them all


class JudgedDrift(msgspec.Struct, frozen=True):
    """What the gate said; `recorded` is the version in whose history it stands, "" where it was not to be."""

    verdict: Verdict
    recorded: str = ""


class DriftGate(msgspec.Struct, frozen=True):
    """A gate for one drift; that no column drifted is a limit of it, too. `run` is None where nothing is recorded."""

    gate: Gate
    asked: GateRequest
    run: FoundRun | None = None

    def judge(self, found: Drift) -> JudgedDrift:
        """The verdict, recorded in the history of the version that scored the run where that is wanted."""
        whole, drifted = dict(_of_all(found)), [column for column in found.columns if column.reasons]
        gate = self.gate.tightened(least={}, most=NO_DRIFT)
        verdict = gate.judge(whole | dict(_of_columns(found.columns)), by="drift", rows=found.now_rows)
        told = {*whole, *gate.least, *gate.most, *dict(_of_columns(drifted[:MOST_TOLD]))}
        named = [f"drifted: {', '.join(shown(column.name) for column in drifted[:NAMED])}"] if drifted else []
        verdict = msgspec.structs.replace(
            verdict,
            figures={name: value for name, value in verdict.figures.items() if name in told},
            reasons=(*verdict.reasons, *named),
            evidence={**evidence_of([self.run] if self.run else []), f"base {found.base}": found.base_digest},
        )
        if self.run is None:
            return JudgedDrift(verdict)
        return JudgedDrift(verdict, record(verdict, self.asked, version=self.run.manifest.model))


def drift_gate(now: str, asked: GateRequest) -> DriftGate | None:
    """The gate that is asked for, ready to judge how far NOW has drifted; None where none is.

    Raises UsageError (2) where the verdict is to be recorded and NOW is no run of one version of a registry,
    RunMismatch (65) where its profile is not the one that the run wrote.
    """
    gate = gate_of(asked, has_limits=True)
    if gate is None or not asked.record:
        return None if gate is None else DriftGate(gate, asked)
    run = _run_at(now)
    check_recordable(only_version([run]), asked)
    profile_of(run)
    return DriftGate(gate, asked, run)


def _run_at(now: str) -> FoundRun:
    try:
        runs = find_runs(now)
    except InputMissing:
        runs = ()
    if len(runs) != 1:
        raise UsageError(
            f"{shown(now, limit=400)} is no run, and a verdict is on the version that scored one",
            "NOW",
            "score it with NAME:VERSION and name that run, or leave out --record",
        )
    return runs[0]


def _of_all(found: Drift) -> Iterator[tuple[str, float]]:
    """Counts, and of each figure the worst of all columns."""
    yield from (("rows", found.now_rows), ("base_rows", found.base_rows))
    drifted = [column.role for column in found.columns if column.reasons]
    yield from (("drifted_columns", len(drifted)), ("drifted_features", drifted.count("feature")))
    yield from (("drifted_scores", drifted.count("score")), ("missing_columns", len(found.missing)))
    yield "added_columns", len(found.added)
    worst: dict[str, float] = {}
    for column in found.columns:
        for name, value in _of_column(column):
            worst[name] = max(value, worst.get(name, value))
    yield from worst.items()


def _of_columns(columns: Sequence[ColumnDrift]) -> Iterator[tuple[str, float]]:
    for column in columns:
        for name, value in _of_column(column):
            yield f"{name}.{column.name}", value


def _of_column(column: ColumnDrift) -> Iterator[tuple[str, float]]:
    """By the names that limits have in a file of thresholds."""
    yield from (("psi", column.psi), ("js", column.js))
    if column.ks is not None:
        yield "ks", column.ks
    yield "nulls", abs(column.now_null_share - column.base_null_share)
    yield from (("out_of_range", column.out_of_range), ("unseen", column.unseen))
