"""Packages, each a model with its contract and digests; the registry with its versions, aliases and history."""

from mlserve_cli.registry.baseline import BASELINE_FILE, read_baseline
from mlserve_cli.registry.find import Found, find
from mlserve_cli.registry.gates import Gate, read_gate
from mlserve_cli.registry.history import Entry, History, Verdict
from mlserve_cli.registry.names import CHAMPION, Reference, checked_name, default_root, is_path, parse_reference
from mlserve_cli.registry.package_file import (
    PACKAGE_FILE,
    PACKAGE_FORMAT,
    GateResult,
    Golden,
    Lineage,
    Operation,
    PackageFile,
    json_schema,
)
from mlserve_cli.registry.packages import Package, open_package
from mlserve_cli.registry.registry import UNUSED_DAYS, Change, Registry, login_name
from mlserve_cli.registry.subject import signature_path, subject_of
from mlserve_cli.registry.uses import Use, note_use
from mlserve_cli.registry.write import write_package

__all__ = [
    "BASELINE_FILE",
    "CHAMPION",
    "PACKAGE_FILE",
    "PACKAGE_FORMAT",
    "UNUSED_DAYS",
    "Change",
    "Entry",
    "Found",
    "Gate",
    "GateResult",
    "Golden",
    "History",
    "Lineage",
    "Operation",
    "Package",
    "PackageFile",
    "Reference",
    "Registry",
    "Use",
    "Verdict",
    "checked_name",
    "default_root",
    "find",
    "is_path",
    "json_schema",
    "login_name",
    "note_use",
    "open_package",
    "parse_reference",
    "read_baseline",
    "read_gate",
    "signature_path",
    "subject_of",
    "write_package",
]
