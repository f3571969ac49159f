"""Texts of the command line into values; what is wrong with one is said in its own terms."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

import typer

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
    if not re.fullmatch(r"[0-9]+", text) or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither auto nor a number of at least 1")
    return int(text)


def size_bytes(text: str) -> int:
    """A size as in 512MiB, 2GiB, 1500000, 2GB."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match[2] not in UNITS or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is no size; write it as in 512MiB or 2GiB")
    return int(float(match[1]) * UNITS[match[2]])


def names(texts: Sequence[str]) -> tuple[str, ...]:
    """Names between commas, of one option or of several; one with a comma in it is quoted as in CSV."""
    return tuple(name for text in texts for name in next(csv.reader([text]), []))


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """A=B,C=D of one option or of several."""
    found = {}
    for text in names(texts):
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise typer.BadParameter(f"{text!r} is not of the form A=B", param_hint=option)
        found[left] = right
    return found
