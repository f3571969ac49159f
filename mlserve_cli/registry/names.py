"""How a model is named: a path, or NAME, NAME@ALIAS, NAME:VERSION in a registry; and where the registry is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from mlserve_cli.errors import UsageError, shown

CHAMPION = "champion"
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_NAME, _REFERENCE = re.compile(_WORD), re.compile(rf"({_WORD})(?:@({_WORD})|:([1-9][0-9]{{0,8}}))?")


class Reference(msgspec.Struct, frozen=True):
    """NAME@ALIAS (`version` 0) or NAME:VERSION (`alias` ""); NAME alone has neither."""

    name: str
    alias: str = ""
    version: int = 0


def is_path(model: str) -> bool:
    """Whether MODEL is a place in the file system: what exists is, and what looks like one."""
    return "/" in model or model.endswith(".onnx") or os.path.lexists(model)


def parse_reference(text: str) -> Reference:
    """Raises UsageError (2) where it is none."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{shown(text)} is no model's name",
            "",
            "a name has letters, digits and . _ - alone; after it may stand @ALIAS or :VERSION",
        )
    return Reference(match[1], match[2] or "", int(match[3] or 0))


def is_name(text: str) -> bool:
    """Whether a registry can have such a name or alias."""
    return _NAME.fullmatch(text) is not None and not text.endswith(".onnx")


def checked_name(name: str, *, what: str = "name") -> str:
    """A name or alias that a registry can have. Raises UsageError (2)."""
    if not is_name(name):
        raise UsageError(
            f"{shown(name)} cannot be a model's {what}", "", "letters, digits and . _ - alone, at most 100, no .onnx"
        )
    return name


def default_root() -> Path:
    """MLSERVE_REGISTRY, else mlserve/registry in the user's data folder."""
    named = os.environ.get("MLSERVE_REGISTRY")
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME", "")
    home = Path(data) if os.path.isabs(data) else Path(os.path.expanduser("~")) / ".local" / "share"
    return home / "mlserve" / "registry"
