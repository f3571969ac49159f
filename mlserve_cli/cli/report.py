"""`mlserve report`: a run, or many, as a page to send to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlserve_cli.cli import options
from mlserve_cli.cli.command import option
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.reporting import Reported

PAGE = "Page"


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's folder, its output file or its manifest; or a folder of runs.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        option(
            "--output",
            "-o",
            panel=PAGE,
            metavar="FILE.html",
            help="Where the page goes. Default: beside RUN, RUN.report.html.",
        ),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        option(
            "--evaluation",
            panel=PAGE,
            metavar="FILE",
            help="What evaluate wrote, or a glob: adds the quality of the scores. May be given several times.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        option(
            "--baseline",
            panel=PAGE,
            metavar="PROFILE",
            help="Draw the columns against this profile.json, package or run. Default: what RUN was compared with.",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Write one page of HTML about a run, or about all runs in a folder: it needs no network and fits a mail.

    \b
        mlserve report runs/2026-11-23
        mlserve report runs/ -o trends.html

    What ran, every row accounted for, scores, drift, other models, quality, speed on a time line, and where it all
    comes from; of many runs how that went over time. An earlier report is replaced, anything else is not.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import reporting

    found = reporting.report(run, output=output, evaluation=evaluation or (), baseline=baseline)
    for error in found.skipped:
        TERMINAL.warn(f"left out: {error.what}; {error.where}")
    TERMINAL.show_result(reported_lines(found), reported_facts(found))
    return 0


def reported_lines(found: Reported) -> list[str]:
    """The verdict, and where the page is."""
    return [
        f"report: {found.verdict.headline}",
        *(f"  {finding.mark:<9} {finding.what}" for finding in found.verdict.findings),
        f"  page      {shown(str(found.path), limit=400)} ({found.size_bytes:,} bytes)",
    ]


def reported_facts(found: Reported) -> Facts:
    """The same for machines."""
    return {
        "status": "complete",
        "exit_code": 0,
        "page": str(found.path),
        "size_bytes": found.size_bytes,
        "runs": found.runs,
        "verdict": found.verdict.mark,
        "headline": found.verdict.headline,
        "findings": [{"mark": finding.mark, "what": finding.what} for finding in found.verdict.findings],
        "left_out": [str(error) for error in found.skipped],
    }
