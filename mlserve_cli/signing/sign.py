"""Signs a package: a statement over its files, name and version, in a file of its own beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlserve_cli.errors import InvalidModel, OutputExists, Untrusted, shown
from mlserve_cli.registry import find, signature_path, subject_of
from mlserve_cli.signing.keys import PrivateKey, read_private_key
from mlserve_cli.storage import publish, translated
from mlserve_cli.trust import (
    Bundle,
    Subject,
    encode_bundle,
    encode_statement,
    files_of,
    read_signature,
    signature_holds,
    signed_bytes,
    statement_of,
)
from mlserve_cli.trust.keys import hash_for


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, by which key, and where the signature lies. `already` where it lay there before this call."""

    name: str
    version: str
    key_id: str
    path: Path
    already: bool


def sign(model: str, *, key: str, passphrase: bytes | None = None, registry: str | None = None) -> Signed:
    """Sign MODEL, a package folder or a version of a registry, with the private key in a PEM file.

    Its digests are proved before. Raises InvalidModel (78) where they do not hold or the key is none, OutputExists
    (73) where a signature by this key stands that is for something else.
    """
    private = read_private_key(key, passphrase=passphrase)
    subject = subject_of(find(model, registry=Path(registry) if registry else None).package)
    if subject.folder is None:
        raise InvalidModel(
            "a bare ONNX file has no place for a signature",
            shown(model, limit=400),
            "mlserve model package makes a package of it",
        )
    path = signature_path(subject.folder, key_id=private.public.id)
    with translated(path.parent, "create"):
        path.parent.mkdir(exist_ok=True)
    content = _signature(subject, subject.folder, private)
    is_new = publish(path, lambda file: file.write(content)).is_new
    if not is_new:
        _check_standing(path, subject, private)
    return Signed(subject.name, subject.version, private.public.id, path, not is_new)


def _signature(subject: Subject, folder: Path, key: PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    files = files_of(folder, proved=subject.digests)
    statement = statement_of(
        files,
        name=subject.name,
        version=subject.version,
        package_digest=subject.digest,
        history=subject.added,
    )
    payload = encode_statement(statement)
    made = key.key.sign(signed_bytes(payload), ec.ECDSA(hash_for(key.key.curve)))
    return encode_bundle(Bundle(payload, made, key.public.id))


def _check_standing(path: Path, subject: Subject, key: PrivateKey) -> None:
    """A signature by this key that holds is as good as a new one (no two are the same); any other is in the way."""
    where = shown(str(path), limit=400)
    try:
        signature_holds(read_signature(path), subject, key=key.public, where=where)
    except Untrusted as error:
        raise OutputExists(
            f"a signature stands there, and {error.what}", where, "look into it, then delete it"
        ) from error
