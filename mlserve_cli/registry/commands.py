"""What `mlserve model add`, `list`, `show`, `alias`, `rollback`, `history` and `remove` do, each one function here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mlserve_cli.errors import InvalidConfig, InvalidRegistry, MlserveError, UsageError, shown
from mlserve_cli.registry.find import Found, find
from mlserve_cli.registry.history import Entry, History
from mlserve_cli.registry.names import default_root, parse_reference
from mlserve_cli.registry.registry import UNUSED_DAYS, Change, Registry
from mlserve_cli.registry.uses import Use

ANCESTORS = 50


class Listed(msgspec.Struct, frozen=True):
    """One name: the numbers of its versions, its aliases, the last change; or what is `wrong` with its folder."""

    name: str
    versions: tuple[int, ...]
    aliases: dict[str, int]
    last: Entry | None
    wrong: MlserveError | None = None


class Ancestor(msgspec.Struct, frozen=True):
    """A parent as the package names it; `stands` where the registry still has that very package, as `spelled`."""

    spelled: str
    digest: str
    operation: str
    stands: bool


class Shown(msgspec.Struct, frozen=True):
    """One version. `added` is its entry in the history, None for a path; the nearest of `parents` comes first.

    `verdicts` are the latest entry of each gate that judged it.
    """

    found: Found
    added: Entry | None
    aliases: tuple[str, ...]
    parents: tuple[Ancestor, ...]
    uses: tuple[Use, ...]
    verdicts: tuple[Entry, ...] = ()


def add(
    model: str, *, name: str = "", alias: str = "", registry: str | None = None, why: str = "", by: str = ""
) -> Change:
    """MODEL, a package folder or an ONNX file, as the next version of a name; the same content again is the same one.

    Raises InvalidModel (78) where its digests do not hold, Forbidden (77) where the registry may not be written.
    """
    return _registry(registry).add(model, name=name, alias=alias, why=why, by=by)


def show(model: str, *, registry: str | None = None) -> Shown:
    """A version, proved to be what was added; where it comes from, what names it and what ran with it."""
    found = find(model, registry=_registry(registry).root)
    if not found.registry:
        return Shown(found, None, (), _ancestors(found, _registry(registry)), ())
    shelves, version = Registry(Path(found.registry)), int(found.version)
    history = shelves.history(found.name)
    named = tuple(alias for alias, number in history.aliases.items() if number == version)
    uses = tuple(shelves.uses(found.name, version))
    verdicts = tuple(entry for (number, _), entry in sorted(history.verdicts.items()) if number == version)
    return Shown(found, history.versions[version], named, _ancestors(found, shelves), uses, verdicts)


def alias(
    named: str, version: int, *, if_passes: str = "", registry: str | None = None, why: str = "", by: str = ""
) -> Change:
    """NAME@ALIAS names this version from now on.

    With `if_passes` only where the latest recorded verdict of that gate on it is that it passed, else GateFailed (4).
    """
    name, which = _name_and_alias(named)
    return _registry(registry).set_alias(name, which, version, if_passes=if_passes, why=why, by=by)


def rollback(named: str, *, expected: int = 0, registry: str | None = None, why: str = "", by: str = "") -> Change:
    """NAME@ALIAS names again what it named before; a second rollback goes one step further back.

    `expected` is the version that is to be left: where that was done already, nothing is.
    """
    name, which = _name_and_alias(named)
    return _registry(registry).rollback(name, which, expected=expected, why=why, by=by)


def history(name: str, *, registry: str | None = None) -> History:
    """All that was done under NAME, and the proof that nothing of it was changed or left out, versions included."""
    shelves = _registry(registry)
    found = shelves.history(name)
    for version in found.versions:
        shelves.package(name, version, history=found)
    return found


def remove(
    named: str,
    *,
    unused_days: float = UNUSED_DAYS,
    registry: str | None = None,
    why: str = "",
    by: str = "",
) -> Change:
    """NAME:VERSION goes; its number and its entry stay. Refused (2) where an alias or a recent run names it."""
    wanted = parse_reference(named)
    if not wanted.version:
        raise UsageError(f"{shown(named)} names no version", "", "as in churn:3")
    return _registry(registry).remove(wanted.name, wanted.version, unused_days=unused_days, why=why, by=by)


def _registry(registry: str | None) -> Registry:
    return Registry((Path(registry) if registry else default_root()).absolute())


def _name_and_alias(named: str) -> tuple[str, str]:
    wanted = parse_reference(named)
    if not wanted.alias:
        raise UsageError(f"{shown(named)} names no alias", "", f"as in {wanted.name}@champion")
    return wanted.name, wanted.alias


def _ancestors(found: Found, shelves: Registry) -> tuple[Ancestor, ...]:
    """Parent, its parent, and so on, as far as their packages still stand in this registry."""
    ancestors: tuple[Ancestor, ...] = ()
    package = found.package
    for _ in range(ANCESTORS):
        lineage = package.described.lineage if package.described else None
        if lineage is None or not lineage.parent:
            break
        name = lineage.parent.partition(":")[0].partition("@")[0]
        version = _standing(shelves, name, lineage.parent_digest)
        spelled = f"{name}:{version}" if version else lineage.parent
        ancestors = (*ancestors, Ancestor(spelled, lineage.parent_digest, lineage.operation, bool(version)))
        if not version:
            break
        package = shelves.package(name, version)
    return ancestors


def _standing(shelves: Registry, name: str, digest: str) -> int:
    """The version of `name` with this package, 0 where there is none."""
    if name not in shelves.names():
        return 0
    return next((number for number, one in shelves.history(name).versions.items() if one.digest == digest), 0)


def list(*, registry: str | None = None) -> Sequence[Listed]:
    """Every name. One whose folder is damaged says so, and does not hide the others."""
    shelves = _registry(registry)
    found: tuple[Listed, ...] = ()
    for name in shelves.names():
        try:
            past = shelves.history(name)
        except (InvalidRegistry, InvalidConfig) as error:
            found = (*found, Listed(name, (), {}, None, error))
        else:
            found = (*found, Listed(name, tuple(past.versions), past.aliases, past.entries[-1]))
    return found
