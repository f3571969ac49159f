"""Writes TOML as a person would: keys in the order of the format, one a line, and long lists one entry a line.

`tomllib` only reads. What we write is a tree of texts, numbers, lists and tables, and its layout is part of the format:
the same package is the same bytes, and a change of one column is a change of one line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

LINE = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def encode_toml(document: Mapping[str, object]) -> bytes:
    """The document as UTF-8; tables within it as `[a.b]`, lists of tables as `[[a.b]]`, in the order given."""
    return ("\n".join(_table(document, path=())).strip("\n") + "\n").encode("utf-8")


def _table(table: Mapping[str, object], *, path: tuple[str, ...]) -> list[str]:
    """Plain keys first: after a header every key belongs to it."""
    lines = [f"{_key(name)} = {_value(name, value)}" for name, value in table.items() if not _is_tabular(value)]
    for name, value in table.items():
        inner = (*path, name)
        header = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            lines += ["", f"[{header}]", *_table(value, path=inner)]
        elif _is_tabular(value) and isinstance(value, Sequence):
            for one in value:
                lines += ["", f"[[{header}]]", *_table(one, path=inner)]
    return lines


def _is_tabular(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)
    )


def _value(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str():
            return _text(value)
        case list() | tuple():
            entries = [_value(name, one) for one in value]
            line = f"[{', '.join(entries)}]"
            return line if len(line) <= LINE else "[\n" + "".join(f"    {entry},\n" for entry in entries) + "]"
        case _:
            raise ValueError(f"{name}: TOML has no such value: {value!r}")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, which wants DEL escaped as well."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
