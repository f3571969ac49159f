"""Everything that can end a command, as one tree; each class carries its exit code.

MlserveError                   1   a bug in mlserve, or nothing more precise
├── UsageError                 2   the command line asks for what cannot be
├── GateFailed                 4   finished, and a gate said no
├── DataError                 65   the data does not fit the contract
│   ├── CorruptFile                a file cannot be read as what it is
│   ├── MissingColumn              a shard lacks a column that the model needs
│   ├── DuplicateColumn            a needed column stands twice
│   ├── TypeMismatch               a column's type cannot feed the model without loss
│   ├── BadRow                     one row cannot be scored, under --on-error fail
│   ├── TooManyBadRows             quarantine is over --max-errors
│   ├── UnsafeInput                a link loop, a device, a name clash among inputs
│   ├── RunMismatch                a finished run does not verify
│   └── LogBroken                  an audit log was rewritten, or lines of it are missing
├── InputMissing              66   an input does not exist or matches nothing
│   └── UnknownModel               the registry has no such name, version or alias
├── Unavailable               69   an engine or store cannot be reached
│   ├── ExtraMissing               a library that the command needs is not installed
│   └── AuditUnavailable           the audit log that the run was to stand in cannot be written
├── WorkersDied               71   a task killed its workers again and again
│   └── TaskTimeout                a task ran longer than --task-timeout
├── OutputError               73   the output cannot be created
│   ├── OutputExists               something stands there already
│   └── StagingExists              an ended run left its staging beside it
├── IOFailed                  74   disk full, or a read or write that failed
├── TryLater                  75   what stood in the way may be gone next time
│   ├── OutputBusy                 another run holds this output
│   └── InputChanged               an input changed while it was read
├── Forbidden                 77   permission refused
│   └── Untrusted                  the trust policy does not let this model run
├── InvalidModel              78   the model or its package cannot be run
│   ├── MemoryTooSmall             nothing fits into the memory limit
│   └── InvalidRegistry            the registry is damaged, or its past was rewritten
└── InvalidConfig             78   a configuration or manifest is not valid

Interrupted (129, 130, 143) is a BaseException beside the tree: nothing but the edge may catch it.
Facts are positional and stand in `args`, since an exception with keyword-only arguments raised in a worker cannot
be unpickled and takes the whole pool with it (measured with joblib 1.6).
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuditUnavailable",
    "BadRow",
    "CorruptFile",
    "DataError",
    "DuplicateColumn",
    "ExtraMissing",
    "Forbidden",
    "GateFailed",
    "IOFailed",
    "InputChanged",
    "InputMissing",
    "Interrupted",
    "InvalidConfig",
    "InvalidModel",
    "InvalidRegistry",
    "LogBroken",
    "MemoryTooSmall",
    "MissingColumn",
    "MlserveError",
    "OutputBusy",
    "OutputError",
    "OutputExists",
    "RunMismatch",
    "StagingExists",
    "TaskTimeout",
    "TooManyBadRows",
    "TryLater",
    "TypeMismatch",
    "Unavailable",
    "UnknownModel",
    "UnsafeInput",
    "Untrusted",
    "UsageError",
    "WorkersDied",
    "nearest",
    "shown",
]

_SPELLINGS_OF_NULL = frozenset(("na", "n/a", "#n/a", "null", "none", "nil", "missing", "-", "--", "?", "\\n"))


class MlserveError(Exception):
    """What went wrong with the value seen, where, and what to do about it.

    `usual_hint` is what to do where whoever raises it knows no better.
    """

    exit_code: ClassVar[int] = 1
    usual_hint: ClassVar[str] = (
        "this is a bug in mlserve: please report it with what --verbose shows and `mlserve --version`"
    )

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        super().__init__(what, where, hint)
        self.what, self.where, self.hint = what, where, hint or self.usual_hint

    def __str__(self) -> str:
        return "; ".join(part for part in (self.what, self.where, self.hint) if part)


class UsageError(MlserveError):
    """The options contradict each other, or ask for what this command cannot do."""

    exit_code = 2
    usual_hint = "mlserve --help shows what there is"


class GateFailed(MlserveError):
    """The work is finished, and what came out of it is not good enough: nothing is registered or promoted."""

    exit_code = 4
    usual_hint = "look at the figures; a gate's limits are options"


class DataError(MlserveError):
    """The data does not fit what the model's contract asks for."""

    exit_code = 65
    usual_hint = "mend the data and run it again"


class CorruptFile(DataError):
    """A file cannot be read as what it is: truncated, damaged, or not of its format."""

    usual_hint = "write the file anew, or leave it out"


class MissingColumn(DataError):
    """A shard lacks a column that the model needs."""

    def __init__(self, file: str, column: str, present: tuple[str, ...]) -> None:
        super().__init__(
            f"column {shown(column)} is missing",
            shown(file, limit=400),
            nearest(column, present) or _hint_of_columns(present),
        )
        self.args = (file, column, present)


class DuplicateColumn(DataError):
    """A column that the run needs stands twice in a shard."""

    def __init__(self, file: str, column: str) -> None:
        super().__init__(
            f"column {shown(column)} stands more than once",
            shown(file, limit=400),
            "rename one of them, or leave the column out of the run",
        )
        self.args = (file, column)


class TypeMismatch(DataError):
    """A column's type cannot become what the model takes without loss."""

    def __init__(self, file: str, column: str, found: str, wanted: str) -> None:
        super().__init__(
            f"column {shown(column)} holds {found}, the model takes {wanted}",
            shown(file, limit=400),
            "--schema-mode coerce converts and counts what it changed, where that is possible",
        )
        self.args = (file, column, found, wanted)


class BadRow(DataError):
    """One row that cannot be scored, under `--on-error fail`. `row` is 0-based among the file's data rows."""

    def __init__(self, file: str, row: int, column: str, value: str, reason: str) -> None:
        place = f", column {shown(column)}" if column else ""
        super().__init__(
            f"bad row: {reason}" + (f": {shown(value)}" if value else ""),
            f"{shown(file, limit=400)}, row {row}{place}",
            _hint_of_value(value, reason) + "mend the row, or set such rows aside with --on-error quarantine",
        )
        self.args = (file, row, column, value, reason)


class TooManyBadRows(DataError):
    """More rows would go to quarantine than `--max-errors` allows."""

    def __init__(self, bad_rows: int, allowed_rows: int, total_rows: int, first: str) -> None:
        super().__init__(
            f"{bad_rows} of {total_rows} rows are bad, --max-errors allows {allowed_rows}",
            f"the first: {first}" if first else "",
            "mend the data or raise --max-errors; nothing was committed",
        )
        self.args = (bad_rows, allowed_rows, total_rows, first)


class UnsafeInput(DataError):
    """An input that must not be followed: a link loop, a device, a key that is also a column."""

    usual_hint = "leave it out, or name the files one by one"


class RunMismatch(DataError):
    """A finished run is not what its manifest says."""

    usual_hint = "trust nothing of this run: score it anew, into another --output"


class LogBroken(DataError):
    """An audit log was rewritten, or lines of it are missing: it does not prove what it says."""

    usual_hint = "keep the log as it is, and find out who could write to it"


class InputMissing(MlserveError):
    """An input does not exist, or a folder or glob matches nothing."""

    exit_code = 66
    usual_hint = "check the path"


class UnknownModel(InputMissing):
    """The registry has no such name, version or alias."""

    usual_hint = "mlserve model list shows what there is"


class Unavailable(MlserveError):
    """An engine or a store cannot be reached."""

    exit_code = 69
    usual_hint = "run it again, or with --workers 1"


class ExtraMissing(Unavailable):
    """A library that only this command needs is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed", "", f"pip install 'mlserve-cli[{extra}]'")
        self.args = (library, extra)


class AuditUnavailable(Unavailable):
    """The audit log that the run was to stand in cannot be written, so the run was not begun."""

    usual_hint = "look at the log's folder, its owner and its disk"


class WorkersDied(MlserveError):
    """A task killed its worker more often than `--max-retries` allows."""

    exit_code = 71

    def __init__(self, file: str, start_row: int, stop_row: int, attempts: int, detail: str) -> None:
        super().__init__(
            f"the worker died {attempts} time{'' if attempts == 1 else 's'}: {detail}",
            f"{shown(file, limit=400)}, rows {start_row} to {stop_row - 1}",
            "what is finished stands: take it up with --resume; look at these rows, or give the run more memory",
        )
        self.args = (file, start_row, stop_row, attempts, detail)


class TaskTimeout(WorkersDied):
    """A task ran longer than `--task-timeout`."""

    def __init__(self, file: str, start_row: int, stop_row: int, seconds: float) -> None:
        super().__init__(file, start_row, stop_row, 1, "")
        self.what = f"a task ran longer than --task-timeout {seconds:g} s"
        self.hint = "what is finished stands: raise --task-timeout and take it up with --resume, or look at these rows"
        self.args = (file, start_row, stop_row, seconds)


class OutputError(MlserveError):
    """The output cannot be created where it is asked for."""

    exit_code = 73
    usual_hint = "choose another --output"


class OutputExists(OutputError):
    """Something stands at the output already."""


class StagingExists(OutputError):
    """A run that ended early left its staging beside the output."""


class IOFailed(MlserveError):
    """The disk is full, or a read or write failed."""

    exit_code = 74
    usual_hint = "check the disk, then run it again; --resume takes up what is finished"


class TryLater(MlserveError):
    """What stood in the way may be gone next time."""

    exit_code = 75
    usual_hint = "run it again"


class OutputBusy(TryLater):
    """Another run holds this output."""

    usual_hint = "run it again when the other run has ended"


class InputChanged(TryLater):
    """An input changed between the plan and the read."""

    def __init__(self, file: str, detail: str) -> None:
        super().__init__(f"the file changed while the run read it: {detail}", shown(file, limit=400), "run it again")
        self.args = (file, detail)


class Forbidden(MlserveError):
    """Permission refused."""

    exit_code = 77
    usual_hint = "check the owner and the permissions of the file and its folders"


class Untrusted(Forbidden):
    """The trust policy does not let this model run: unsigned, signed by another, or not what was signed."""

    usual_hint = "mlserve model trust list shows which keys may sign what"


class InvalidModel(MlserveError):
    """The model or its package cannot be run, or is not what it says."""

    exit_code = 78
    usual_hint = "mlserve inspect MODEL shows what it takes and gives; export it anew, or mend its package"


class MemoryTooSmall(InvalidModel):
    """Not even one worker with one batch fits into the memory limit."""

    usual_hint = "raise --memory-limit, or lower --batch-rows"


class InvalidRegistry(InvalidModel):
    """The registry is damaged, or its past was rewritten."""

    usual_hint = "restore the registry's folder from a copy, and find out who wrote to it"


class InvalidConfig(MlserveError):
    """A configuration file, an environment variable or a manifest is not valid."""

    exit_code = 78
    usual_hint = "mend it and run it again"


class Interrupted(BaseException):
    """HUP, INT or TERM came. Not an Exception, so that no handler at a task's edge takes it for a failed task."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """128 + signal, as a shell reports it."""
        return 128 + self.signal_number


def shown(value: str, *, limit: int = 80) -> str:
    """`value` as it may safely stand on a terminal: quoted where odd, control characters escaped, cut at `limit`."""
    text = value if len(value) <= limit else value[: limit - 1] + "…"
    if text and all(c.isprintable() and c not in "'\"\\" for c in text) and text == text.strip():
        return text
    return "'" + "".join(c if c.isprintable() and c not in "'\\" else _escaped(c) for c in text) + "'"


def nearest(name: str, present: tuple[str, ...]) -> str:
    """A hint that names what was probably meant, or an empty string."""
    import difflib  # heavy for what it is, and only wanted where something already went wrong

    folded = {column.strip().casefold(): column for column in present}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.6)
    return f"did you mean {shown(folded[close[0]])}?" if close else ""


def _hint_of_columns(present: tuple[str, ...]) -> str:
    """What to do about a column that is missing among these."""
    if len(present) == 1:
        for delimiter, text in ((";", "';'"), ("\t", "tab"), ("|", "'|'"), (",", ",")):
            if delimiter in present[0]:
                return (
                    f"its header line is one column, {shown(present[0])}: is it separated by {text}? --delimiter {text}"
                )
    some = ", ".join(map(shown, present[:8])) + (", …" if len(present) > 8 else "")
    return (
        f"name it with --rename FILE_COL=MODEL_COL if the file calls it otherwise; it has {some or 'no column at all'}"
    )


def _hint_of_value(value: str, reason: str) -> str:
    if reason == "null":
        return "where the model takes missing values, --nulls nan; else "
    if value.strip().casefold() in _SPELLINGS_OF_NULL:
        return f"where {shown(value)} stands for null, --null-value {shown(value)}; else "
    return ""


def _escaped(character: str) -> str:
    if character in "'\\":
        return "\\" + character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
