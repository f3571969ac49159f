"""`mlserve model validate`: everything that is wrong or odd about a model, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlserve_cli.cli import options
from mlserve_cli.cli.command import option
from mlserve_cli.cli.model.options import Registry
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.validation import Finding, Validated

MARKS = {"error": "ERROR", "warning": "warning", "note": "note", "ok": "ok"}
MEBIBYTE = 1 << 20


def validate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="An .onnx file, a package folder, or NAME, NAME@ALIAS, NAME:VERSION in the registry."
        ),
    ],
    data: Annotated[
        list[str] | None,
        option(
            "--data",
            panel=options.DATA,
            metavar="PATH",
            help="Rows to try it on: a file, a folder or a glob; may be given again. Default: its golden rows.",
        ),
    ] = None,
    features: options.Features = None,
    registry: Registry = None,
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Look at a model from all sides before it scores anything, and tell all that is wrong with it.

    \b
        mlserve model validate churn@champion
        mlserve model validate champion.onnx --data rows.parquet

    The checker of ONNX, the contract, opsets and operators, golden rows, whether a row's score depends on its batch or
    on threads, what missing values and infinities do, the cost of a row, the signature. The exit code is 78 where
    something is wrong; warnings and notes leave it 0. The model's code runs in a process apart.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    found = life.validate(
        model, data=tuple(data or ()), features=tuple(features or ()), registry=registry, trust_policy=trust_policy
    )
    TERMINAL.show_result(validated_lines(found), validated_facts(found))
    return found.exit_code


def validated_lines(found: Validated) -> list[str]:
    """A table of the findings, the worst of them marked, and the figures."""
    name = f"{shown(found.name)}{':' + shown(found.version) if found.version else ''}"
    counts = f"{found.count('error')} errors, {found.count('warning')} warnings, {found.count('note')} notes"
    lines = [f"{name}: {'valid' if found.valid else 'not valid'}, {counts}", f"  tried on  {found.rows}"]
    for finding in found.findings:
        lines += _finding_lines(finding)
    memory = found.figures.get("session_memory_bytes")
    if memory is not None:
        lines.append(f"  {'':<8} {'memory':<15} {memory / MEBIBYTE:.1f} MiB for a session")
    return lines


def validated_facts(found: Validated) -> Facts:
    """The whole report; on failure with an `error`, as every command has it."""
    import msgspec

    report: dict[str, object] = msgspec.to_builtins(found)
    if found.valid:
        return {"status": "complete", "exit_code": 0, **report}
    first = next(finding for finding in found.findings if finding.severity == "error")
    error = {"type": "InvalidModel", "what": first.what, "where": first.check, "hint": first.hint}
    return {"status": "failed", "exit_code": found.exit_code, "error": error, **report}


def _finding_lines(finding: Finding) -> list[str]:
    line = f"  {MARKS[finding.severity]:<8} {finding.check:<15} {finding.what}"
    if finding.hint and finding.severity in ("error", "warning"):
        return [line, f"  {'':<8} {'':<15} -> {finding.hint}"]
    return [line]
