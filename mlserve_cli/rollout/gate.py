"""What a gate says of a comparison: a verdict on B, held against A."""

from __future__ import annotations

import msgspec

from mlserve_cli.errors import UsageError, shown
from mlserve_cli.monitoring.gate import GateRequest, record
from mlserve_cli.registry import Gate
from mlserve_cli.rollout.values import Compared, figures_of


def judged(found: Compared, gate: Gate, asked: GateRequest) -> Compared:
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
    recorded = record(verdict, asked, version=compared.b) if asked.record else ""
    return msgspec.structs.replace(found, verdict=verdict, recorded=recorded)
