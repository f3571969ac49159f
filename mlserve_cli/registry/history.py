"""The history of one name: numbered entries, each with the digest of the one before. What it does not say is not so.

Versions, aliases and verdicts of gates are derived from it. `head.json` and `aliases/ALIAS.json` say the same again, so
that an entry that was cut off, or an alias that was put back by hand, is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import InvalidConfig, InvalidRegistry, shown
from mlserve_cli.registry.names import is_name
from mlserve_cli.storage import translated

HISTORY_FORMAT = 1
Action = Literal["add", "alias", "rollback", "remove", "gate"]


class Verdict(Value, frozen=True, omit_defaults=True):
    """What a gate said of a version, with all that it was said on.

    `by` is the command that judged; `figures` are all that it had, `limits` those of the gate, `reasons` the ones that
    did not hold, in words. `against` is the digest of the package that the version was held against ("" where there was
    none), `against_name` what that was called. `evidence` has the digest of each thing that was looked at: a run's
    manifest, a file of labels.
    """

    gate: str
    passed: bool
    by: str
    rows: int
    figures: dict[str, float]
    limits: dict[str, float]
    reasons: tuple[str, ...] = ()
    against: str = ""
    against_name: str = ""
    evidence: dict[str, str] = {}


class Entry(Value, frozen=True, omit_defaults=True):
    """One change: who made it, when and why. `digest` is the package's; `previous` the entry before's, as a file.

    `verdict` is what a gate said, where the action is that. An alias that was moved only because a gate had passed
    names it as `gate`, and as `proof` the entry of its verdict, "" where the package itself says that it passed.
    """

    format: int
    sequence: int
    previous: str
    when: str
    who: str
    why: str
    action: Action
    version: int
    alias: str
    digest: str
    verdict: Verdict | None = None
    gate: str = ""
    proof: str = ""


class Head(Value, frozen=True):
    """The last entry, named from outside."""

    format: int
    sequence: int
    entry: str


class Pointer(Value, frozen=True):
    """An alias: the version that it names, and the entry that made it so."""

    format: int
    alias: str
    version: int
    digest: str
    sequence: int
    entry: str


class History(msgspec.Struct, frozen=True):
    """A chain of entries that holds, and what follows from it.

    `versions` are those that stand, each with the entry that added it; `highest` is the highest number that one ever
    had. `trails` has for each alias what it names, last, and before that what a rollback goes back to, step by step.
    `verdicts` has the entry with the latest verdict, by version and gate.
    """

    entries: tuple[Entry, ...] = ()
    digests: tuple[str, ...] = ()
    versions: Mapping[int, Entry] = {}
    highest: int = 0
    trails: Mapping[str, tuple[int, ...]] = {}
    verdicts: Mapping[tuple[int, str], Entry] = {}

    @property
    def last_digest(self) -> str:
        """Of the last entry's file, "" where there is none."""
        return self.digests[-1] if self.digests else ""

    @property
    def aliases(self) -> dict[str, int]:
        """What each alias names."""
        return {alias: trail[-1] for alias, trail in sorted(self.trails.items())}

    def before_last(self) -> History:
        """As it was before the last entry."""
        return _followed(list(zip(self.entries[:-1], self.digests[:-1], strict=True)), Path())

    def derived(self) -> dict[str, bytes]:
        """The files that say the same again, by their path under the name's folder."""
        if not self.entries:
            return {}
        setters = {entry.alias: index for index, entry in enumerate(self.entries) if entry.alias}
        files = {"head.json": encode_entry(Head(HISTORY_FORMAT, len(self.entries), self.last_digest))}
        for alias, index in setters.items():
            entry = self.entries[index]
            pointer = Pointer(HISTORY_FORMAT, alias, entry.version, entry.digest, entry.sequence, self.digests[index])
            files[f"aliases/{alias}.json"] = encode_entry(pointer)
        return files


def read_history(folder: Path) -> History:
    """The entries in `folder`, proved to be one unbroken chain that makes sense.

    Raises InvalidRegistry (78) naming the first entry that does not fit, InvalidConfig (78) for a newer format.
    """
    chain: list[tuple[Entry, str]] = []
    for sequence, path in enumerate(_files(folder), start=1):
        with translated(path, "read"):
            data = path.read_bytes()
        entry = _decode(data, path)
        if path.name != entry_name(sequence) or entry.sequence != sequence:
            raise _broken(f"entry {sequence} is missing", path)
        if entry.previous != (chain[-1][1] if chain else ""):
            raise _broken("it does not follow from the entry before it: one of the two was changed", path)
        chain.append((entry, digest_of(data)))
    return _followed(chain, folder)


def encode_entry(value: Value) -> bytes:
    """JSON with sorted keys, one to a line."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def digest_of(data: bytes) -> str:
    """How entries are named by each other."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def entry_name(sequence: int) -> str:
    """An entry's file name; sorted, they are in order."""
    return f"{sequence:08d}.json"


def _files(folder: Path) -> list[Path]:
    with translated(folder, "list"):
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _decode(data: bytes, path: Path) -> Entry:
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _format_of(data) > HISTORY_FORMAT:
            raise _newer(_format_of(data), path) from None
        raise _broken(f"it is no entry of a history: {error}", path) from error
    if entry.format != HISTORY_FORMAT:
        raise _newer(entry.format, path)
    return entry


def _followed(chain: Sequence[tuple[Entry, str]], folder: Path) -> History:
    """What follows from the entries, one after the other. Anyone who can write can make a chain that holds: what it
    says must also be possible, each at its point."""
    versions: dict[int, Entry] = {}
    trails: dict[str, tuple[int, ...]] = {}
    verdicts: dict[tuple[int, str], Entry] = {}
    highest = 0
    for entry, _ in chain:
        trail, version = trails.get(entry.alias, ()), entry.version
        added = versions.get(version)
        stands = added is not None and added.digest == entry.digest and _is_earned(entry, verdicts, chain)
        if entry.action == "add" and version == highest + 1 and not entry.alias and _is_plain(entry):
            versions[version], highest = entry, version
        elif entry.action == "remove" and stands and not entry.alias and version not in _named(trails):
            del versions[version]
        elif entry.action == "alias" and stands and is_name(entry.alias):
            trails[entry.alias] = (*trail, version)
        elif entry.action == "rollback" and stands and version in trail[:-1]:
            trails[entry.alias] = rolled_back(trail, version)
        elif entry.action == "gate" and stands and not entry.alias and entry.verdict is not None:
            verdicts[version, entry.verdict.gate] = entry
        else:
            what = f"it says {entry.action} of version {version}, which cannot be at that point"
            raise _broken(what, folder / entry_name(entry.sequence))
    entries, digests = tuple(one for one, _ in chain), tuple(digest for _, digest in chain)
    return History(entries, digests, versions, highest, trails, verdicts)


def _is_earned(entry: Entry, verdicts: Mapping[tuple[int, str], Entry], chain: Sequence[tuple[Entry, str]]) -> bool:
    """Whether an alias that names a gate was moved on the latest verdict, and that one had passed."""
    if entry.action == "gate":
        return entry.verdict is not None and is_name(entry.verdict.gate) and not (entry.gate or entry.proof)
    if entry.action != "alias" or not entry.gate:
        return _is_plain(entry)
    latest = verdicts.get((entry.version, entry.gate))
    if latest is None or latest.verdict is None:
        return not entry.proof and entry.verdict is None
    return latest.verdict.passed and entry.proof == chain[latest.sequence - 1][1] and entry.verdict is None


def _is_plain(entry: Entry) -> bool:
    return entry.verdict is None and not entry.gate and not entry.proof


def rolled_back(trail: tuple[int, ...], version: int) -> tuple[int, ...]:
    """The trail up to where it last came to `version` before its end."""
    return trail[: len(trail) - 1 - trail[-2::-1].index(version)]


def _named(trails: Mapping[str, tuple[int, ...]]) -> set[int]:
    return {trail[-1] for trail in trails.values()}


def _format_of(data: bytes) -> int:
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("format")
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    return found if isinstance(found, int) else 0


def _newer(found: int, path: Path) -> InvalidConfig:
    return InvalidConfig(f"registry format {found} is not known", shown(str(path), limit=400), "upgrade mlserve")


def _broken(what: str, path: Path) -> InvalidRegistry:
    return InvalidRegistry(f"the history is damaged: {what}", shown(str(path), limit=400))
