"""Where options come from: command line over environment over `--config` file over default, and which it was."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mlserve_cli.errors import Forbidden, InputMissing, InvalidConfig, nearest, shown

if TYPE_CHECKING:
    from mlserve_cli.manifest import Setting

PREFIX = "MLSERVE_"
SOURCES = {
    "COMMANDLINE": "command line",
    "ENVIRONMENT": "environment",
    "DEFAULT_MAP": "file",
    "DEFAULT": "default",
}
Parameter = Any  # Typer does not export its click's classes


def variable(option: str) -> str:
    """The environment variable of an option: MLSERVE_BATCH_ROWS for --batch-rows."""
    return PREFIX + option.lstrip("-").replace("-", "_").upper()


def read_config(context: typer.Context, path: str | None) -> str | None:
    """`--config F.toml`: its keys are the command's long options without the dashes.

    Raises InvalidConfig (78) for an unknown key or a value that the option does not take: nothing is ignored.
    """
    refuse_unknown_variables(context)
    if path is None:
        return None
    known = {_key(parameter): parameter for parameter in context.command.params if parameter.expose_value}
    values: dict[str, object] = {}
    for key, value in _document(path).items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None:
            hint = nearest(key, tuple(sorted(known))) or f"see {context.command_path} --help"
            raise InvalidConfig(f"unknown key {shown(key)}", shown(path, limit=400), hint)
        values[parameter.name] = _checked(value, parameter, context, key=key, path=path)
    context.default_map = {**(context.default_map or {}), **values}
    return path


def settings_of(context: typer.Context) -> dict[str, Setting]:
    """Every option that was set or has a default, with where it came from, for the manifest."""
    from mlserve_cli.manifest import Setting

    found = {}
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        source = context.get_parameter_source(parameter.name)
        if value in (None, [], ()) or source is None:
            continue
        shown_value = list(map(str, value)) if isinstance(value, list | tuple) else value
        found[_key(parameter)] = Setting(shown_value, SOURCES[source.name])  # type: ignore[arg-type]
    return found


def refuse_unknown_variables(context: typer.Context) -> None:
    """A mistyped MLSERVE_ variable would change nothing, in silence."""
    commands = getattr(context.find_root().command, "commands", {}).values()
    known = {parameter.envvar for command in commands for parameter in command.params if parameter.envvar}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            hint = nearest(name, tuple(sorted(known))) or "see --help for the variables"
            raise InvalidConfig(f"unknown environment variable {shown(name)}", "the environment", hint)


def _key(parameter: Parameter) -> str:
    """--batch-rows, for a parameter with several spellings the long one."""
    longest: str = max(parameter.opts, key=len)
    return longest.lstrip("-")


def _document(path: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputMissing("the configuration file does not exist", shown(path, limit=400), "") from error
    except PermissionError as error:
        raise Forbidden("the configuration file may not be read", shown(path, limit=400), "") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"not a TOML file: {error}", shown(path, limit=400), "mend the file") from error


def _checked(value: object, parameter: Parameter, context: typer.Context, *, key: str, path: str) -> object:
    """The value as the option would take it; Typer converts and checks as it does on the command line."""
    several = isinstance(value, list)
    if isinstance(value, dict) or (several and not parameter.multiple):
        raise InvalidConfig(f"{shown(key)} takes one plain value", shown(path, limit=400), "")
    if parameter.is_flag != isinstance(value, bool) and (parameter.is_flag or isinstance(value, bool)):
        raise InvalidConfig(f"{shown(key)} takes {'true or false' if parameter.is_flag else 'no boolean'}", path, "")
    texts = [str(one) for one in value] if isinstance(value, list) else str(value)
    given: object = [texts] if parameter.multiple and not several else texts
    try:
        parameter.type_cast_value(context, value if parameter.is_flag else given)
    except Exception as error:
        message = getattr(error, "message", None)
        if message is None:
            raise
        raise InvalidConfig(f"{shown(key)}: {message}", shown(path, limit=400), "") from error
    return value if parameter.is_flag else given
