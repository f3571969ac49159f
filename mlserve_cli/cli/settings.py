"""Where values come from: command line over environment over `--config` file over default, and which it was.

Values are converted here and not by Typer, which imports pydantic for it: 150 ms for some texts and numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import typer

from mlserve_cli.errors import Forbidden, InvalidConfig, IOFailed, nearest, shown

if TYPE_CHECKING:
    from mlserve_cli.manifest import Setting

PREFIX = "MLSERVE_"
# What Kubernetes and Docker set in every container beside a service that is called mlserve.
OF_A_SERVICE = re.compile(r"MLSERVE_(SERVICE_(HOST|PORT)|PORT(_|$))")
Source = Literal["command line", "environment", "file", "default"]
Converter = Callable[[str], Any]  # raises ValueError with what is wrong with the text
Parameter: TypeAlias = Any  # Typer does not export its click's classes
# By option and help: two commands may mean different things by one name. What is not here takes any text.
CONVERTERS: dict[tuple[str, str], Converter] = {}
FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_FROM_ENVIRONMENT, _FROM_FILE, _TAKEN = "mlserve.environment", "mlserve.file", "mlserve.taken"


def read_environment(context: typer.Context) -> None:
    """The command's options as MLSERVE_ variables give them: an empty one gives nothing, several values are lines.

    Raises InvalidConfig (78) for a variable that no command has: a mistyped one would change nothing, in silence.
    """
    _refuse_unknown_variables(context)
    values: dict[str, object] = {}
    for parameter in context.command.params:
        text = os.environ.get(variable(option_of(parameter)), "") if _is_option(parameter) else ""
        if text:
            value = text.splitlines() if parameter.multiple else text
            values[parameter.name] = _checked(value, parameter, context, source="environment")
    context.meta[_FROM_ENVIRONMENT] = context.default_map = values


def read_config(context: typer.Context, path: str | None) -> str | None:
    """`--config F.toml`: its keys are the command's long options without the dashes.

    Raises InvalidConfig (78) for an unknown key or a value that the option does not take: nothing is ignored.
    """
    if path is None:
        return None
    context.meta[_FROM_FILE] = path
    options = {option_of(parameter)[2:]: parameter for parameter in context.command.params if _is_option(parameter)}
    del options["config"]
    values = {}
    for key, value in _document(path).items():
        parameter = options.get(key.replace("_", "-"))
        if parameter is None:
            hint = nearest(key, tuple(sorted(options))) or f"see {context.command_path} --help for the options"
            raise InvalidConfig(f"unknown key {shown(key)}", shown(path, limit=400), hint)
        values[parameter.name] = _checked(value, parameter, context, source="file")
    context.default_map = {**values, **(context.default_map or {})}
    return path


def take(parameter: Parameter, context: typer.Context, value: object) -> object:
    """An option's value, converted and noted with its source: what Typer calls `process_value`."""
    if value is None or value in ((), []):
        if parameter.required:
            return type(parameter).process_value(parameter, context, value)  # says what is missing
        return _called_back(parameter, context, None)
    source = _source(parameter, context)
    value = _checked(value, parameter, context, source=source)
    taken = _converted(value, parameter)
    if parameter.expose_value and _is_option(parameter) and context.parent is not None:
        context.meta.setdefault(_TAKEN, {})[option_of(parameter)[2:]] = (value, source)
    return _called_back(parameter, context, taken)


def settings_of(context: typer.Context) -> dict[str, Setting]:
    """Every option that was given or has a default, as it was written, with where it came from: for the manifest."""
    from mlserve_cli.manifest import Setting

    taken: Mapping[str, tuple[Any, Source]] = context.meta.get(_TAKEN, {})
    return {option: Setting(_as_text(value), source) for option, (value, source) in taken.items()}


def _as_text(value: Any) -> Any:
    """The value as JSON can have it: an argument may be the name of a file, and that is bytes."""
    from mlserve_cli.tables import text_of

    if isinstance(value, list | tuple):
        return [text_of(one) for one in value]
    return text_of(value) if isinstance(value, str) else value


def variable(option: str) -> str:
    """The environment variable of an option: MLSERVE_BATCH_ROWS for --batch-rows."""
    return PREFIX + option.lstrip("-").replace("-", "_").upper()


def option_of(parameter: Parameter) -> str:
    """--batch-rows; for a parameter with several spellings the long one."""
    longest: str = max(parameter.opts, key=len)
    return longest


def commands_of(group: Any) -> Iterator[Any]:
    """Every command in a group and in the groups inside it."""
    for command in group.commands.values():
        yield from commands_of(command) if hasattr(command, "commands") else (command,)


def _refuse_unknown_variables(context: typer.Context) -> None:
    """Looks at this command's options first: to load every command takes a tenth of a second."""
    ours = {name for name in os.environ if name.startswith(PREFIX) and not OF_A_SERVICE.match(name)}
    others = sorted(ours - _variables_of([context.command]))
    if not others:
        return
    known = sorted(_variables_of(commands_of(context.find_root().command)))
    for name in others:
        if name not in known:
            close = nearest(name.removeprefix(PREFIX), tuple(one.removeprefix(PREFIX) for one in known))
            hint = close.replace("mean ", f"mean {PREFIX}") or "each long option has one: MLSERVE_LIMIT for --limit"
            raise InvalidConfig(f"unknown environment variable {shown(name)}", "the environment", hint)


def _variables_of(commands: Iterable[Any]) -> set[str]:
    return {variable(option_of(one)) for command in commands for one in command.params if _is_option(one)}


def _is_option(parameter: Parameter) -> bool:
    return bool(parameter.param_type_name == "option")


def _source(parameter: Parameter, context: typer.Context) -> Source:
    found = context.get_parameter_source(parameter.name)
    if found is None or found.name == "DEFAULT":
        return "default"
    if found.name == "COMMANDLINE":
        return "command line"
    return "environment" if parameter.name in context.meta[_FROM_ENVIRONMENT] else "file"


def _checked(value: object, parameter: Parameter, context: typer.Context, *, source: Source) -> object:
    """The value as the command line would have it, which the option takes: also one that a nearer word outdoes."""
    try:
        value = _from_file(value, parameter) if source == "file" else value
        _converted(value, parameter)
    except ValueError as error:
        raise _refused(parameter, context, str(error), source=source) from None
    return value


def _converted(value: Any, parameter: Parameter) -> object:
    if isinstance(value, bool | int | float):  # a flag on the command line, a default
        return value
    if _is_option(parameter) and parameter.is_flag:
        return _flag(value)
    one = _converter_of(parameter) or str
    several = parameter.multiple or parameter.nargs == -1  # an argument that takes all that is left
    return [one(text) for text in value] if several else one(value)


def _converter_of(parameter: Parameter) -> Converter | None:
    return CONVERTERS.get((option_of(parameter), parameter.help)) if _is_option(parameter) else None


def _flag(text: str) -> bool:
    if text.lower() not in FLAGS:
        raise ValueError(f"{text!r} is neither true nor false")
    return FLAGS[text.lower()]


def _from_file(value: object, parameter: Parameter) -> object:
    """A value of TOML as the command line would have it."""
    if parameter.is_flag or isinstance(value, bool):
        if not (parameter.is_flag and isinstance(value, bool)):
            raise ValueError(f"it takes {'true or false' if parameter.is_flag else 'no boolean'}, not {value!r}")
        return value
    several = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not parameter.multiple:
        raise ValueError(f"it takes one value, not a list of {len(value)}")
    is_number = _converter_of(parameter) is not None
    for one in several:
        if not isinstance(one, str | int | float if is_number else str) or isinstance(one, bool):
            raise ValueError(f"it takes {'a number or a text' if is_number else 'a text'}, not {one!r}")
    return [str(one) for one in several] if parameter.multiple else str(value)


def _refused(parameter: Parameter, context: typer.Context, message: str, *, source: Source) -> Exception:
    option = option_of(parameter)
    if source == "environment":
        return InvalidConfig(
            f"{variable(option)}: {message}", "the environment", f"mend it or unset {variable(option)}"
        )
    if source == "file":
        path = shown(context.meta[_FROM_FILE], limit=400)
        return InvalidConfig(f"{option[2:]}: {message}", path, f"mend {option[2:]} in the file")
    return typer.BadParameter(message, ctx=context, param=parameter)


def _called_back(parameter: Parameter, context: typer.Context, value: object) -> object:
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _document(path: str) -> Mapping[str, object]:
    import tomllib

    where = shown(path, limit=400)
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidConfig("there is no such configuration file", where, "check the path after --config") from error
    except PermissionError as error:
        raise Forbidden("the configuration file may not be read", where, "look at its owner and permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            f"not a TOML file: {error}", where, "write one line for each option: workers = 4"
        ) from error
    except (OSError, ValueError) as error:
        raise IOFailed(f"the configuration file cannot be read: {error}", where, "look at the disk") from error
