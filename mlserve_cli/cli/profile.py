"""`mlserve profile`: what the values of data or a run look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option, taking
from mlserve_cli.cli.profile_options import PROFILE
from mlserve_cli.cli.score import request_of
from mlserve_cli.cli.terminal import STREAM, TERMINAL
from mlserve_cli.errors import UsageError

if TYPE_CHECKING:
    from mlserve_cli.tables import Dialect

# What has no meaning where nothing of the scoring stays but the profile.
OF_AN_OUTPUT = (
    *("inputs", "output", "output_format", "compression", "id_column", "passthrough", "if_exists", "resume", "reuse"),
    *("profile", "challenger", "canary", "split", "split_key", "split_salt"),
    *("drift_profile", "drift_thresholds", "fail_on_drift"),
)
OF_A_DIALECT = ("encoding", "quote", "null_value", "header", "max_field_bytes")
OF_A_FILE = ("input_format", "delimiter", *OF_A_DIALECT)

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="Files, folders or globs with rows; or one run, package or profile.json, whose profile is shown.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    option(
        "--model",
        "-m",
        panel=options.MODEL,
        metavar="MODEL",
        help="Profile what this model reads of the rows, and the scores that it gives them. Default: every column.",
    ),
]
Output = Annotated[
    str | None, option("--output", "-o", panel=PROFILE, metavar="F.json", help="Write the profile there, too.")
]
Category = Annotated[
    list[str] | None,
    option(
        "--category",
        panel=PROFILE,
        metavar="COL,…",
        help="Without a model: numbers in this column are names, as of a postal code.",
    ),
]


@taking(request_of, without=OF_AN_OUTPUT)
def profile(
    context: typer.Context,
    targets: Targets,
    model: Model = None,
    output: Output = None,
    category: Category = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    progress: options.Progress = True,
    **of_run: Any,
) -> int:
    """Show what the values of data or of a run look like: counts, nulls, moments, quantiles, frequent values.

    \b
        mlserve profile train/ --model churn.onnx -o profile.json
        mlserve profile runs/2026-11-23
        mlserve profile train.csv --category zip

    What it writes is a package's --baseline, and what `mlserve drift` compares. With a model the rows are scored as
    `mlserve score` would, with its options, and only the profile is kept.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose, progress=progress)
    import mlserve_cli
    from mlserve_cli.cli.profile_table import profile_facts, profile_lines
    from mlserve_cli.cli.progress import watching

    if model is None:
        _refuse_scoring(context, of_run)
    request = request_of(context, model=model, inputs=[], output=STREAM, **of_run) if model is not None else None
    with watching() as observer:
        found = mlserve_cli.profile(
            *targets,
            request=request,
            output=output,
            categories=parse.names(category or ()),
            dialect=request.dialect if request is not None else dialect_of(of_run),
            input_format=of_run["input_format"],
            observer=observer,
        )
    TERMINAL.show_result(profile_lines(found, output=output), profile_facts(found, output=output), on_request=True)
    return 0


def _refuse_scoring(context: typer.Context, of_run: dict[str, Any]) -> None:
    """Options that would do nothing."""
    for name in of_run:
        source = context.get_parameter_source(name)
        if name not in OF_A_FILE and source is not None and source.name == "COMMANDLINE":
            option_name = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option_name} says how rows are scored, and no model is named", "", "name a --model")


def dialect_of(of_run: dict[str, Any]) -> Dialect:
    """The dialect of CSV that the options say."""
    return parse.dialect(of_run["delimiter"], **{name: of_run[name] for name in OF_A_DIALECT})
