"""Public keys: ECDSA on the NIST curves, which is what OpenSSF Model Signing takes, as PEM."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.errors import ExtraMissing, InvalidConfig, shown
from mlserve_cli.trust.files import read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

HINT = "mlserve model keygen makes one"
SIZE_LIMIT_BYTES = 1 << 16


class PublicKey(msgspec.Struct, frozen=True):
    """A key that verifies. `id` is the sha256 of its PEM text, as the standard has it."""

    id: str
    pem: str
    key: ec.EllipticCurvePublicKey

    @property
    def short(self) -> str:
        """The id as files and people have it."""
        return self.id[:16]

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over `data` was made by this key's other half."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            self.key.verify(signature, data, ec.ECDSA(hash_for(self.key.curve)))
        except InvalidSignature:
            return False
        return True


def read_public_key(path: str) -> PublicKey:
    """The public key in a PEM file. InvalidConfig (78) where it holds none."""
    return load_public_key(read_file(path, limit_bytes=SIZE_LIMIT_BYTES), where=shown(path, limit=400))


def load_public_key(pem: bytes, *, where: str) -> PublicKey:
    """The public key in a PEM text. InvalidConfig (78) where it holds none; ExtraMissing (69) without the library."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in pem:
        raise InvalidConfig("this is a private key; others only ever get the public one", where, "take its .pub file")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidConfig("this is no public key in PEM form", where, HINT) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        kind = f"on {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else f"of {type(key).__name__}"
        raise InvalidConfig(f"a key {kind} cannot sign models: the standard takes {', '.join(CURVES)}", where, HINT)
    return public_key(key)


def public_key(key: ec.EllipticCurvePublicKey) -> PublicKey:
    """The key with its id."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(hashlib.sha256(pem).hexdigest(), pem.decode("ascii"), key)


CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


def hash_for(curve: ec.EllipticCurve) -> HashAlgorithm:
    """The hash that the standard signs with on a curve."""
    from cryptography.hazmat.primitives import hashes

    algorithm: HashAlgorithm = getattr(hashes, CURVES[curve.name])()
    return algorithm


def require_cryptography() -> None:
    """ExtraMissing (69) where the library is not installed."""
    import importlib.util

    if importlib.util.find_spec("cryptography") is None:
        raise ExtraMissing("cryptography", "sign")
