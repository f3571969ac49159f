"""`mlserve audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli import options, parse, telling_options
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import GateFailed, shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.telling import Audited
    from mlserve_cli.telling.chain import Chain


def audit(
    logs: telling_options.Logs,
    since: telling_options.Since = None,
    until: telling_options.Until = None,
    ignore: telling_options.Ignore = None,
    head: telling_options.Head = None,
    fail_on_findings: telling_options.FailOnFindings = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Prove that an audit log is one unbroken chain (else exit 65), and say what is odd in it.

    \b
        mlserve audit audit.log --since 7d

    Odd are a volume, a share of rows set aside, a duration or a rate of failures unlike those before; a user, a
    machine, a model or a version never seen; a gap in a schedule, an odd hour; a run that never ended.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import telling

    found = telling.audit(*logs, since_s=since, until_s=until, ignore=parse.names(ignore or ()), head=head)
    exit_code = GateFailed.exit_code if found.findings and fail_on_findings else 0
    TERMINAL.show_result(_lines(found), _facts(found, exit_code))
    return exit_code


def _lines(found: Audited) -> list[str]:
    """What holds, and a line or two for each finding."""
    lines = []
    for chain in found.chains:
        lines.append(f"holds: {shown(str(chain.path), limit=400)}, {len(chain.lines):,} lines from {_first(chain)}")
        lines.append(f"  head      {chain.head or 'none: the log is empty'}")
    odd = f"{len(found.findings):,} odd" if found.findings else "nothing odd"
    lines.append(f"{found.runs:,} runs, {found.failed_runs:,} failed, {odd}")
    for one in found.findings:
        lines.append(f"  {one.when[:16]}  {one.kind:<13} {one.what}")
        lines.append(f"{'':<20}{'; '.join(part for part in (one.job, one.place) if part)}")
    return lines


def _first(chain: Chain) -> str:
    if chain.begins_at == 1:
        return "its beginning"
    return f"number {chain.begins_at:,}: older files are not here"


def _facts(found: Audited, exit_code: int) -> Facts:
    logs = [
        {
            "log": str(chain.path),
            "files": [str(file) for file in chain.files],
            "lines": len(chain.lines),
            "begins_at": chain.begins_at,
            "head": chain.head,
        }
        for chain in found.chains
    ]
    return {
        "status": "odd" if found.findings else "nothing odd",
        "exit_code": exit_code,
        "logs": logs,
        "runs": found.runs,
        "failed_runs": found.failed_runs,
        "findings": msgspec.to_builtins(found.findings),
    }
