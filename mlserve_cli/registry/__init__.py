"""Packages and the registry: a model with its contract, golden rows and digests; versions, aliases and their history."""

from mlserve_cli.registry.package_file import (
    PACKAGE_FILE,
    PACKAGE_FORMAT,
    GateResult,
    Golden,
    Lineage,
    Operation,
    PackageFile,
)
from mlserve_cli.registry.packages import Package, open_package
from mlserve_cli.registry.write import write_package

__all__ = [
    "PACKAGE_FILE",
    "PACKAGE_FORMAT",
    "GateResult",
    "Golden",
    "Lineage",
    "Operation",
    "Package",
    "PackageFile",
    "open_package",
    "write_package",
]
