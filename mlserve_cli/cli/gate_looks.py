"""What is shown of a gate's verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.registry import Verdict


def verdict_lines(verdict: Verdict | None, *, recorded: str) -> list[str]:
    """What the gate said, and why it said no."""
    if verdict is None:
        return []
    head = f"gate {shown(verdict.gate)}: {'passed' if verdict.passed else 'NOT passed'}"
    told = f", recorded in the history of {shown(recorded)}" if recorded else ""
    return [head + told, *(f"  {reason}" for reason in verdict.reasons)]


def verdict_error(verdict: Verdict) -> dict[str, str]:
    """What a no is told as."""
    what = f"gate {verdict.gate} said no: {'; '.join(verdict.reasons)}"
    return {"type": "GateFailed", "what": what, "where": "", "hint": "look at the figures; the limits are the gate's"}
