"""What a gate says of a comparison, and the registry's note of it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.errors import UsageError, shown
from mlserve_cli.registry import Gate, Registry, read_gate
from mlserve_cli.rollout.values import Compared, Subject, figures_of


def gate_of(path: str | None, name: str, *, record: bool) -> Gate | None:
    """The gate that is asked for, None where none is. Read first, so that a mistyped name costs no time.

    Raises UsageError (2) where the options do not go together, and what `read_gate` raises.
    """
    if record and not name:
        raise UsageError("--record records what a gate says", "", "name one with --gate")
    if not name:
        return None
    if not path:
        raise UsageError(f"gate {shown(name)} stands in no file", "", "name the file with --gates, or MLSERVE_GATES")
    return read_gate(path, name)


def judged(found: Compared, gate: Gate, *, record: bool, registry: str | None, why: str, by: str) -> Compared:
    """The comparison with the gate's verdict on B, recorded in B's history where that is wanted.

    Raises UsageError (2) where there are several comparisons, or B is no version of a registry.
    """
    if len(found.comparisons) != 1:
        arms = ", ".join(shown(one.b.spelled) for one in found.comparisons)
        raise UsageError("a gate judges one comparison", "", f"name one of them with --challenger: {arms}")
    (compared,) = found.comparisons
    verdict = gate.judge(figures_of(compared), by="compare", rows=compared.rows)
    verdict = msgspec.structs.replace(
        verdict, against=compared.a.digest, against_name=compared.a.spelled, evidence=compared.evidence
    )
    recorded = ""
    if record:
        shelves, version = _shelves(compared.b, registry)
        shelves.record_verdict(compared.b.name, version, verdict, why=why, by=by)
        recorded = compared.b.spelled
    return msgspec.structs.replace(found, verdict=verdict, recorded=recorded)


def _shelves(b: Subject, registry: str | None) -> tuple[Registry, int]:
    """The registry of B's version, which must still have that very package there."""
    if not (b.registry and b.version.isdecimal()):
        raise UsageError(
            f"{shown(b.spelled)} is no version of a registry, so there is no history to record in",
            "",
            "compare NAME:VERSION, or leave out --record",
        )
    shelves = Registry(Path(registry or b.registry).absolute())
    added = shelves.history(b.name).versions.get(int(b.version))
    if added is not None and added.digest != b.digest:
        raise UsageError(
            f"{b.spelled} is another package in that registry than the one that was compared",
            shown(str(shelves.root), limit=400),
            f"name the registry of the runs, {shown(b.registry, limit=400)}",
        )
    return shelves, int(b.version)
