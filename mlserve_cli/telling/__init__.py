"""Where others look: a run told to Prometheus, OpenLineage, a log and an audit log; and what is odd in the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli.telling.run_told import told
from mlserve_cli.telling.tell import SILENCE, Tell

if TYPE_CHECKING:
    from mlserve_cli.telling.auditing import Audited, audit
    from mlserve_cli.telling.findings import Finding

__all__ = ["SILENCE", "Audited", "Finding", "Tell", "audit", "told"]
_HOMES = {"Audited": "auditing", "Finding": "findings", "audit": "auditing"}


def __getattr__(name: str) -> object:
    """Loaded when first asked for: a run that is scored looks for nothing odd."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
