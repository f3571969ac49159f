"""Texts of the command line into values; what is wrong with one is said in its own terms."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlserve_cli.errors import UsageError, shown

if TYPE_CHECKING:
    from mlserve_cli.tables import Dialect

UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}


def auto_or_count(text: str) -> int:
    """A count of at least 1, or 0 for `auto`."""
    if text == "auto":
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ValueError(f"{text!r} is neither auto nor a number of at least 1")
    return int(text)


def count(text: str) -> int:
    """A number of at least 0."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{text!r} is no number of at least 0")
    return int(text)


def positive_count(text: str) -> int:
    """A number of at least 1."""
    if not count(text):
        raise ValueError("0 is too few: at least 1")
    return int(text)


def number(text: str) -> float:
    """A finite number."""
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", text):
        raise ValueError(f"{text!r} is no number")
    return float(text)


def limit(text: str) -> float:
    """A finite number of at least 0."""
    if number(text) < 0:
        raise ValueError(f"{text!r} is below 0")
    return number(text)


def share(text: str) -> float:
    """From nothing to all, as in 0.01 or 1%."""
    value = number(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no share; write it as in 0.01 or 1%")
    return value


def percent(text: str) -> float:
    """From 0 to 100, with or without its sign."""
    value = number(text.removesuffix("%"))
    if not 0 <= value <= 100:
        raise ValueError(f"{text!r} is no percentage; write it as in 5 or 2.5%")
    return value


def shares(texts: Sequence[str], option: str) -> dict[str, float]:
    """MODEL=50,OTHER=50 of one option or of several, in percent; a model's path may have = in it."""
    found: dict[str, float] = {}
    for text in names(texts):
        name, equals, share = text.rpartition("=")
        if not (name and equals):
            raise UsageError(f"{shown(text)} is not of the form MODEL=PERCENT", option, f"as in {option} a:4=50,a:5=50")
        if name in found:
            raise UsageError(f"{shown(name)} is named twice", option, "say it once")
        try:
            found[name] = percent(share)
        except ValueError as error:
            raise UsageError(str(error), option, "the shares are 100 in all") from error
    return found


def seconds(text: str) -> float:
    """A time of at least a millisecond."""
    if number(text) < 0.001:
        raise ValueError(f"{text} s is too short: at least 0.001")
    return float(text)


def duration(text: str) -> float:
    """A time of at least a second, in seconds: 30, 30s, 5m, 1h."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|min|h)?", text)
    seconds_of = float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2] or "s"] if match else 0.0
    if seconds_of < 1:
        raise ValueError(f"{text!r} is no time of at least a second; write it as in 30s or 5m")
    return seconds_of


def moment(text: str) -> float:
    """Seconds since 1970 of a date or a time, UTC where it names no zone, or of so long ago: 30d, 12h."""
    ago = re.fullmatch(r"([0-9]{1,5})(d|h|m)", text)
    if ago:
        return time.time() - int(ago[1]) * {"d": 86_400, "h": 3_600, "m": 60}[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; write it as in 2026-11-24, 2026-11-24T03:15 or 30d") from None


def counts(texts: Sequence[str], option: str) -> tuple[int, ...]:
    """Numbers of at least 1 between commas, of one option or of several."""
    try:
        return tuple(positive_count(text.strip()) for text in names(texts))
    except ValueError as error:
        raise UsageError(str(error), option, "as in 256,1024") from error


def share_of_rows(text: str) -> str:
    """N or N%, as it stands: what it comes to is known when the rows are counted."""
    if not re.fullmatch(r"[0-9]+|[0-9]+(\.[0-9]+)?%", text) or (text[-1] == "%" and float(text[:-1]) > 100):
        raise ValueError(f"{text!r} is neither a number of rows nor a share of them; write it as in 100 or 0.5%")
    return text


def size_bytes(text: str) -> int:
    """A size as in 512MiB, 2GiB, 1500000, 2GB."""
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match[2] not in UNITS or not float(match[1]):
        raise ValueError(f"{text!r} is no size; write it as in 512MiB or 2GiB")
    return int(float(match[1]) * UNITS[match[2]])


def names(texts: Sequence[str]) -> tuple[str, ...]:
    """Names between commas, of one option or of several; one with a comma in it is quoted as in CSV."""
    import csv

    return tuple(name for text in texts for name in next(csv.reader([text]), []))


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """A=B,C=D of one option or of several."""
    found: dict[str, str] = {}
    for text in names(texts):
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise UsageError(f"{shown(text)} is not of the form A=B", option, f"as in {option} old=new")
        if left in found:
            raise UsageError(f"{shown(left)} is renamed twice", option, "say it once")
        found[left] = right
    return found


def renames(texts: Sequence[str] | None) -> dict[str, str]:
    """--rename FILE_COL=MODEL_COL, as the file's name for each of the model's columns."""
    return {model: file for file, model in pairs(texts or (), "--rename").items()}


def dialect(
    delimiter: str,
    *,
    encoding: str,
    quote: str,
    null_value: Sequence[str] | None = None,
    header: bool = True,
    max_field_bytes: int = 16 << 20,
) -> Dialect:
    """The options of a CSV's dialect as one value; an empty field is always null."""
    from mlserve_cli.tables import Dialect, delimiter_named

    return Dialect(
        delimiter=delimiter_named(delimiter),
        encoding=encoding,
        quote=quote,
        null_values=("", *(null_value or ())),
        header=header,
        max_field_bytes=max_field_bytes,
    )
