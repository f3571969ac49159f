"""Writes the reference pages from the package itself, so that they cannot say anything else than it does.

    python docs/generate.py FOLDER

`reference.md` from the Typer application, `error-list.md` from the live tree of errors, `manifest-fields.md`,
`package-fields.md` and `evaluation-fields.md` from the JSON Schemas that are shipped with the package.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

from mlserve_cli import errors
from mlserve_cli.cli import app

Schema = dict[str, Any]


def write_pages(folder: Path) -> None:
    """Write each generated page; Sphinx reads a file again only when it changed."""
    folder.mkdir(exist_ok=True)
    schema = (files("mlserve_cli") / "manifest" / "schema.json").read_text(encoding="utf-8")
    package = (files("mlserve_cli") / "registry" / "package.schema.json").read_text(encoding="utf-8")
    evaluation = (files("mlserve_cli") / "monitoring" / "evaluation.schema.json").read_text(encoding="utf-8")
    pages = {
        "manifest.schema.json": schema,
        "reference.md": "\n".join(reference()),
        "error-list.md": "\n".join(error_list()),
        "manifest-fields.md": "\n".join(fields_of(json.loads(schema))),
        "package.schema.json": package,
        "package-fields.md": "\n".join(fields_of(json.loads(package), level=3)),
        "evaluation.schema.json": evaluation,
        "evaluation-fields.md": "\n".join(fields_of(json.loads(evaluation), level=3)),
    }
    for name, text in pages.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def reference() -> Iterator[str]:
    """One section per command, with its arguments and options as tables."""
    yield "# Command reference\n"
    yield "Made from the application itself: `mlserve COMMAND --help` prints the same.\n"
    root = typer.main.get_command(app)
    for name, command in commands_of(root, prefix="mlserve"):
        yield f"## {name}\n"
        yield f"{with_example(plain(command.help or ''))}\n"
        yield from parameters(command.params)


def commands_of(command: Any, *, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be run, groups walked through, each with its full name."""
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if hasattr(child, "commands"):
            yield from commands_of(child, prefix=f"{prefix} {name}")
        elif not child.hidden:
            yield f"{prefix} {name}", child


def parameters(params: list[Any]) -> Iterator[str]:
    """A table of arguments, then one of options for each panel of --help."""
    panels: dict[str, list[Any]] = {}
    for parameter in params:
        if not parameter.hidden:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(parameter.rich_help_panel or kind, []).append(parameter)
    for panel, members in panels.items():
        yield f"### {panel}\n" if len(panels) > 1 else ""
        yield "| | default | |\n|---|---|---|"
        for parameter in members:
            yield f"| {spelling(parameter)} | {default(parameter)} | {cell(plain(parameter.help or ''))} |"
        yield ""


def spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag or not parameter.metavar else f"{names} `{cell(parameter.metavar)}`"


def default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    value = getattr(parameter.default, "value", parameter.default)
    shown = isinstance(parameter.show_default, str) and parameter.show_default
    return str(shown or ("" if value in (None, False, "") or value == [] else f"`{cell(str(value))}`"))


def error_list() -> Iterator[str]:
    """The tree as the module draws it, then one entry for each class."""
    tree = inspect.getdoc(errors) or ""
    drawn = [line for line in tree.splitlines() if re.match(r"^(MlserveError|[├└│]|\s+[├└])", line)]
    yield "## The tree\n\n```text"
    yield from drawn
    yield "```\n\n## Every error\n"
    every: set[type[errors.MlserveError]] = {errors.MlserveError, *subclasses_of(errors.MlserveError)}
    for error in sorted(every, key=lambda each: (each.exit_code, each.__name__)):
        yield f"### {error.__name__}\n"
        parent = error.__bases__[0].__name__
        place = "" if error is errors.MlserveError else f" · a kind of [{parent}](#{parent.lower()})"
        yield f"Exit code **{error.exit_code}**{place}. {' '.join((inspect.getdoc(error) or '').split())}\n"


def subclasses_of(error: type[errors.MlserveError]) -> Iterator[type[errors.MlserveError]]:
    for child in error.__subclasses__():
        yield child
        yield from subclasses_of(child)


def fields_of(schema: Schema, *, level: int = 2) -> Iterator[str]:
    """One table per object of the schema, the whole itself first, under headings of this level."""
    objects: dict[str, Schema] = schema["$defs"]
    first = schema["$ref"].rpartition("/")[2]
    for name in [first, *sorted(objects.keys() - {first})]:
        yield f"{'#' * level} {name}\n"
        yield f"{' '.join(objects[name].get('description', '').split())}\n"
        if "properties" in objects[name]:
            yield "| field | type | |\n|---|---|---|"
            for field, value in objects[name]["properties"].items():
                needed = "" if field in objects[name].get("required", []) else "optional"
                yield f"| `{field}` | {kind_of(value)} | {cell(value.get('description', needed))} |"
            yield ""


def kind_of(value: Schema) -> str:
    """A type of the schema in a few words, with a link where it is an object of its own."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(kind_of(each) for each in value["anyOf"])
    if "enum" in value:
        return " or ".join(f"`{json.dumps(each)}`" for each in value["enum"])
    if value.get("type") == "array":
        return f"list of {kind_of(value['items'])}" if isinstance(value.get("items"), dict) else "list"
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {kind_of(value['additionalProperties'])}"
    return str(value.get("type", "any"))


def plain(text: str) -> str:
    """Help text as Markdown prose: Rich's markup is not ours, and what looks like HTML is no tag."""
    return re.sub(r"<(?=\w)", r"\\<", inspect.cleandoc(text).replace("\f", "").replace("\b\n", ""))


def with_example(text: str) -> str:
    """The lines of a help text that are commands, as a block."""
    return re.sub(r"^((?:mlserve |cat ).*)$", r"```sh\n\1\n```", text, flags=re.MULTILINE)


def cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
