"""The edge of the program: signals in, one catch for everything, exit code out, and nothing printed after it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

import typer

from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import Interrupted, MlserveError, UsageError

# Typer carries its own click; this is the base of what both raise for a command line that cannot be parsed.
ClickException: type[Exception] = typer.BadParameter.mro()[2]
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
BUG_HINT = "this is a bug in mlserve: please report it with what --verbose shows and `mlserve --version`"


def run(app: typer.Typer) -> int:
    """Run a command and say how it ended: the one place where errors become exit codes."""
    _prepare_process()
    TERMINAL.read_flags(sys.argv[1:])
    try:
        code = _run_command(app)
    except Interrupted as ended:
        code = TERMINAL.show_interrupted(ended)
    except MlserveError as error:
        code = _show(error)
    except BrokenPipeError:  # whoever read our output has gone: no fault of the run, and nobody left to tell
        code = 0
    except Exception as error:  # noqa: BLE001  a bug: it must have an exit code and a message too
        code = _show(_as_bug(error), trace=traceback.format_exc())
    _fall_silent()
    return code


def _run_command(app: typer.Typer) -> int:
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        raise Interrupted(signal.SIGINT) from None
    except ClickException as error:
        raise _usage(error) from None
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> UsageError:
    """What Typer says of a command line, in our form."""
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mlserve"
    return UsageError(message.rstrip("."), "", f"see {path} --help")


def _show(error: MlserveError, *, trace: str = "") -> int:
    if error.exit_code == 1 and not error.hint:
        error.hint = BUG_HINT
    notes = [trace, *getattr(error, "__notes__", ())]
    TERMINAL.show_error(error, trace="\n".join(note for note in notes if note))
    return error.exit_code


def _as_bug(error: Exception) -> MlserveError:
    return MlserveError(f"{type(error).__name__}: {error}", "", BUG_HINT)


def _prepare_process() -> None:
    """No telemetry, names that are no text stay printable, and signals end the run in order."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and `cmd &` in a script mean it
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the run; what comes while it is being ended is part of the same wish."""
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def _fall_silent() -> None:
    """The last line is the result (Airflow takes it as XCom): no library's farewell may follow it."""
    TERMINAL.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
