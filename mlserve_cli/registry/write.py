"""Writes a package: every file with its digest, `package.toml` last, and the folder in one step or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.errors import InvalidModel, OutputExists, shown
from mlserve_cli.registry.package_file import PACKAGE_FILE, PackageFile
from mlserve_cli.registry.packages import Package, open_package
from mlserve_cli.registry.toml import encode_toml


def write_package(folder: Path, *, described: PackageFile, files: Mapping[str, bytes | Path]) -> Package:
    """The package at `folder`, where nothing stands yet. `files` is its whole content but for `package.toml`.

    The digests of `described` are made here. Raises OutputExists (73) where something stands there.
    """
    target = storage.locate(os.fspath(folder))
    storage.check_creatable(target, is_file=False)
    with storage.draft_folder(target) as draft:
        fill_package(draft, described=described, files=files)
        if not draft.publish():
            raise OutputExists(
                "something stands there already", shown(str(target), limit=400), "choose another --output"
            )
    return open_package(str(target))


def fill_package(draft: storage.FolderDraft, *, described: PackageFile, files: Mapping[str, bytes | Path]) -> None:
    """Put a package's files into a draft. Raises InvalidModel where what is said of them cannot be written down."""
    digests = {name: f"sha256:{draft.add(name, content).sha256}" for name, content in sorted(files.items())}
    draft.add(PACKAGE_FILE, encode_package_file(msgspec.structs.replace(described, digests=digests)))


def encode_package_file(described: PackageFile) -> bytes:
    """`package.toml` as text: the format's order of keys, defaults left out."""
    document = msgspec.to_builtins(described)
    for key, number in _numbers(document, ""):
        if not math.isfinite(number):
            raise InvalidModel(f"{key} is {number}, which is no number to compare with", PACKAGE_FILE, "leave it out")
    return encode_toml(document)


def _numbers(value: object, key: str) -> Iterator[tuple[str, float]]:
    match value:
        case float():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from _numbers(inner, f"{key}.{name}".lstrip("."))
        case list() | tuple():
            for inner in value:
                yield from _numbers(inner, key)
