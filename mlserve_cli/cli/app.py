"""The app: which commands there are, and what stands before any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from mlserve_cli.cli import audit, bench, compare, drift, evaluate, inspect, profile, report, score, tune, verify, watch
from mlserve_cli.cli.command import Command, Group
from mlserve_cli.cli.model import model_app

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

app = typer.Typer(
    name="mlserve",
    cls=Group,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,  # the default markup eats [brackets] in help texts
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("score", cls=Command, short_help="Score every row of the inputs, as one run.")(score.score)
app.command("verify", cls=Command, short_help="Prove a finished run.")(verify.verify)
app.command("replay", cls=Command, short_help="Score a run again and compare.")(verify.replay)
app.command("inspect", cls=Command, short_help="Show a model, a run, or data.")(inspect.inspect)
app.command("bench", cls=Command, short_help="Measure it beside a script and the machine's limit.")(bench.bench)
app.command("audit", cls=Command, short_help="Prove an audit log, and say what is odd in it.")(audit.audit)
app.command("drift", cls=Command, short_help="Hold rows against others, or runs over time.")(drift.drift)
app.command("evaluate", cls=Command, short_help="Hold runs against labels that came in later.")(evaluate.evaluate)
app.command("compare", cls=Command, short_help="Two models side by side, and how sure it is.")(compare.compare)
app.command("tune", cls=Command, short_help="Find the fastest settings for a model and its input.")(tune.tune)
app.command("profile", cls=Command, short_help="What the values of data or a run look like.")(profile.profile)
app.command("report", cls=Command, short_help="A run, or many, as one page of HTML.")(report.report)
app.command("watch", cls=Command, short_help="Score each shard as it arrives.")(watch.watch)
app.add_typer(model_app, name="model", short_help="Package, register, convert, promote, sign models.")


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
