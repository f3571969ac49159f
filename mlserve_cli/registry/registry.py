"""A registry: models by name, each with numbered versions that never change, aliases that do, and a history of both."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.errors import InvalidModel, InvalidRegistry, UnknownModel, UsageError, nearest, shown
from mlserve_cli.registry.gates import proof_of, refuse_another_question
from mlserve_cli.registry.history import HISTORY_FORMAT, Action, Entry, History, Verdict
from mlserve_cli.registry.names import checked_name, is_name
from mlserve_cli.registry.package_file import PACKAGE_FILE, PACKAGE_FORMAT, PackageFile
from mlserve_cli.registry.packages import Package, open_package
from mlserve_cli.registry.shelf import Shelf
from mlserve_cli.registry.uses import Use, recent_uses
from mlserve_cli.registry.write import Content, complete, fill

UNUSED_DAYS = 30


class Change(msgspec.Struct, frozen=True):
    """What a change came to. `already` where it was so before; `before` is what the alias named, 0 for nothing."""

    name: str
    version: int
    digest: str
    alias: str = ""
    before: int = 0
    already: bool = False


class Registry(msgspec.Struct, frozen=True):
    """A registry's folder, which need not exist yet. Holds no resource."""

    root: Path

    def names(self) -> tuple[str, ...]:
        """Every name with at least one entry in its history."""
        with storage.translated(self.root, "list"):
            names = [path.name for path in self.root.iterdir()] if self.root.is_dir() else []
        return tuple(sorted(name for name in names if is_name(name) and (self.root / name / "head.json").is_file()))

    def history(self, name: str) -> History:
        """All that was done under a name, proved to be whole. Raises UnknownModel (66), InvalidRegistry (78)."""
        shelf = self._shelf(name)
        history = shelf.read() if shelf.exists() else History()
        if not history.entries:
            raise self._unknown(name)
        return history

    def package(self, name: str, version: int, *, history: History | None = None) -> Package:
        """A version's package, proved to be the one that was added.

        Raises UnknownModel (66) where there is no such version, InvalidRegistry (78) where it is not what was added.
        """
        added = (history or self.history(name)).versions.get(version)
        if added is None:
            raise self._no_version(name, version, history or self.history(name))
        folder = self._shelf(name).version_folder(version)
        try:
            found = open_package(str(folder))
        except InvalidModel as error:
            raise InvalidRegistry(f"{name}:{version} is damaged: {error.what}", error.where) from error
        if found.digest != added.digest:
            raise InvalidRegistry(
                f"{name}:{version} is not the package that was added: {found.digest}, the history says {added.digest}",
                shown(str(folder), limit=400),
            )
        return found

    def add(self, package: str, *, name: str = "", alias: str = "", why: str = "", by: str = "") -> Change:
        """The package, or bare ONNX file, as the next version of `name` (default: its own), and `alias` at it.

        The same content again is the version that stands. Raises what `open_package` does where it is no good.
        """
        source = open_package(package)
        if source.described is None:
            described = PackageFile(format=PACKAGE_FORMAT, name=checked_name(name or source.name))
            return self.add_files(described, {"model.onnx": Path(source.path)}, alias=alias, why=why, by=by)
        files = {file: Path(source.path) / file for file in (*source.described.digests, PACKAGE_FILE)}
        return self._add(name or source.name, files, digest=source.digest, alias=alias, why=why, by=by)

    def add_files(
        self, described: PackageFile, files: Content, *, alias: str = "", why: str = "", by: str = ""
    ) -> Change:
        """A package that was just made, as the next version of its name; see `add`. `files` lack package.toml."""
        digest, whole = complete(described, files)
        return self._add(described.name, whole, digest=digest, alias=alias, why=why, by=by)

    def _add(self, name: str, files: Content, *, digest: str, alias: str, why: str, by: str) -> Change:
        checked_name(name)
        if alias:
            checked_name(alias, what="alias")
        with self._writing(name) as (shelf, history):
            standing = [number for number, entry in history.versions.items() if entry.digest == digest]
            version = standing[-1] if standing else history.highest + 1
            if not standing:
                entry = _entry(history, "add", version=version, digest=digest, why=why, by=by)
                history = shelf.change(entry, prepare=lambda: _put(shelf.version_folder(version), files, digest))
            before = history.aliases.get(alias, 0)
            if alias:
                self._point(shelf, history, alias, version, why=why, by=by)
        return Change(name, version, digest, alias, before=before, already=bool(standing))

    def set_alias(
        self, name: str, alias: str, version: int, *, if_passes: str = "", why: str = "", by: str = ""
    ) -> Change:
        """`alias` names `version` from now on. Where it does already, nothing is written.

        With `if_passes` only where that gate passed the version, else GateFailed (4). It is looked up under the lock,
        so that no verdict comes in between.
        """
        self.history(name)
        with self._writing(name) as (shelf, history):
            checked_name(alias, what="alias")
            if not if_passes or history.aliases.get(alias) == version:
                return self._point(shelf, history, alias, version, why=why, by=by)
            proof = self._proof(name, alias, version, history, gate=checked_name(if_passes, what="gate"))
            return self._point(shelf, history, alias, version, why=why, by=by, gate=if_passes, proof=proof)

    def record_verdict(self, name: str, version: int, verdict: Verdict, *, why: str = "", by: str = "") -> Change:
        """What a gate said of a version becomes a part of the history. Later verdicts of that gate take its place.

        Where the latest says the very same already, nothing is written: a task may be retried. UsageError (2) where
        another command judges by that name: its yes would take the place of an answer to another question.
        """
        checked_name(verdict.gate, what="gate")
        self.history(name)
        with self._writing(name) as (shelf, history):
            added = history.versions.get(version)
            if added is None:
                raise self._no_version(name, version, history)
            refuse_another_question(history, verdict, name=name)
            latest = history.verdicts.get((version, verdict.gate))
            already = latest is not None and latest.verdict == verdict
            if not already:
                entry = _entry(history, "gate", version=version, digest=added.digest, why=why, by=by)
                shelf.change(msgspec.structs.replace(entry, verdict=verdict))
            return Change(name, version, added.digest, already=already)

    def _proof(self, name: str, alias: str, version: int, history: History, *, gate: str) -> str:
        """The digest of the entry that lets the alias be moved; GateFailed (4) where none does."""
        if version not in history.versions:
            raise self._no_version(name, version, history)
        package = self.package(name, version, history=history).described
        return proof_of(history, name=name, alias=alias, version=version, gate=gate, package=package)

    def rollback(self, name: str, alias: str, *, expected: int = 0, why: str = "", by: str = "") -> Change:
        """`alias` names again what it named before; once more goes one step further back. What was removed since is
        passed over.

        `expected` is what it must name now: where it was rolled back from that already, this is done, so a retried
        task goes back once.
        """
        self.history(name)
        with self._writing(name) as (shelf, history):
            trail = self._trail(name, alias, history)
            if expected and expected != trail[-1]:
                return _rolled_back_already(name, alias, expected, history)
            earlier = [version for version in trail[:-1] if version in history.versions and version != trail[-1]]
            if not earlier:
                raise UsageError(
                    f"{name}@{alias} named nothing before {trail[-1]}", "", f"mlserve model history {name}"
                )
            version = earlier[-1]
            digest = history.versions[version].digest
            entry = _entry(history, "rollback", version=version, alias=alias, digest=digest, why=why, by=by)
            shelf.change(entry)
            return Change(name, version, digest, alias, before=trail[-1])

    def remove(
        self, name: str, version: int, *, unused_days: float = UNUSED_DAYS, why: str = "", by: str = ""
    ) -> Change:
        """The version's folder goes, its number is never used again, and the history keeps that it was there.

        Refused (2) where an alias names it, or a run of the last `unused_days` that could write that down.
        """
        self.history(name)
        with self._writing(name) as (shelf, history):
            added = history.versions.get(version)
            if added is None:
                raise self._no_version(name, version, history)
            self._refuse_where_wanted(name, version, history, unused_days=unused_days)
            entry = _entry(history, "remove", version=version, digest=added.digest, why=why, by=by)
            shelf.change(entry)
            return Change(name, version, added.digest)

    def uses(self, name: str, version: int) -> Sequence[Use]:
        """Runs that used a version, the latest first, as far as they could write it down."""
        return recent_uses(self.root / name, version)

    def _point(
        self,
        shelf: Shelf,
        history: History,
        alias: str,
        version: int,
        *,
        why: str,
        by: str,
        gate: str = "",
        proof: str = "",
    ) -> Change:
        name = shelf.folder.name
        added = history.versions.get(version)
        if added is None:
            raise self._no_version(name, version, history)
        before = history.aliases.get(alias, 0)
        if before != version:
            entry = _entry(history, "alias", version=version, alias=alias, digest=added.digest, why=why, by=by)
            shelf.change(msgspec.structs.replace(entry, gate=gate, proof=proof))
        return Change(name, version, added.digest, alias, before=before, already=before == version)

    def _refuse_where_wanted(self, name: str, version: int, history: History, *, unused_days: float) -> None:
        aliases = [alias for alias, named in history.aliases.items() if named == version]
        if aliases:
            raise UsageError(
                f"{name}@{aliases[0]} names {name}:{version}", "", f"mlserve model alias {name}@{aliases[0]} VERSION"
            )
        uses = [use for use in self.uses(name, version) if use.age_days < unused_days]
        if uses:
            raise UsageError(
                f"a run used {name}:{version} on {uses[0].when}",
                shown(uses[0].output, limit=400),
                "its replay would not find the model; --unused-days says how old the last run must be",
            )

    def _trail(self, name: str, alias: str, history: History) -> tuple[int, ...]:
        if alias not in history.trails:
            raise self.no_alias(name, alias, history)
        return history.trails[alias]

    def no_alias(self, name: str, alias: str, history: History) -> UnknownModel:
        """That there is no such alias, and what there is."""
        there = ", ".join(f"{one} (version {version})" for one, version in history.aliases.items())
        numbers = ", ".join(map(str, history.versions))
        return UnknownModel(
            f"{name} has no alias {shown(alias)}",
            shown(str(self.root), limit=400),
            f"it has {there}"
            if there
            else f"name a version ({numbers}), or mlserve model alias {name}@{alias} VERSION",
        )

    def _no_version(self, name: str, version: int, history: History) -> UnknownModel:
        gone = next((one for one in history.entries if (one.action, one.version) == ("remove", version)), None)
        why = f": {shown(gone.who)} removed it on {gone.when}" if gone else ""
        numbers = ", ".join(map(str, history.versions)) or "none"
        return UnknownModel(
            f"{name} has no version {version}{why}", shown(str(self.root), limit=400), f"it has {numbers}"
        )

    def _unknown(self, name: str) -> UnknownModel:
        where = shown(str(self.root), limit=400)
        if not self.root.is_dir():
            return UnknownModel(
                f"there is no model {shown(name)}",
                where,
                "there is no such registry: name it with --registry; or a file, with a / in it or .onnx at its end",
            )
        hint = (
            nearest(name, self.names())
            or "mlserve model list shows what there is; a file has a / in it or .onnx at its end"
        )
        return UnknownModel(f"the registry has no model {shown(name)}", where, hint)

    def _shelf(self, name: str) -> Shelf:
        return Shelf(self.root / checked_name(name))

    @contextmanager
    def _writing(self, name: str) -> Iterator[tuple[Shelf, History]]:
        shelf = self._shelf(name)
        with shelf.writing() as history:
            yield shelf, history


def _put(folder: Path, files: Content, digest: str) -> None:
    with storage.draft_folder(folder) as draft:
        fill(draft, files, digest=digest)
        if not draft.publish():
            raise InvalidRegistry(
                "something stands there that the history does not know", shown(str(folder), limit=400)
            )


def _rolled_back_already(name: str, alias: str, expected: int, history: History) -> Change:
    trail = history.trails[alias]
    last = next(index for index in range(len(history.entries) - 1, -1, -1) if history.entries[index].alias == alias)
    entry = history.entries[last]
    before = [one.version for one in history.entries[:last] if one.alias == alias]
    if entry.action == "rollback" and before and before[-1] == expected:
        return Change(name, entry.version, entry.digest, alias, before=expected, already=True)
    raise UsageError(f"{name}@{alias} names {trail[-1]}, not {expected}", "", f"mlserve model history {name}")


def _entry(history: History, action: Action, *, version: int, digest: str, alias: str = "", why: str, by: str) -> Entry:
    return Entry(
        format=HISTORY_FORMAT,
        sequence=len(history.entries) + 1,
        previous=history.last_digest,
        when=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        who=by or login_name(),
        why=why,
        action=action,
        version=version,
        alias=alias,
        digest=digest,
    )


def login_name() -> str:
    """Who this process belongs to, as the system calls them."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # containers often run as a number without a name
        return f"uid {os.geteuid()}"
