"""Figures and texts as the page says them: short, with their unit, and safe to look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
HIDDEN_KINDS = frozenset(("Cc", "Cs", "Co", "Cn"))
TURNS_TEXT = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff")
CUT_CHARACTERS = 300


def count(number: int, noun: str = "") -> str:
    """12,345; with a noun 1 row, 2 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if noun else f"{number:,}"


def share(part: float, *, of: float = 1.0) -> str:
    """A part as a percentage; what is there but rounds to nothing, or to all, says so."""
    percent = 100 * part / of if of else 0.0
    if 0 < percent < 0.05:
        return "<0.1 %"
    if 99.95 <= percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if abs(percent - round(percent)) < 1e-9 else f"{percent:.1f} %"


def duration(seconds: float) -> str:
    """0.8 ms, 1.24 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(number_bytes: float) -> str:
    """A size in the largest unit that leaves at least one."""
    power = 0
    while number_bytes >= 1024 and power < len(UNITS) - 1:
        number_bytes, power = number_bytes / 1024, power + 1
    return (
        f"{number_bytes:.0f} {UNITS[power]}"
        if power < 2 or number_bytes >= 100
        else f"{number_bytes:.1f} {UNITS[power]}"
    )


def figure(number: float | None, *, digits: int = 4) -> str:
    """A measured number to so many significant digits; a dash where there is none."""
    if number is None:
        return "–"
    if number and (abs(number) >= 1e7 or abs(number) < 1e-4):
        return f"{number:.{digits - 2}e}".replace("-", "−")
    if abs(number) >= 1000:
        return f"{number:,.0f}".replace("-", "−")
    return f"{number:.{digits}g}".replace("-", "−")


def signed(number: float) -> str:
    """A difference, its direction always said."""
    return f"{'' if number < 0 else '+' if number > 0 else '±'}{figure(number, digits=3)}"


def chance(p_value: float) -> str:
    """A p-value: what is below one in ten thousand is said to be."""
    return "<0.0001" if p_value < 0.0001 else f"{p_value:.4f}" if p_value < 0.1 else f"{p_value:.2f}"


def moment(text: str) -> str:
    """24 Nov 2026, 04:00 UTC."""
    when = _parsed(text)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def span(start: str, end: str) -> str:
    """24 Nov 2026, 04:00:00 to 04:00:05 UTC; the day is said again where it is another."""
    first, last = _parsed(start), _parsed(end)
    until = "" if first.date() == last.date() else f"{last.day} {last:%b %Y}, "
    return f"{first.day} {first:%b %Y}, {first:%H:%M:%S} to {until}{last:%H:%M:%S} UTC"


def day(text: str) -> str:
    """24 Nov 2026."""
    when = _parsed(text)
    return f"{when.day} {when:%b %Y}"


def days(texts: Sequence[str]) -> list[str]:
    """Moments beside each other, as short as tells them apart: 04:00, 24 Nov, 24 Nov 2026."""
    moments = [_parsed(text) for text in texts]
    if len(moments) > 1 and len({when.date() for when in moments}) == 1:
        return [f"{when:%H:%M}" for when in moments]
    year = "" if len({when.year for when in moments}) == 1 else " %Y"
    return [f"{when.day} {when:%b{year}}" for when in moments]


def visible(text: str, *, most: int = CUT_CHARACTERS) -> str:
    """A value of somebody's data as it may stand on the page: nothing in it is hidden or turns the text around it."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(_escaped(c) if c in TURNS_TEXT or unicodedata.category(c) in HIDDEN_KINDS else c for c in cut)


def model_name(name: str, version: str) -> str:
    """A model as people name it."""
    return visible(f"{name} {version}".strip())


def listed(names: list[str], *, most: int = 4) -> str:
    """a, b and c; of more than `most` the rest as a number."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1:,} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
