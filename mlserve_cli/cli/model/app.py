"""The group `mlserve model` and the commands in it, in the order of a model's life."""

from __future__ import annotations

import typer

from mlserve_cli.cli.command import Command, Group
from mlserve_cli.cli.model import convert, optimize, registry, trust, validate

HELP = """A model's life: package it, register it, make it smaller, promote it, roll it back, sign it.

\b
    mlserve model list
"""

model_app = typer.Typer(cls=Group, help=HELP, no_args_is_help=True, rich_markup_mode=None)
model_app.command("package", cls=Command, short_help="Make a package of an ONNX file.")(registry.package)
model_app.command("convert", cls=Command, short_help="Bring in a model of another library.")(convert.convert)
model_app.command("add", cls=Command, short_help="Add a package to the registry.")(registry.add)
model_app.command("list", cls=Command, short_help="List the registry's names.")(registry.list_models)
model_app.command("show", cls=Command, short_help="Show a version and where it comes from.")(registry.show)
model_app.command("alias", cls=Command, short_help="Let an alias name a version.")(registry.alias)
model_app.command("rollback", cls=Command, short_help="Let an alias name what it named before.")(registry.rollback)
model_app.command("history", cls=Command, short_help="Who did what when and why.")(registry.history)
model_app.command("remove", cls=Command, short_help="Remove a version.")(registry.remove)
model_app.command("quantize", cls=Command, short_help="Make a quantised version, behind gates.")(optimize.quantize)
model_app.command("prune", cls=Command, short_help="Make a version without what is not needed.")(optimize.prune)
model_app.command("validate", cls=Command, short_help="Find all that is wrong with a model.")(validate.validate)
model_app.command("keygen", cls=Command, short_help="Make a key pair to sign models with.")(trust.keygen)
model_app.command("sign", cls=Command, short_help="Sign a version.")(trust.sign)
model_app.add_typer(trust.trust_app, name="trust", short_help="Whose signature counts here.")
