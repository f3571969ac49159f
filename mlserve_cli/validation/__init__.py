"""Everything that is wrong or odd about a model, found before it scores anything; its code runs in a process apart."""

from mlserve_cli.validation.findings import Finding, Validated
from mlserve_cli.validation.validate import validate

__all__ = ["Finding", "Validated", "validate"]
