"""`mlserve model baseline`: a version with the profile of its training data, of one that lacks it."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import options
from mlserve_cli.cli.model.options import By, Name, Package, Registry, Why
from mlserve_cli.cli.terminal import TERMINAL


def baseline(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A package, or NAME in the registry.", show_default=False)
    ],
    profile: Annotated[
        str,
        typer.Argument(
            metavar="PROFILE",
            help="The profile of its training data, of `mlserve profile`, or a run that has one.",
            show_default=False,
        ),
    ],
    name: Name = None,
    output: Package = None,
    registry: Registry = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Give a model the profile of its training data: later runs are held against it. MODEL itself stays as it is.

    \b
        mlserve profile train/ --model churn:3 --output training.json
        mlserve model baseline churn:3 training.json --name churn

    A package never changes, so a new one is made: the same model to the byte, with all that MODEL's package says. Its
    digest is another, so it is signed anew where signatures are asked for.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.cli.model.made_looks import made_facts, made_lines
    from mlserve_cli.optimize.made import Place

    place = Place(output=output or "", name=name or "", registry=registry, why=why, by=by or "")
    made = life.baseline(model, profile, place)
    TERMINAL.show_result(made_lines(made), made_facts(made))
    return 0
