"""The app: which commands there are, and what stands before any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import inspect, score, verify

HELP = """Score Parquet and CSV files with ONNX models, and prove what was scored.

mlserve score --model MODEL --input PATH --output OUT reads every row once, writes predictions and a manifest, and
leaves at OUT either the whole run or what stood there before. Exit codes: 0 complete, 3 complete with rows in
quarantine, 2 usage, 65 bad data, 66 no input, 71 workers died, 73 output, 74 I/O, 75 try again, 77 permission,
78 model or configuration, 129/130/143 ended by a signal.
"""

app = typer.Typer(
    name="mlserve",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,  # the default markup eats [brackets] in help texts
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("score")(score.score)
app.command("verify")(verify.verify)
app.command("replay")(verify.replay)
app.command("inspect")(inspect.inspect)


def _show_version(value: bool) -> None:
    if value:
        from mlserve_cli._version import __version__

        typer.echo(f"mlserve {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that belong to no command; the app's own help text stands in place of this one."""
