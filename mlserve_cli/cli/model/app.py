"""The group `mlserve model` and the commands in it, in the order of a model's life."""

from __future__ import annotations

import typer

from mlserve_cli.cli.command import Group

HELP = """A model's life: package it, register it, make it smaller, promote it, roll it back, sign it.

\b
    mlserve model list
"""

model_app = typer.Typer(cls=Group, help=HELP, no_args_is_help=True, rich_markup_mode=None)
