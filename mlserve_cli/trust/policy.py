"""The policy: which keys may sign which names, whether what nobody signed may run, and the oldest versions that may."""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import Forbidden, InputMissing, InvalidConfig, shown
from mlserve_cli.trust.files import read_file
from mlserve_cli.trust.keys import PublicKey, load_public_key

POLICY_FORMAT = 1
SIZE_LIMIT_BYTES = 16 << 20
VARIABLE = "MLSERVE_TRUST_POLICY"


class TrustedKey(Value, frozen=True, omit_defaults=True):
    """A key, what people call it, and the names that it may sign, as patterns with * and ?."""

    name: str
    models: tuple[str, ...]
    public_key: str


class PolicyFile(Value, frozen=True, omit_defaults=True):
    """The whole file. `minimum_versions` has for a model's name the oldest version that may still run."""

    format: int
    unsigned: Literal["refuse", "allow"] = "refuse"
    minimum_versions: dict[str, int] = {}
    keys: tuple[TrustedKey, ...] = ()


class Policy(msgspec.Struct, frozen=True):
    """A policy as it was read: `sha256` is over the file's bytes, `by_id` has its keys by their ids."""

    path: str
    sha256: str
    file: PolicyFile
    by_id: Mapping[str, tuple[TrustedKey, PublicKey]]

    @property
    def where(self) -> str:
        """Where it lies, for messages."""
        return shown(self.path, limit=400)

    def may_sign(self, key_id: str, name: str) -> bool:
        """Whether the key may sign models of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self.by_id[key_id][0].models)


def read_policy(path: str | None = None) -> Policy | None:
    """The policy at `path`, else the one that MLSERVE_TRUST_POLICY names, else the user's own, or None without any.

    Raises InvalidConfig (78) where it is not valid, does not exist though it was named, or could be changed by anyone.
    """
    named = path or os.environ.get(VARIABLE)
    place = named or default_policy_path()
    if not place or (not named and not os.path.lexists(place)):
        return None
    where = shown(place, limit=400)
    try:
        data = read_file(place, limit_bytes=SIZE_LIMIT_BYTES)
    except InputMissing as error:
        raise InvalidConfig("there is no such trust policy", where, "check the path after --trust-policy") from error
    if os.stat(place).st_mode & stat.S_IWOTH:
        raise Forbidden("anyone on this machine may change the trust policy", where, f"chmod o-w {where}")
    return decode_policy(data, path=place)


def default_policy_path() -> str:
    """Where a user's own policy lies; "" for a user who has no home."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(base) if os.path.isabs(base) else Path.home() / ".config"
    except RuntimeError:
        return ""
    return str(folder / "mlserve" / "trust.toml")


def decode_policy(data: bytes, *, path: str) -> Policy:
    """The policy in these bytes, each of its keys fit for use. InvalidConfig (78) where something is not."""
    where = shown(path, limit=400)
    file = _decode(data, where)
    by_id: dict[str, tuple[TrustedKey, PublicKey]] = {}
    for trusted in file.keys:
        key = load_public_key(trusted.public_key.encode(), where=f"{where}, key {shown(trusted.name)}")
        if key.id in by_id:
            raise InvalidConfig(f"key {key.short} stands twice", where, "give one entry all the names that it may sign")
        by_id[key.id] = (trusted, key)
    return Policy(path, hashlib.sha256(data).hexdigest(), file, by_id)


def _decode(data: bytes, where: str) -> PolicyFile:
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"not a TOML file: {error}", where, "mend the file") from error
    if document.get("format") != POLICY_FORMAT:
        raise InvalidConfig(
            f"policy format {document.get('format')!r} is not known",
            where,
            f"this version of mlserve reads format = {POLICY_FORMAT}",
        )
    try:
        return msgspec.convert(document, PolicyFile)
    except msgspec.ValidationError as error:
        raise InvalidConfig(str(error), where, "see the page on trust in the documentation") from error
