"""A command as ours are: options that may also come from the environment or a file, and help in panels."""

from __future__ import annotations

import gc
import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from mlserve_cli.cli.settings import CONVERTERS, Converter, read_environment, take

NAME_WIDTH = 26  # of options in help; a longer one gets a line of its own
Context: TypeAlias = Any  # Typer does not export its click's classes
Formatter: TypeAlias = Any
Taker = TypeVar("Taker", bound=Callable[..., int])


def option(
    name: str,
    *more: str,
    help: str,
    panel: str | None = None,
    metavar: str | None = None,
    choices: Sequence[str] = (),
    converter: Converter | None = None,
    callback: Callable[..., Any] | None = None,
    is_eager: bool = False,
) -> Any:
    """An option that may also be given as MLSERVE_NAME or, for `score`, as a key of the `--config` file.

    `converter` makes its value of a text, and raises ValueError with what is wrong with it.
    """
    if choices:
        converter, metavar = partial(_one_of, tuple(choices)), "|".join(choices)
    if converter is not None:
        CONVERTERS[name, help] = converter
    return typer.Option(
        name, *more, help=help, rich_help_panel=panel, metavar=metavar, callback=callback, is_eager=is_eager
    )


def taking(source: Callable[..., object], *, without: Collection[str] = ()) -> Callable[[Taker], Taker]:
    """The command takes `source`'s options too, as keyword arguments: two commands, one list of what both have.

    They stand in help before the command's own, but for those in `without` and those that it has itself.
    """

    def decorated(command: Taker) -> Taker:
        own = dict(inspect.signature(command, eval_str=True).parameters)
        (rest,) = (name for name, one in own.items() if one.kind is inspect.Parameter.VAR_KEYWORD)
        del own[rest]
        source.__annotations__.pop("return", None)  # it may name what is imported for types alone
        shared = inspect.signature(source, eval_str=True).parameters.values()
        taken = [own.pop(one.name, one) for one in shared if one.name not in without]
        both = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*taken, *own.values())]
        command.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]  # what Typer asks for
        return command

    return decorated


class Command(TyperCommand):
    """One command."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The command line, after the environment, whose word counts less."""
        if not ctx.resilient_parsing and not set(args).intersection(ctx.help_option_names):
            read_environment(ctx)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Context) -> list[Any]:
        """Arguments, options and --help."""
        return _taken_by_us(super().get_params(ctx))

    def invoke(self, ctx: Context) -> Any:
        """Run it. A reader of its help may leave early, but no pipe of a run may break unnoticed."""
        _load_scoring()
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise RuntimeError("a pipe of this command broke") from error

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Arguments and options under the heading of their panel, all aligned."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                title = getattr(parameter, "rich_help_panel", None) or kind
                panels.setdefault(title, []).append((f"{record[0]:<{NAME_WIDTH}}", record[1]))
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=NAME_WIDTH)


class Place(NamedTuple):
    """Where a command is: a function of a module, or a group of its own. `help` is its line in the list of commands."""

    module: str
    name: str
    help: str


class Group(TyperGroup):
    """Commands of which each is loaded and built when it is called: all of them would take a tenth of a second."""

    places: ClassVar[Mapping[str, Place]] = {}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.places:
            self.commands = _Commands(self.places)  # type: ignore[assignment]  # nobody adds one

    def get_params(self, ctx: Context) -> list[Any]:
        """What stands before the command's name."""
        return _taken_by_us(super().get_params(ctx))

    def format_commands(self, ctx: Context, formatter: Formatter) -> None:  # noqa: ARG002
        """Names and lines, without a look at the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in self.places.items()])


def group(commands: type[Group], *, help: str) -> typer.Typer:
    """A group in a group."""
    return typer.Typer(
        cls=commands,
        help=help,
        callback=lambda: None,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )


class _Commands(Mapping[str, Any]):
    """The commands of a group by their names, each built when first asked for."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _built(name, self._places[name])
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@cache  # a process that calls many of them, as tests do, builds each once
def _built(name: str, place: Place) -> Any:
    target = getattr(importlib.import_module(place.module), place.name)
    if isinstance(target, typer.Typer):
        group = typer.main.get_command(target)
        group.name = name
        return group
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, cls=Command, short_help=place.help)(target)
    return typer.main.get_command(app)


def _load_scoring() -> None:
    """What every command needs. Looking for garbage among modules, which stay, costs 40 ms: a tenth of a small run."""
    gc.disable()
    try:
        import mlserve_cli.scoring  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def _taken_by_us(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:  # Typer makes them, and has no place where a class of ours could be named
        parameter.process_value = partial(take, parameter)
    return parameters


def _one_of(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text
