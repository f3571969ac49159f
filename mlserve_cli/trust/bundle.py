"""The file of a signature: a Sigstore bundle around a DSSE envelope, as OpenSSF Model Signing writes it.

Read more strictly than the format asks: each byte of the file counts, so that none can be changed unnoticed.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import Untrusted

SUFFIX = ".sig"
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
SIZE_LIMIT_BYTES = 64 << 20  # a hundred thousand files; more is no list of files


class _KeyHint(Value, frozen=True):
    hint: str


class _Material(Value, frozen=True, rename="camel"):
    public_key: _KeyHint
    tlog_entries: tuple[()] = ()


class _Signature(Value, frozen=True):
    sig: str
    keyid: Literal[""] = ""


class _Envelope(Value, frozen=True, rename="camel"):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: tuple[_Signature]


class _BundleFile(Value, frozen=True, rename="camel"):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


class Bundle(msgspec.Struct, frozen=True):
    """A statement's bytes, a signature over them, and the id of the key that is said to have made it."""

    payload: bytes
    signature: bytes
    key_id: str


def signed_bytes(payload: bytes) -> bytes:
    """What the key signs of a payload: DSSE's pre-authentication encoding, which binds its type."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def encode_bundle(bundle: Bundle) -> bytes:
    """The file."""
    payload, signature = (base64.b64encode(part).decode() for part in (bundle.payload, bundle.signature))
    envelope = _Envelope(payload, PAYLOAD_TYPE, (_Signature(signature),))
    return msgspec.json.encode(_BundleFile(MEDIA_TYPE, _Material(_KeyHint(bundle.key_id)), envelope))


def decode_bundle(data: bytes, *, where: str) -> Bundle:
    """The bundle in the file. Untrusted (77) where it is none, or not written as it is written by all signers."""
    try:
        file = msgspec.json.decode(data, type=_BundleFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Untrusted(f"this is no signature of a model: {error}", where, "sign the model anew") from error
    envelope = file.dsse_envelope
    payload, signature = (_decoded(text, where) for text in (envelope.payload, envelope.signatures[0].sig))
    return Bundle(payload, signature, file.verification_material.public_key.hint)


def _decoded(text: str, where: str) -> bytes:
    """Base64 in its one spelling: its last character may hold bits that no decoder looks at."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != text:
        raise Untrusted("this is no signature of a model: not base64", where, "sign the model anew")
    return data
