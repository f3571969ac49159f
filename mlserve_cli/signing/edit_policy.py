"""Edits a trust policy as a person would: comments, order and spelling of all the rest stay.

The text is changed line by line, read back, and only written where it says exactly what was meant.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli.errors import InvalidConfig, OutputError, UsageError, nearest, shown
from mlserve_cli.storage import replace, translated
from mlserve_cli.trust import (
    POLICY_FORMAT,
    Policy,
    PolicyFile,
    TrustedKey,
    decode_policy,
    default_policy_path,
    read_policy,
    read_public_key,
)
from mlserve_cli.trust.policy import VARIABLE

HEAD = f"""# Which keys may sign which models for this user: mlserve model trust
format = {POLICY_FORMAT}
unsigned = "refuse"
"""
_HEADER = re.compile(r"\s*\[")
_KEYS, _MINIMUM = re.compile(r"\s*\[\[\s*keys\s*\]\]"), re.compile(r"\s*\[\s*minimum_versions\s*\]")


def trust_add(public_key: str, *, models: Sequence[str], name: str = "", trust_policy: str | None = None) -> Policy:
    """Trust the key in a PEM file for the names that the patterns `models` match; the policy is made where none is.

    `name` is what people call it, by default its file's. Raises UsageError (2) where no name is given to sign, and
    InvalidConfig (78) where the policy has the key or is no policy.
    """
    if not models:
        raise UsageError("no model is named that the key may sign", "", "--models 'churn*', or '*' for all")
    key = read_public_key(public_key)
    before, text, path = _standing(trust_policy)
    if key.id in before.by_id:
        raise InvalidConfig(f"the policy has key {key.short} already", before.where, "remove it first")
    called = name or Path(public_key).stem
    added = TrustedKey(called, tuple(models), key.pem)
    block = f"\n[[keys]]\nname = {_quoted(called)}\nmodels = [{', '.join(map(_quoted, models))}]\n"
    block += f'public_key = """\n{key.pem}"""\n'
    wanted = msgspec.structs.replace(before.file, keys=(*before.file.keys, added))
    return _write(text.rstrip("\n") + "\n" + block, wanted, path=path)


def trust_remove(key: str, *, trust_policy: str | None = None) -> Policy:
    """Trust a key no longer: named by its name in the policy, or by the beginning of its id (8 digits or more)."""
    before, text, path = _standing(trust_policy)
    place = _place_of(key, before)
    blocks = _blocks(text)
    at = [index for index, block in enumerate(blocks) if _KEYS.match(block)]
    if place < len(at):
        del blocks[at[place]]
    kept = before.file.keys[:place] + before.file.keys[place + 1 :]
    return _write("".join(blocks), msgspec.structs.replace(before.file, keys=kept), path=path)


def trust_set(
    *,
    unsigned: Literal["refuse", "allow"] | None = None,
    minimum: tuple[str, int] | None = None,
    trust_policy: str | None = None,
) -> Policy:
    """Say whether unsigned models may run, and from which version on a name may."""
    if unsigned is None and minimum is None:
        raise UsageError("nothing is to be changed", "", "--unsigned, --minimum")
    before, text, path = _standing(trust_policy)
    wanted = before.file
    if unsigned is not None:
        text = _with_line(text, "unsigned", f"unsigned = {_quoted(unsigned)}\n", within=None)
        wanted = msgspec.structs.replace(wanted, unsigned=unsigned)
    if minimum is not None:
        name, version = minimum
        text = _with_line(text, _quoted(name), f"{_quoted(name)} = {version}\n", within=_MINIMUM)
        least = {**wanted.minimum_versions, name: version}
        wanted = msgspec.structs.replace(wanted, minimum_versions=least)
    return _write(text, wanted, path=path)


def _standing(policy: str | None) -> tuple[Policy, str, Path]:
    """The policy as it stands, or an empty one where none does."""
    place = policy or os.environ.get(VARIABLE) or default_policy_path()
    if not place:
        raise OutputError("this user has no folder for settings", "", "name the file with --trust-policy")
    path = Path(place).absolute()
    if not os.path.lexists(path):
        return decode_policy(HEAD.encode(), path=str(path)), HEAD, path
    found = read_policy(place)
    if found is None:  # it went away in between
        return decode_policy(HEAD.encode(), path=str(path)), HEAD, path
    with translated(path, "read"):
        return found, path.read_text("utf-8"), path.resolve()


def _write(text: str, wanted: PolicyFile, *, path: Path) -> Policy:
    """Put the text in the policy's place, where it says what is wanted."""
    edited = decode_policy(text.encode(), path=str(path))
    if edited.file != wanted:
        raise InvalidConfig(
            "the policy is written in a way that cannot be edited here", edited.where, "edit it by hand"
        )
    with translated(path, "create the folder of"):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, text.encode())
    return edited


def _place_of(key: str, policy: Policy) -> int:
    """Which entry of the policy is meant."""
    by_place = [(trusted.name, key_id) for key_id, (trusted, _) in policy.by_id.items()]
    prefix = key.lower() if re.fullmatch(r"[0-9a-fA-F]{8,64}", key) else None
    found = [
        place
        for place, (name, key_id) in enumerate(by_place)
        if name == key or (prefix is not None and key_id.startswith(prefix))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} keys are called {shown(key)}", policy.where, "name it by its id")
    hint = nearest(key, tuple(name for name, _ in by_place)) or "mlserve model trust list shows its keys"
    raise UsageError(f"the policy has no key {shown(key)}", policy.where, hint)


def _blocks(text: str) -> list[str]:
    """The text cut before each header of a table; what is inside of a multi-line string is no header."""
    blocks, inside = [""], False
    for line in text.splitlines(keepends=True):
        if not inside and _HEADER.match(line):
            blocks.append("")
        blocks[-1] += line
        inside ^= line.count('"""') % 2 == 1
    return blocks


def _with_line(text: str, key: str, line: str, *, within: re.Pattern[str] | None) -> str:
    """The text with `key` set by `line`: at its place where it has one, else at the head of its table."""
    blocks = _blocks(text)
    at = 0 if within is None else next((i for i, block in enumerate(blocks) if within.match(block)), None)
    if at is None:
        blocks.insert(1, "\n[minimum_versions]\n" + line + ("\n" if len(blocks) > 1 else ""))
        return "".join(blocks)
    spelled = re.compile(rf"\s*(?:{re.escape(key)}|{re.escape(key.strip(chr(34)))})\s*=")
    lines = blocks[at].splitlines(keepends=True)
    standing = next((i for i, one in enumerate(lines) if spelled.match(one)), None)
    if standing is not None:
        lines[standing] = line
    elif within is None:
        lines = [*lines, line]
    else:
        lines.insert(1, line)
    blocks[at] = "".join(lines)
    return "".join(blocks)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's, which is one of its spellings."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
