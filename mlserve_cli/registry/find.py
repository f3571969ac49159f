"""MODEL, as people name it, to the one package that is meant: resolved once, so that a run has one model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.registry.names import CHAMPION, default_root, is_path, parse_reference
from mlserve_cli.registry.packages import Package, open_package
from mlserve_cli.registry.registry import Registry


class Found(msgspec.Struct, frozen=True):
    """The package, and as what it was found: `alias` is what was asked for, "" where it was a version or a path.

    `registry` is the registry's folder, "" for a path. The package has the registry's name and version.
    """

    package: Package
    name: str
    version: str
    alias: str = ""
    registry: str = ""

    @property
    def spelled(self) -> str:
        """NAME:VERSION, or the name alone where there is no version."""
        return f"{self.name}:{self.version}" if self.version else self.name


def find(model: str, *, registry: Path | None = None) -> Found:
    """MODEL: a path, or NAME, NAME@ALIAS, NAME:VERSION in the registry. NAME alone is NAME@champion.

    Raises InputMissing (66) where there is nothing, InvalidModel (78) where it does not hold, InvalidRegistry (78)
    where the registry does not.
    """
    if is_path(model):
        package = open_package(model)
        return Found(package, package.name, package.version)
    wanted = parse_reference(model)
    shelves = Registry((registry or default_root()).absolute())
    history = shelves.history(wanted.name)
    alias = "" if wanted.version else wanted.alias or CHAMPION
    version = wanted.version or history.aliases.get(alias, 0)
    if not version:
        raise shelves.no_alias(wanted.name, alias, history)
    package = shelves.package(wanted.name, version, history=history)
    number = str(version)
    named = msgspec.structs.replace(package, name=wanted.name, version=number)
    return Found(named, wanted.name, number, alias, str(shelves.root))
