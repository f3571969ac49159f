"""The group `mlserve model` and the commands in it, in the order of a model's life."""

from __future__ import annotations

from mlserve_cli.cli.command import Group, Place, group

HELP = """A model's life: package it, register it, make it smaller, promote it, roll it back, sign it.

\b
    mlserve model list
"""


class _Commands(Group):
    places = {
        "package": Place("mlserve_cli.cli.model.registry", "package", "Make a package of an ONNX file."),
        "convert": Place("mlserve_cli.cli.model.convert", "convert", "Bring in a model of another library."),
        "add": Place("mlserve_cli.cli.model.registry", "add", "Add a package to the registry."),
        "list": Place("mlserve_cli.cli.model.registry", "list_models", "List the registry's names."),
        "show": Place("mlserve_cli.cli.model.registry", "show", "Show a version and where it comes from."),
        "alias": Place("mlserve_cli.cli.model.registry", "alias", "Let an alias name a version."),
        "rollback": Place("mlserve_cli.cli.model.registry", "rollback", "Let an alias name what it named before."),
        "history": Place("mlserve_cli.cli.model.registry", "history", "Who did what when and why."),
        "remove": Place("mlserve_cli.cli.model.registry", "remove", "Remove a version."),
        "baseline": Place("mlserve_cli.cli.model.baseline", "baseline", "Give a model its training data's profile."),
        "quantize": Place("mlserve_cli.cli.model.optimize", "quantize", "Make a quantised version, behind gates."),
        "prune": Place("mlserve_cli.cli.model.optimize", "prune", "Make a version without what is not needed."),
        "validate": Place("mlserve_cli.cli.model.validate", "validate", "Find all that is wrong with a model."),
        "keygen": Place("mlserve_cli.cli.model.trust", "keygen", "Make a key pair to sign models with."),
        "sign": Place("mlserve_cli.cli.model.trust", "sign", "Sign a version."),
        "trust": Place("mlserve_cli.cli.model.trust", "trust_app", "Whose signature counts here."),
    }


model_app = group(_Commands, help=HELP)
