"""`mlserve inspect`: what a thing is, before anything is run."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.terminal import TERMINAL


def inspect(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A model, a finished run, or data.")],
    registry: options.Registry = None,
    trust_policy: options.TrustPolicy = None,
    features: options.Features = None,
    rename: options.Rename = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Show a model's tensors and what feeds them, a run's account, or the columns and rows of data.

    \b
        mlserve inspect champion.onnx
        mlserve inspect champion.onnx --features distance,hour
        mlserve inspect churn@champion
        mlserve inspect day=2026-11-23/
    """
    TERMINAL.configure(json=json, verbose=verbose)
    from mlserve_cli import scoring
    from mlserve_cli.cli.looks import inspected_facts, inspected_lines

    found = scoring.inspect(
        target,
        features=tuple(features or ()),
        rename=parse.renames(rename),
        dialect=parse.dialect(delimiter, encoding=encoding, quote=quote),
        input_format=input_format,
        registry=registry,
        trust_policy=trust_policy,
    )
    TERMINAL.show_result(inspected_lines(found), inspected_facts(found), on_request=True)
    return 0
