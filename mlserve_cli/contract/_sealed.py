"""The seal that records, manifests and profiles carry: the digest of their own content.

A sealed file has one byte-exact form. Whoever reads it encodes it again and compares, so that any flipped bit is found:
either the content's digest differs, or the bytes differ from their canonical form.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, TypeVar

import msgspec

from mlserve_cli.contract._values import Value
from mlserve_cli.errors import InvalidConfig, RunMismatch, UsageError


class Sealed(Value, frozen=True):
    """A value whose file says its format and, as `digest`, the sha256 of its own content."""

    known_format: ClassVar[int]
    format: int


S = TypeVar("S", bound=Sealed)


def encode_sealed(value: Sealed) -> bytes:
    """Pretty JSON, UTF-8, with `digest` set to the sha256 of the same form without it."""
    blank = msgspec.structs.replace(value, digest="")
    sealed = msgspec.structs.replace(value, digest=f"sha256:{hashlib.sha256(_pretty(blank)).hexdigest()}")
    return _pretty(sealed)


def decode_sealed(data: bytes, kind: type[S], *, where: str) -> S:
    """The value, proved to be what was written.

    Raises InvalidConfig (78) for another format, RunMismatch (65) where the seal does not hold.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError) as error:  # a dialect checks itself, as a user's would
        _refuse_other_format(_format_of(data, kind), kind, where=where)
        raise RunMismatch(
            f"not readable as what it should be: {error}", where, "the file was changed or cut"
        ) from error
    if encode_sealed(value) != data:
        raise RunMismatch(
            "the content does not match its own digest", where, "the file was changed after it was written"
        )
    _refuse_other_format(value.format, kind, where=where)
    return value


def _format_of(data: bytes, kind: type[Sealed]) -> int:
    """The format that unreadable data claims; where it claims none, it is no other format but damage."""
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("format")
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    return found if isinstance(found, int) else kind.known_format


def _refuse_other_format(found: int, kind: type[Sealed], *, where: str) -> None:
    """A file of another format is no damage: say so instead."""
    if found != kind.known_format:
        raise InvalidConfig(
            f"format {found} of {kind.__name__} is not known, this mlserve reads {kind.known_format}",
            where,
            "upgrade mlserve" if found > kind.known_format else "read it with the version that wrote it",
        )


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"
