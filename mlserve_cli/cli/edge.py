"""The edge of the program: signals in, one catch for everything, exit code out, and nothing printed after it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import typer

from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import Interrupted, MlserveError, UsageError

NAME = "mlserve"
# Typer carries its own click; this is the base of what both raise for a command line that cannot be parsed.
ClickException: type[Exception] = typer.BadParameter.mro()[2]
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
SAME_WISH_S = 3  # Airflow's SIGKILL follows its SIGTERM after five


def run_process(app: typer.Typer) -> int:
    """Run the command that this process was started for."""
    try:
        _prepare_process()
        if f"_{NAME.upper()}_COMPLETE" in os.environ:  # a shell asks what could stand next
            app(prog_name=NAME)
        code = run(app, sys.argv[1:])
    except Interrupted as ended:  # before the command began, or while its end was being told
        code = TERMINAL.show_interrupted(ended)
    _fall_silent()
    return code


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and say how it ended: the one place where errors become exit codes."""
    TERMINAL.guess(arguments)
    try:
        return _run_command(app, list(arguments))
    except Interrupted as ended:
        return TERMINAL.show_interrupted(ended)
    except Exception as error:  # noqa: BLE001  a bug too must have an exit code and a message
        if _came.number:  # a library made an error of its own of the interrupt, as imports of C modules do
            return TERMINAL.show_interrupted(Interrupted(_came.number))
        if isinstance(error, MlserveError):
            return _show(error)
        return _show(MlserveError(f"{type(error).__name__}: {error}"), trace=traceback.format_exc())


def _run_command(app: typer.Typer, arguments: list[str]) -> int:
    """The command's exit code. Not through Typer's `main`, which ends quietly with 1 on a broken pipe of any kind."""
    command = typer.main.get_command(app)
    try:
        with command.make_context(NAME, arguments) as context:
            code = command.invoke(context)
    except typer.Exit as ended:  # of --help, --version
        return ended.exit_code
    except typer.Abort:
        raise Interrupted(signal.SIGINT) from None
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer does not export it
            return _show_help(error)
        raise _usage(error) from None
    except BrokenPipeError:  # whoever read our help has seen enough
        return 0
    return code if isinstance(code, int) else 0


def _show_help(error: Exception) -> int:
    """What `mlserve` alone shows: how it is used, which for a script is an error all the same."""
    if sys.stdout is not None and sys.stdout.isatty():
        print(getattr(error, "message", error))
        return UsageError.exit_code
    raise UsageError("no command is named", "", f"see {_path(error)} --help")


def _usage(error: Exception) -> UsageError:
    """What Typer says of a command line, in our form."""
    message = getattr(error, "format_message", error.__str__)()
    return UsageError(" ".join(message.split()).rstrip("."), "", f"see {_path(error)} --help")


def _path(error: Exception) -> str:
    """The command that an error of Typer is about, as it is typed."""
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else NAME


def _show(error: MlserveError, *, trace: str = "") -> int:
    notes = [trace or "".join(traceback.format_exception(error)), *getattr(error, "__notes__", ())]
    TERMINAL.show_error(error, trace="\n".join(notes))
    return error.exit_code


def _prepare_process() -> None:
    """No telemetry, three open streams, names that are no text stay printable, and signals end the run in order."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and `cmd &` in a script mean it
            signal.signal(number, _end)


@dataclass(slots=True)
class _Came:
    """The signal that ends this process, 0 while none has come."""

    number: int = 0


_came = _Came()


def _open_if_closed(descriptor: int) -> None:
    """Under `>&-` the first file that the run opens would be standard output, and get what libraries print."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _end(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the run; what comes while it is being ended is part of the same wish.

    Later it is a new one: a library may have swallowed the first.
    """
    _heed(signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: _heed(_end))
    signal.alarm(SAME_WISH_S)
    _came.number = _came.number or number
    raise Interrupted(_came.number)


def _heed(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in ENDING:
        signal.signal(number, handler)


def _fall_silent() -> None:
    """The last line is the result (Airflow takes it as XCom): no library's farewell may follow it."""
    signal.alarm(0)
    # The interpreter's own end takes handlers away: a signal in those last 50 ms would belie what was just told.
    _heed(signal.SIG_IGN)
    TERMINAL.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
