"""`mlserve verify` and `mlserve replay`: what a finished run is worth."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import options
from mlserve_cli.cli.terminal import TERMINAL

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, its output file, or its manifest.", show_default=False)
]


def verify(run: Run, json: options.Json = False, quiet: options.Quiet = False, verbose: options.Verbose = False) -> int:
    """Prove a finished run: every digest, every row once and in order, nothing extra; else exit 65.

    \b
        mlserve verify runs/2026-11-23
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import scoring
    from mlserve_cli.cli.summary import verified_facts, verified_lines

    found = scoring.verify(run)
    TERMINAL.show_result(verified_lines(found), verified_facts(found))
    return 0


def replay(
    run: Run,
    registry: options.Registry = None,
    trust_policy: options.TrustPolicy = None,
    workers: options.Workers = "auto",  # type: ignore[assignment]  # the default is converted too
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
) -> int:
    """Score a run's plan again and compare the output: to the byte, or within 1e-5 in another environment.

    \b
        mlserve replay runs/2026-11-23/manifest.json
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    from mlserve_cli import scoring
    from mlserve_cli.cli.progress import watching
    from mlserve_cli.cli.summary import replayed_facts, replayed_lines

    with watching() as observer:
        found = scoring.replay(
            run, workers=workers or None, registry=registry, trust_policy=trust_policy, observer=observer
        )
    TERMINAL.show_result(replayed_lines(found), replayed_facts(found))
    return 0
