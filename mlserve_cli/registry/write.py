"""Writes a package: every file with its digest, `package.toml` last, and the folder in one step or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.errors import InvalidModel, OutputExists, shown
from mlserve_cli.registry.package_file import PACKAGE_FILE, PackageFile
from mlserve_cli.registry.packages import Package, open_package, parse_package_file
from mlserve_cli.registry.toml import encode_toml

Content = Mapping[str, bytes | Path]


def write_package(folder: Path, *, described: PackageFile, files: Content) -> Package:
    """The package at `folder`, where nothing stands yet. `files` is its whole content but for `package.toml`.

    The digests of `described` are made here. Raises OutputExists (73) where something stands there.
    """
    target = storage.locate(os.fspath(folder))
    storage.check_creatable(target, is_file=False)
    digest, whole = complete(described, files)
    with storage.draft_folder(target) as draft:
        fill(draft, whole, digest=digest)
        if not draft.publish():
            raise OutputExists(
                "something stands there already", shown(str(target), limit=400), "choose another --output"
            )
    return open_package(str(target))


def complete(described: PackageFile, files: Content) -> tuple[str, Content]:
    """The package's digest, and its files with `package.toml` among them, which has the digest of each."""
    digests = {name: f"sha256:{_sha256(content)}" for name, content in sorted(files.items())}
    data = encode_package_file(msgspec.structs.replace(described, digests=digests))
    return parse_package_file(data, where=PACKAGE_FILE)[1], {**files, PACKAGE_FILE: data}


def fill(draft: storage.FolderDraft, files: Content, *, digest: str) -> None:
    """Put a whole package into a draft, `package.toml` last, and prove that it is the one that was meant."""
    for name, content in sorted(files.items(), key=lambda item: item[0] == PACKAGE_FILE):
        draft.add(name, content)
    if open_package(str(draft.folder)).digest != digest:
        raise InvalidModel("a file of the package changed while it was copied", shown(str(draft.target), limit=400))


def _sha256(content: bytes | Path) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else storage.record_of(content).sha256


def encode_package_file(described: PackageFile) -> bytes:
    """`package.toml`: keys in the format's order, defaults left out. InvalidModel (78) where TOML has no such value."""
    try:
        return encode_toml(msgspec.to_builtins(described))
    except ValueError as error:
        raise InvalidModel(str(error), PACKAGE_FILE, "leave it out") from error
