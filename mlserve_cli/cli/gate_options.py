"""The options by which a gate judges what was found, and its verdict goes into a version's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mlserve_cli.cli.command import option

if TYPE_CHECKING:
    from mlserve_cli.monitoring.gate import GateRequest

GATE = "Gate"

Gates = Annotated[
    str | None,
    option("--gates", panel=GATE, metavar="F.toml", help="A file of named gates: limits on figures by their names."),
]
Gate = Annotated[
    str,
    option("--gate", panel=GATE, metavar="NAME", help="Hold the figures against this gate; exit 4 on a no."),
]
Record = Annotated[
    bool,
    option(
        "--record",
        panel=GATE,
        help="Write what the gate said into the history of the version, for model alias --if-passes.",
    ),
]
Why = Annotated[str, option("--why", panel=GATE, metavar="TEXT", help="Why it is done.")]
By = Annotated[str | None, option("--by", panel=GATE, metavar="WHO", help="Who does it. Default: the login name.")]


def gate_request(
    gates: str | None, gate: str, *, record: bool, registry: str | None, why: str, by: str | None
) -> GateRequest:
    """What was asked of a gate."""
    from mlserve_cli.monitoring.gate import GateRequest

    return GateRequest(gates=gates, gate=gate, record=record, registry=registry, why=why, by=by or "")
