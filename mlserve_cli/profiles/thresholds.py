"""How far a column may move before it is reported: the usual limits, and those that a file sets column by column."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import InvalidConfig, nearest, shown
from mlserve_cli.storage import translated

THRESHOLDS_FORMAT = 1
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(gt=0, lt=1)]
V = TypeVar("V", bound=Value)


class Limits(Value, frozen=True):
    """What a column's figures may be; `inf`: anything. `nulls`, `out_of_range` and `unseen` are shares of the rows.

    `nulls` is the change of the null share, up or down. A column with `ignore` is not compared at all.
    """

    psi: NonNegative = 0.2
    js: NonNegative = math.inf
    ks: NonNegative = math.inf
    nulls: NonNegative = 0.05
    out_of_range: NonNegative = 0.01
    unseen: NonNegative = 0.01
    ignore: bool = False


class Thresholds(msgspec.Struct, frozen=True):
    """The limits of all columns, those of single ones, and how seldom chance alone may raise an alarm at all."""

    false_alarm_rate: float = 0.01
    usual: Limits = Limits()
    columns: Mapping[str, Limits] = msgspec.field(default_factory=dict)
    where: str = ""

    def of(self, column: str) -> Limits:
        """The limits of a column."""
        return self.columns.get(column, self.usual)

    def check_columns(self, known: Iterable[str]) -> None:
        """Raises InvalidConfig (78) for a column that is not `known`: mistyped, it would keep the usual limits."""
        names = tuple(sorted(known))
        for column in self.columns:
            if column not in names:
                hint = nearest(column, names) or f"there are {', '.join(map(shown, names[:12]))}"
                raise InvalidConfig(f"no profile has a column {shown(column)}", self.where, hint)


class _File(Value, frozen=True):
    """A file of thresholds as it is written; what a column does not say is as `[default]` has it."""

    format: int
    false_alarm_rate: Rate = 0.01
    default: Limits = Limits()
    columns: dict[str, dict[str, float | bool]] = {}


def read_thresholds(path: str | None) -> Thresholds:
    """The thresholds of a TOML file, or the usual ones where none is named.

    Raises InvalidConfig (78) for what is not known or no limit: a mistyped key would let anything pass.
    """
    if path is None:
        return Thresholds()
    where = shown(path, limit=400)
    with translated(Path(path), "read the thresholds"):
        try:
            data = Path(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise InvalidConfig("there is no such file of thresholds", where, "check the path") from error
    file = _converted(_document(data, where), _File, where)
    usual: dict[str, Any] = msgspec.structs.asdict(file.default)
    columns = {name: _converted({**usual, **own}, Limits, f"{where}, {name}") for name, own in file.columns.items()}
    return Thresholds(file.false_alarm_rate, file.default, columns, where)


def _document(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"not a TOML file: {error}", where, "mend the file") from error
    if document.get("format") != THRESHOLDS_FORMAT:
        raise InvalidConfig(
            f"thresholds format {document.get('format')!r} is not known",
            where,
            f"this version of mlserve reads format = {THRESHOLDS_FORMAT}",
        )
    return document


def _converted(document: object, kind: type[V], where: str) -> V:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InvalidConfig(str(error), where, "see the page on drift in the documentation") from error
