"""Opens a model as it lies on disk: a package folder, whose every digest is checked, or a bare `.onnx` file."""

from __future__ import annotations

import hashlib
import math
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from mlserve_cli.contract import Declared, sha256_of
from mlserve_cli.errors import Forbidden, InputMissing, InvalidModel, IOFailed, nearest, shown
from mlserve_cli.registry.package_file import PACKAGE_FILE, PACKAGE_FORMAT, Golden, PackageFile


class Package(msgspec.Struct, frozen=True):
    """A model ready to be looked into. `digest` identifies the whole of it; for a bare file it is the file's own.

    `described` is its package.toml, None for a bare file.
    """

    name: str
    version: str
    path: str
    file: str
    model_sha256: str
    digest: str
    declared: Declared | None
    golden: Golden | None
    golden_sha256: str
    external_files: frozenset[str]
    described: PackageFile | None = None

    @property
    def baseline_path(self) -> str:
        """Where the profile of its training data lies; "" where it has none."""
        named = self.described.baseline if self.described is not None else ""
        return str(Path(self.path) / named) if named else ""

    @property
    def model_path(self) -> str:
        """Where the ONNX file lies."""
        return str(Path(self.path) / self.file) if self.file else self.path


def open_package(model: str) -> Package:
    """Open MODEL: a package folder or an ONNX file.

    Raises InputMissing (66) where nothing stands, InvalidModel (78) where a digest, a key or a value does not hold.
    """
    path = Path(model).absolute()
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise InputMissing(f"the model {shown(model, limit=400)} does not exist", "", _hint(path))
    sha256 = _sha256(path)
    return Package(path.stem, "", str(path), "", sha256, f"sha256:{sha256}", None, None, "", frozenset())


def _open_folder(folder: Path) -> Package:
    described, digest = parse_package_file(_read(folder / PACKAGE_FILE), where=str(folder / PACKAGE_FILE))
    digests = {name: _checked_digest(folder, name, wanted) for name, wanted in sorted(described.digests.items())}
    named = [described.model, *([described.golden.file] if described.golden else [])]
    named += [described.baseline] if described.baseline else []
    for name in named:
        if name not in digests:
            raise InvalidModel(
                f"{shown(name)} has no digest", str(folder / PACKAGE_FILE), f'add "{name}" under [digests] as sha256:…'
            )
    if described.golden is not None and not (described.contract and described.contract.outputs):
        raise InvalidModel(
            "golden rows are compared by the contract's outputs, and it names none",
            str(folder / PACKAGE_FILE),
            "add [[contract.outputs]], or leave out [golden]",
        )
    return Package(
        name=described.name,
        version=described.version,
        path=str(folder),
        file=described.model,
        model_sha256=digests[described.model].removeprefix("sha256:"),
        digest=digest,
        declared=described.contract,
        golden=described.golden,
        golden_sha256=digests[described.golden.file].removeprefix("sha256:") if described.golden else "",
        external_files=frozenset(digests) - set(named),
        described=described,
    )


def parse_package_file(data: bytes, *, where: str) -> tuple[PackageFile, str]:
    """What a package.toml says, and the package's digest: over all of it, so over each file's digest too.

    Raises InvalidModel (78) for an unknown key, a wrong type, another format.
    """
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidModel(f"not a TOML file: {error}", where, "mend the file") from error
    if document.get("format") != PACKAGE_FORMAT:
        raise InvalidModel(
            f"package format {document.get('format')!r} is not known",
            where,
            f"this version of mlserve reads format = {PACKAGE_FORMAT}",
        )
    try:
        return msgspec.convert(document, PackageFile), f"sha256:{sha256_of(_finite(document))}"
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise InvalidModel(str(error), where, "see the page on packages in the documentation") from error


def _finite(value: Any) -> Any:
    """The same; JSON has neither NaN nor infinity, so two packages that differ in them would have one digest."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number to compare with")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(inner)
    return value


def _checked_digest(folder: Path, name: str, wanted: str) -> str:
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise InvalidModel(f"{shown(name)} points out of the package", str(folder / PACKAGE_FILE), "name files inside")
    found = f"sha256:{_sha256(folder / name)}"
    if found != wanted:
        raise InvalidModel(
            f"{shown(name)} is not the file that was packaged: {found}, the package says {shown(wanted)}",
            str(folder),
            "restore the file, or package the model anew",
        )
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    digest.update(_read(path))
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidModel(f"{shown(path.name)} is missing", str(path.parent), "is this a model package?") from error
    except IsADirectoryError as error:
        raise InvalidModel(f"{shown(path.name)} is a folder", str(path.parent), "name each file in it") from error
    except PermissionError as error:
        raise Forbidden("the file may not be read", str(path), "look at its permissions") from error
    except OSError as error:
        raise IOFailed(f"the file cannot be read: {error.strerror}", str(path), "look at the disk") from error


def _hint(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {shown(str(path.parent), limit=400)}"
    return nearest(path.name, tuple(sorted(entry.name for entry in path.parent.iterdir())))
