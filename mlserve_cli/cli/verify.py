"""`mlserve verify` and `mlserve replay`: what a finished run is worth."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import parse
from mlserve_cli.cli.settings import variable
from mlserve_cli.cli.terminal import TERMINAL

RUN = "A run's folder, its output file, or its manifest."
Json = Annotated[
    bool,
    typer.Option("--json", envvar=variable("--json"), show_envvar=False, help="Print the result as one line of JSON."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", envvar=variable("--quiet"), show_envvar=False, help="Exit code alone.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", envvar=variable("--verbose"), show_envvar=False, help="Traces of errors.")
]


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN)],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Prove a finished run: every digest, every row once and in order, nothing extra; else exit 65.

    mlserve verify runs/2026-11-23
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import scoring
    from mlserve_cli.cli.summary import verified_facts, verified_lines

    found = scoring.verify(run)
    TERMINAL.show_result(verified_lines(found), verified_facts(found))
    return 0


def replay(
    run: Annotated[str, typer.Argument(metavar="MANIFEST", help=RUN)],
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            parser=parse.auto_or_count,
            metavar="auto|N",
            envvar=variable("--workers"),
            show_envvar=False,
            help="Worker processes.",
        ),
    ] = "auto",  # type: ignore[assignment]  # Typer parses the default too
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Score a run's plan again and compare the output: to the byte, or within 1e-5 in another environment.

    mlserve replay runs/2026-11-23/manifest.json
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import scoring
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.cli.summary import replayed_facts, replayed_lines

    with watching() as observer:
        found = scoring.replay(run, workers=workers or None, observer=observer)
    TERMINAL.show_result(replayed_lines(found), replayed_facts(found))
    return 0
