"""Key pairs: private ones for their owner alone, passphrases from files and variables, other people's keys read."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mlserve_cli import signing, trust
from mlserve_cli.errors import InvalidConfig, OutputExists, UsageError
from mlserve_cli.signing.keys import read_private_key


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_private_key_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        pair = signing.keygen(str(tmp_path / "release"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.public.stat().st_mode) == 0o666 & ~umask
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release.key", "release.pub"]


def test_both_halves_belong_together_and_openssl_says_so_too(tmp_path: Path) -> None:
    pair = signing.keygen(str(tmp_path / "release"))
    assert read_private_key(str(pair.private)).public.id == pair.key_id
    assert trust.read_public_key(str(pair.public)).id == pair.key_id
    made = subprocess.run(["openssl", "pkey", "-in", pair.private, "-pubout"], capture_output=True, check=True)
    assert made.stdout == pair.public.read_bytes()
    assert b"BEGIN PRIVATE KEY" in pair.private.read_bytes()  # PKCS#8


@pytest.mark.parametrize("standing", ["release.key", "release.pub"])
def test_a_key_is_never_written_over(tmp_path: Path, standing: str) -> None:
    (tmp_path / standing).write_text("precious")
    with pytest.raises(OutputExists):
        signing.keygen(str(tmp_path / "release"))
    assert [path.name for path in tmp_path.iterdir()] == [standing]
    assert (tmp_path / standing).read_text() == "precious"


def test_a_key_with_a_passphrase_opens_with_it_alone(tmp_path: Path) -> None:
    pair = signing.keygen(str(tmp_path / "release"), passphrase=b"long")
    assert b"ENCRYPTED" in pair.private.read_bytes()
    assert read_private_key(str(pair.private), passphrase=b"long").public.id == pair.key_id
    with pytest.raises(InvalidConfig, match="needs its passphrase") as error:
        read_private_key(str(pair.private))
    assert "--passphrase-file" in error.value.hint
    with pytest.raises(InvalidConfig, match="does not open"):
        read_private_key(str(pair.private), passphrase=b"short")


def test_a_passphrase_for_a_key_without_one_is_said_to_be_too_much(tmp_path: Path) -> None:
    pair = signing.keygen(str(tmp_path / "release"))
    with pytest.raises(InvalidConfig, match="this private key has none"):
        read_private_key(str(pair.private), passphrase=b"long")


@pytest.mark.parametrize("text", ["long", "long\n", "long\r\n"])
def test_a_passphrase_in_a_file_ends_before_its_newline(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_bytes(text.encode())
    assert signing.read_passphrase(file=str(tmp_path / "file"), variable=None) == b"long"


def test_a_passphrase_comes_from_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASS", "long")
    assert signing.read_passphrase(file=None, variable="PASS") == b"long"
    assert signing.read_passphrase(file=None, variable=None) is None
    with pytest.raises(UsageError):
        signing.read_passphrase(file="x", variable="PASS")
    with pytest.raises(InvalidConfig, match="no passphrase in it") as error:
        signing.read_passphrase(file=None, variable="NO_SUCH")
    assert "NO_SUCH" in error.value.where


def test_keys_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    kinds: dict[str, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
        "Ed25519PublicKey": ed25519.Ed25519PrivateKey.generate(),
        "RSAPublicKey": rsa.generate_private_key(65537, 2048),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    }
    for name, key in kinds.items():
        private, public = tmp_path / f"{name}.key", tmp_path / f"{name}.pub"
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(InvalidConfig, match="cannot sign models: the standard takes secp256r1"):
            read_private_key(str(private))
        with pytest.raises(InvalidConfig, match="cannot sign models") as error:
            trust.read_public_key(str(public))
        assert name in error.value.what


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_keys_on_the_curves_of_the_standard_sign_and_verify(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    public = trust.load_public_key(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), where="here"
    )
    made = key.sign(b"data", ec.ECDSA(trust.keys.hash_for(curve)))
    assert public.verifies(made, b"data")
    assert not public.verifies(made, b"date")
    assert not public.verifies(b"", b"data")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.key").write_text("hello")
    with pytest.raises(InvalidConfig, match="no private key"):
        read_private_key(str(tmp_path / "no.key"))
    with pytest.raises(InvalidConfig, match="no public key"):
        trust.read_public_key(str(tmp_path / "no.key"))
