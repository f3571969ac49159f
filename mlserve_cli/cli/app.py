"""The app: which commands there are, and what stands before any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli.command import Group, Place

HELP = """Score Parquet and CSV files with ONNX models, and prove what was scored.

\b
    mlserve score --model MODEL --input PATH --output OUT

It reads every row once, writes predictions and a manifest, and leaves at OUT either the whole run or what stood there
before.
"""
EPILOG = """\b
Exit codes:
  0    complete                  73   the output exists or cannot be made
  1    a bug in mlserve          74   disk full, or a read or write failed
  2    usage                     75   in use or just changed: try again
  3    some rows in quarantine   77   permission or trust refused
  4    a gate said no            78   the model or a setting is invalid
  65   bad data                  129, 130, 143: ended by HUP, INT, TERM
  66   no such input
  69   no worker can be started, a library is missing, no audit log
  71   workers died, or took too long
"""


class _Commands(Group):
    places = {
        "score": Place("mlserve_cli.cli.score", "score", "Score every row of the inputs, as one run."),
        "verify": Place("mlserve_cli.cli.verify", "verify", "Prove a finished run."),
        "replay": Place("mlserve_cli.cli.verify", "replay", "Score a run again and compare."),
        "inspect": Place("mlserve_cli.cli.inspect", "inspect", "Show a model, a run, or data."),
        "profile": Place("mlserve_cli.cli.profile", "profile", "What the values of data or a run look like."),
        "drift": Place("mlserve_cli.cli.drift", "drift", "Hold rows against others, or runs over time."),
        "evaluate": Place("mlserve_cli.cli.evaluate", "evaluate", "Hold runs against labels that came in later."),
        "compare": Place("mlserve_cli.cli.compare", "compare", "Two models side by side, and how sure it is."),
        "report": Place("mlserve_cli.cli.report", "report", "A run, or many, as one page of HTML."),
        "watch": Place("mlserve_cli.cli.watch", "watch", "Score each shard as it arrives."),
        "audit": Place("mlserve_cli.cli.audit", "audit", "Prove an audit log, and say what is odd in it."),
        "tune": Place("mlserve_cli.cli.tune", "tune", "Find the fastest settings for a model and its input."),
        "bench": Place("mlserve_cli.cli.bench", "bench", "Measure it beside a script and the machine's limit."),
        "model": Place("mlserve_cli.cli.model.app", "model_app", "Package, register, convert, promote, sign models."),
    }


app = typer.Typer(
    name="mlserve",
    cls=_Commands,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,  # the default markup eats [brackets] in help texts
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


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
