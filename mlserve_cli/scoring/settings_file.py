"""Settings in a TOML file that `score --config` reads: one line for each option, changed in its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from mlserve_cli import storage
from mlserve_cli.errors import InvalidConfig, shown

Settings = Mapping[str, str | int]
HEAD = "# Options of `mlserve score --config`; the command line and MLSERVE_* variables count for more.\n"


def write_settings(path: Path, settings: Settings) -> None:
    """The file with these options in it, whole or as it was; other lines and comments stay as they are.

    Raises InvalidConfig (78) where the file is not TOML, or where its lines cannot be changed for certain.
    """
    target = Path(path).resolve()  # a link stays one
    text = _text(target)
    storage.replace(target, _with(text or HEAD, settings, where=shown(str(path), limit=400)).encode())


def settings_in(path: Path) -> dict[str, object]:
    """What the file says, with `-` in every key; nothing where there is none."""
    found = _parsed(_text(path), where=shown(str(path), limit=400))
    return {key.replace("_", "-"): value for key, value in found.items()}


def _with(text: str, settings: Settings, *, where: str) -> str:
    """The text with each option's line replaced, or put at its end; read back, to be what is meant and nothing else."""
    before = _parsed(text, where=where)
    ours = {name: name.replace("-", "_") for name in settings}
    kept = {key: value for key, value in before.items() if key.replace("_", "-") not in ours}
    for name, value in settings.items():
        line = f"{name} = {_toml(value)}"
        old = re.compile(rf'^[ \t]*"?({re.escape(name)}|{ours[name]})"?[ \t]*=[^\n#]*?(?=[ \t]*(#|$))', re.MULTILINE)
        text = old.sub(line, text, count=1) if old.search(text) else f"{text.rstrip()}\n{line}\n"
    if _parsed(text, where=where, changed=True) != {**kept, **settings}:
        raise _cannot_change(settings, where)
    return text


def _parsed(text: str, *, where: str, changed: bool = False) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if changed:
            return {}  # which is never what is meant
        raise InvalidConfig(
            f"not a TOML file: {error}", where, "write one line for each option: workers = 4"
        ) from error


def _cannot_change(settings: Settings, where: str) -> InvalidConfig:
    lines = "; ".join(f"{name} = {_toml(value)}" for name, value in settings.items())
    return InvalidConfig(
        "the file's lines cannot be changed without a risk to the others", where, f"put these into it: {lines}"
    )


def _text(path: Path) -> str:
    with storage.translated(path, "read"):
        try:
            return path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise InvalidConfig(f"not a TOML file: {error}", shown(str(path), limit=400), "it must be UTF-8") from error


def _toml(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
