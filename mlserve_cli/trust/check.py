"""The check itself: a model about to run, held against its signatures and the policy."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import Untrusted, shown
from mlserve_cli.storage import record_of
from mlserve_cli.trust.bundle import SIZE_LIMIT_BYTES, Bundle, decode_bundle, signed_bytes
from mlserve_cli.trust.files import read_file
from mlserve_cli.trust.keys import PublicKey
from mlserve_cli.trust.policy import Policy
from mlserve_cli.trust.statement import SIGNATURES, Statement, decode_statement

HOW = "mlserve model sign signs it, with a key that the policy trusts for this name"


class Subject(msgspec.Struct, frozen=True):
    """What is about to run: a package under the name and version by which it was asked for.

    `added` is the digest of the entry in the registry's history that added it, "" for a package elsewhere. `digests`
    has files whose sha256 was just proved, so that no large file is read twice. `folder` is None for a bare ONNX file,
    which has no place for signatures.
    """

    name: str
    version: str
    added: str
    digest: str
    folder: Path | None
    digests: Mapping[str, str]
    signatures: tuple[Path, ...]

    @property
    def spelled(self) -> str:
        """As people name it."""
        return shown(f"{self.name}:{self.version}" if self.version else self.name, limit=200)


class SignatureCheck(Value, frozen=True):
    """What a check found: who signed, by what the policy calls the key and by its id, and which policy let it run."""

    signer: str
    key_id: str
    policy_sha256: str

    @property
    def signed(self) -> bool:
        """Whether a trusted key signed it; else the policy lets unsigned ones run."""
        return self.key_id != ""


def check(subject: Subject, policy: Policy) -> SignatureCheck:
    """Whether the policy lets the model run.

    Every signature by a key of the policy must hold, and one of these keys must be allowed to sign this name.
    Raises Untrusted (77) where that is not so.
    """
    _check_age(subject, policy)
    bundles = [(path, read_signature(path)) for path in subject.signatures]
    known = [(path, bundle) for path, bundle in bundles if bundle.key_id in policy.by_id]
    for path, bundle in known:
        signature_holds(bundle, subject, key=policy.by_id[bundle.key_id][1], where=shown(str(path), limit=400))
    signers = [bundle.key_id for _, bundle in known if policy.may_sign(bundle.key_id, subject.name)]
    if signers:
        return SignatureCheck(policy.by_id[signers[0]][0].name, signers[0], policy.sha256)
    if known:
        names = ", ".join(sorted({shown(policy.by_id[bundle.key_id][0].name) for _, bundle in known}))
        raise Untrusted(f"{subject.spelled} is signed by {names}, whose key may not sign this name", policy.where)
    if policy.file.unsigned == "allow":
        return SignatureCheck("", "", policy.sha256)
    by = "by no key that the policy knows" if subject.signatures else "by nobody"
    raise Untrusted(f"{subject.spelled} is signed {by}", policy.where, HOW)


def read_signature(path: Path) -> Bundle:
    """The bundle in a file; nothing of it is proved yet. Untrusted (77) where it is none."""
    return decode_bundle(read_file(str(path), limit_bytes=SIZE_LIMIT_BYTES), where=shown(str(path), limit=400))


def signature_holds(bundle: Bundle, subject: Subject, *, key: PublicKey, where: str) -> Statement:
    """The bundle's statement, made by this key on this very subject. Untrusted (77) where anything differs."""
    if not key.verifies(bundle.signature, signed_bytes(bundle.payload)):
        raise Untrusted(f"the signature was not made by key {key.short}, or was changed since", where)
    statement = decode_statement(bundle.payload, where=where)
    signed = statement.predicate.mlserve
    if signed is None:
        raise Untrusted("the signature does not say which name and version it is for", where, HOW)
    if (signed.name, signed.version) != (subject.name, subject.version):
        other = shown(f"{signed.name}:{signed.version}" if signed.version else signed.name, limit=200)
        raise Untrusted(f"the signature is for {other}, not for {subject.spelled}", where)
    if signed.history != subject.added:
        raise Untrusted(f"the history up to {subject.spelled} is not the one that was signed", where)
    if signed.package_digest != subject.digest:
        raise Untrusted(f"{subject.spelled} is not the package that was signed", where)
    _check_files(statement.files, subject, where=where)
    return statement


def files_of(folder: Path, *, proved: Mapping[str, str] | None = None) -> dict[str, str]:
    """sha256 by path of every file in a package but its signatures. `proved` are digests that need no second reading.

    Raises Untrusted (77) for what is no plain file: a link leads to what nobody signed.
    """
    proved = proved or {}
    return {name: proved.get(name) or record_of(folder / name).sha256 for name in _names(folder)}


def _check_age(subject: Subject, policy: Policy) -> None:
    """An older version has a good signature too: only this keeps it from being put back."""
    least = policy.file.minimum_versions.get(subject.name)
    if least is None:
        return
    if not subject.version.isdecimal():
        raise Untrusted(
            f"the policy lets {shown(subject.name)} run from version {least} on, and this has no such number",
            policy.where,
            "name a version of the registry",
        )
    if int(subject.version) < least:
        raise Untrusted(f"{subject.spelled} is older than version {least}, the oldest that may run", policy.where)


def _check_files(signed: Mapping[str, str], subject: Subject, *, where: str) -> None:
    found = files_of(subject.folder, proved=subject.digests) if subject.folder else {}
    for name in sorted(signed.keys() | found.keys()):
        if name not in signed:
            raise Untrusted(f"{shown(name, limit=200)} is in the package, and nobody signed it", where)
        if name not in found:
            raise Untrusted(f"{shown(name, limit=200)} was signed and is missing", where)
        if signed[name] != found[name]:
            raise Untrusted(f"{shown(name, limit=200)} is not the file that was signed", where)


def _names(folder: Path) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        inside = Path(path).relative_to(folder)
        if inside == Path() and SIGNATURES in folders:
            folders.remove(SIGNATURES)
        for name in sorted([*files, *folders]):
            mode = os.lstat(os.path.join(path, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise Untrusted(
                    f"{shown(str(inside / name), limit=200)} is a link or no file at all",
                    shown(str(folder), limit=400),
                    "a signed package holds plain files alone",
                )
        yield from (str(inside / name) for name in files)
