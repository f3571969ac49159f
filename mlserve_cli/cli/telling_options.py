"""The options of `score` that tell others of a run, and of `audit`, which reads one of them."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import parse
from mlserve_cli.cli.command import option

TELL, ODD = "Telling others", "What is odd"

PrometheusFile = Annotated[
    str | None,
    option(
        "--prometheus-file",
        panel=TELL,
        metavar="F.prom",
        help="Write metrics of the run for node_exporter's textfile collector; of failed runs too.",
    ),
]
OpenlineageFile = Annotated[
    str | None,
    option(
        "--openlineage-file",
        panel=TELL,
        metavar="F",
        help="Append OpenLineage events: START, then COMPLETE, FAIL or ABORT, a line of JSON each.",
    ),
]
LogFile = Annotated[
    str | None,
    option("--log-file", panel=TELL, metavar="F", help="Append one line of JSON when the run has ended, well or not."),
]
AuditLog = Annotated[
    str | None,
    option(
        "--audit-log",
        panel=TELL,
        metavar="F",
        help="Append who ran what and how it ended, as lines chained by their digests. No run without its entry.",
    ),
]
Logs = Annotated[
    list[str],
    typer.Argument(metavar="LOG", help="Audit logs; what was rotated away beside each is found.", show_default=False),
]
Since = Annotated[
    float | None,
    option(
        "--since",
        panel=ODD,
        metavar="WHEN",
        help="Report what is odd since then: a date or time (UTC), or 30d, 12h ago; what was before is the measure.",
        converter=parse.moment,
    ),
]
Until = Annotated[
    float | None,
    option(
        "--until",
        panel=ODD,
        metavar="WHEN",
        help="Look as if it were then, for a log that ended long ago. Default: now.",
        converter=parse.moment,
    ),
]
Ignore = Annotated[
    list[str] | None,
    option("--ignore", panel=ODD, metavar="KIND,…", help="Kinds of findings that are not reported, as in new-version."),
]
Head = Annotated[
    str | None,
    option(
        "--head",
        panel=ODD,
        metavar="DIGEST",
        help="A line's digest that was noted elsewhere must still be in a log, else exit 65.",
    ),
]
FailOnFindings = Annotated[bool, option("--fail-on-findings", panel=ODD, help="Exit with 4 where anything is odd.")]
