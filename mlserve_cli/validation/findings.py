"""What a validation comes to: findings, each with its weight, and figures."""

from __future__ import annotations

from typing import Literal

from mlserve_cli.contract import Value
from mlserve_cli.errors import InvalidModel, MlserveError

Severity = Literal["error", "warning", "note", "ok"]


class Finding(Value, frozen=True):
    """One thing that a check found. An error makes the model invalid; `ok` says what was checked and held."""

    check: str
    severity: Severity
    what: str
    hint: str = ""


class Outcome(Value, frozen=True):
    """What one check came to."""

    findings: tuple[Finding, ...] = ()
    figures: dict[str, float] = {}


class Validated(Value, frozen=True):
    """The report on one model. `rows` says which rows it was run on; figures have their units in their names."""

    name: str
    version: str
    digest: str
    rows: str
    findings: tuple[Finding, ...]
    figures: dict[str, float]

    @property
    def valid(self) -> bool:
        """Whether nothing was found that keeps it from being run."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0, or 78 where something is wrong."""
        return 0 if self.valid else InvalidModel.exit_code

    def count(self, severity: Severity) -> int:
        """How many findings have this weight."""
        return sum(finding.severity == severity for finding in self.findings)


def of_error(check: str, error: MlserveError, *, severity: Severity = "error") -> Finding:
    """An error that a run would have ended with, as a finding."""
    return Finding(check, severity, "; ".join(part for part in (error.what, error.where) if part), error.hint)


def listed(names: list[str], *, most: int = 5) -> str:
    """Some names of many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
