"""What is signed: every file of a package with its digest, and the name and version that it is signed as.

It is the in-toto statement of OpenSSF Model Signing 1.0, so that its own tools verify our signatures. That standard
takes the name of a model for information only and knows no version: both stand, with the package's digest, in the
predicate's `mlserve`, which it tells other verifiers to pass over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from mlserve_cli.contract import Value, encode_canonical
from mlserve_cli.errors import Untrusted

SIGNATURES = "signatures"  # the folder in a package that holds signatures, and is not signed itself
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"


class Sha256(Value, frozen=True):
    """A digest, 64 hexadecimal digits."""

    sha256: str


class Named(Value, frozen=True):
    """The model as a whole: its name, and the digest over the digests of its files, in their order."""

    name: str
    digest: Sha256


class Resource(Value, frozen=True):
    """One file by its path in the package, with / between folders."""

    name: str
    digest: str
    algorithm: Literal["sha256"] = "sha256"


class Serialization(Value, frozen=True):
    """How the list of files was made, so that another verifier makes the same."""

    method: Literal["files"] = "files"
    hash_type: Literal["sha256"] = "sha256"
    allow_symlinks: Literal[False] = False
    ignore_paths: tuple[str, ...] = (SIGNATURES,)


class SignedAs(Value, frozen=True):
    """What the standard lacks: name and version as they are asked for, and the package's own digest.

    `history` is the digest of the entry that added the version to its registry: the chain up to there is signed too.
    """

    name: str
    version: str
    package_digest: str
    history: str


class Predicate(Value, frozen=True):
    """What is said of the model. Signatures by other tools have no `mlserve`."""

    resources: tuple[Resource, ...]
    serialization: Serialization
    mlserve: SignedAs | None = None


class Statement(Value, frozen=True):
    """The whole of it."""

    subject: tuple[Named]
    predicate: Predicate
    predicate_type: Literal["https://model_signing/signature/v1.0"] = msgspec.field(
        name="predicateType", default=PREDICATE_TYPE
    )
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type", default=STATEMENT_TYPE)

    @property
    def files(self) -> dict[str, str]:
        """sha256 by file."""
        return {resource.name: resource.digest for resource in self.predicate.resources}


def statement_of(
    files: Mapping[str, str], *, name: str, version: str, package_digest: str, history: str = ""
) -> Statement:
    """The statement over `files` (sha256 by path)."""
    resources = tuple(Resource(path, digest) for path, digest in sorted(files.items()))
    whole = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources))
    return Statement(
        subject=(Named(name, Sha256(whole.hexdigest())),),
        predicate=Predicate(resources, Serialization(), SignedAs(name, version, package_digest, history)),
    )


def encode_statement(statement: Statement) -> bytes:
    """The bytes that are signed."""
    return encode_canonical(statement)


def decode_statement(data: bytes, *, where: str) -> Statement:
    """A statement whose signature holds. Untrusted (77) where it is none that we know how to read."""
    try:
        statement = msgspec.json.decode(data, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Untrusted(
            f"what is signed is no statement on a model's files: {error}", where, "sign it with mlserve model sign"
        ) from error
    if len(statement.files) != len(statement.predicate.resources):
        raise Untrusted("the signed list of files has one of them twice", where, "sign it with mlserve model sign")
    return statement
