"""The group `mlserve model` and the commands in it, in the order of a model's life."""

from __future__ import annotations

import typer

from mlserve_cli.cli.command import Command, Group
from mlserve_cli.cli.model import trust, validate

HELP = """A model's life: package it, register it, make it smaller, promote it, roll it back, sign it.

\b
    mlserve model list
"""

model_app = typer.Typer(cls=Group, help=HELP, no_args_is_help=True, rich_markup_mode=None)
model_app.command("validate", cls=Command, short_help="Find all that is wrong with a model.")(validate.validate)
model_app.command("keygen", cls=Command, short_help="Make a key pair to sign models with.")(trust.keygen)
model_app.command("sign", cls=Command, short_help="Sign a version.")(trust.sign)
model_app.add_typer(trust.trust_app, name="trust", short_help="Whose signature counts here.")
