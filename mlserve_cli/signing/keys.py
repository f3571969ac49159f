"""Key pairs: made, and the private half read again. A passphrase comes from a file or the environment alone.

What stands on a command line is for every user of the machine to read, and in the shell's history.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlserve_cli.errors import InvalidConfig, OutputExists, UsageError, shown
from mlserve_cli.storage import publish
from mlserve_cli.trust import PublicKey
from mlserve_cli.trust.files import read_file
from mlserve_cli.trust.keys import CURVES, HINT, public_key, require_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".key", ".pub"
PRIVATE_MODE = 0o600
SIZE_LIMIT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Where the two halves lie, the public one's id, and whether the private one needs a passphrase."""

    private: Path
    public: Path
    key_id: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs."""

    public: PublicKey
    key: ec.EllipticCurvePrivateKey


def keygen(name: str, *, passphrase: bytes | None = None) -> KeyPair:
    """Make NAME.key, for its owner's eyes only, and NAME.pub, for all: ECDSA on P-256.

    Raises OutputExists (73) where one of them stands: a private key is never written over.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    private, public = Path(name + PRIVATE_SUFFIX).absolute(), Path(name + PUBLIC_SUFFIX).absolute()
    for path in (private, public):
        _refuse_standing(path, stands=os.path.lexists(path))
    key = ec.generate_private_key(ec.SECP256R1())
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    half = public_key(key.public_key())
    written = publish(private, lambda file: file.write(pem), mode=PRIVATE_MODE)
    _refuse_standing(private, stands=not written.is_new)
    written = publish(public, lambda file: file.write(half.pem.encode("ascii")))
    _refuse_standing(public, stands=not written.is_new)
    return KeyPair(private, public, half.id, passphrase is not None)


def read_private_key(path: str, *, passphrase: bytes | None = None) -> PrivateKey:
    """The private key in a PEM file. InvalidConfig (78) where it holds none, or the passphrase is another."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    where = shown(path, limit=400)
    pem = read_file(path, limit_bytes=SIZE_LIMIT_BYTES)
    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError as error:  # its word for a passphrase that is missing, or not needed
        raise _passphrase_refused(where, given=passphrase is not None) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None and b"ENCRYPTED" in pem:
            raise InvalidConfig("the passphrase does not open this private key", where, "check it") from error
        raise InvalidConfig("this is no private key in PEM form", where, HINT) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise InvalidConfig(f"such a key cannot sign models: the standard takes {', '.join(CURVES)}", where, HINT)
    return PrivateKey(public_key(key.public_key()), key)


def read_passphrase(*, file: str | None, variable: str | None) -> bytes | None:
    """The passphrase in a file (without the newline at its end) or in an environment variable; None where neither is.

    Raises UsageError (2) where both are named, InvalidConfig (78) where what is named holds none.
    """
    if file is not None and variable is not None:
        raise UsageError("--passphrase-file contradicts --passphrase-env", "", "say one of them")
    if file is not None:
        text = read_file(file, limit_bytes=SIZE_LIMIT_BYTES)
        found, where = text.removesuffix(b"\n").removesuffix(b"\r"), shown(file, limit=400)
    elif variable is not None:
        found, where = os.fsencode(os.environ.get(variable, "")), f"the environment variable {shown(variable)}"
    else:
        return None
    if not found:
        raise InvalidConfig("there is no passphrase in it", where, "leave the option out for a key without one")
    return found


def _refuse_standing(path: Path, *, stands: bool) -> None:
    if stands:
        raise OutputExists("a file stands there already", shown(str(path), limit=400), "choose another name")


def _passphrase_refused(where: str, *, given: bool) -> InvalidConfig:
    if given:
        return InvalidConfig("a passphrase is given, and this private key has none", where, "leave it out")
    return InvalidConfig("this private key needs its passphrase", where, "--passphrase-file or --passphrase-env")
