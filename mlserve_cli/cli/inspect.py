"""`mlserve inspect`: what a thing is, before anything is run."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import parse
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.cli.verify import Json, Verbose


def inspect(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A model, a finished run, or data.")],
    features: Annotated[
        list[str] | None, typer.Option("--features", metavar="A,B,C", help="As for score: what would be fed to what.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="FILE_COL=MODEL_COL", help="As for score.")
    ] = None,
    delimiter: Annotated[str, typer.Option("--delimiter", metavar="C", help="As for score.")] = "",
    encoding: Annotated[str, typer.Option("--encoding", metavar="NAME", help="As for score.")] = "utf-8",
    json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show a model's tensors and what feeds them, a run's account, or the columns and rows of data.

    mlserve inspect champion.onnx
    """
    TERMINAL.configure(json=json, verbose=verbose)
    from mlserve_cli import scoring
    from mlserve_cli.cli.looks import inspected_facts, inspected_lines
    from mlserve_cli.tables import Dialect, delimiter_named

    found = scoring.inspect(
        target,
        features=tuple(features or ()),
        rename={model: file for file, model in parse.pairs(rename or (), "--rename").items()},
        dialect=Dialect(delimiter=delimiter_named(delimiter), encoding=encoding),
    )
    TERMINAL.show_result(inspected_lines(found), inspected_facts(found), on_request=True)
    return 0
