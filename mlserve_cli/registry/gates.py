"""Gates: named limits on named figures, in a file of a team's own; what they say of a version, and what that allows.

format = 1

[gates.shadow]
why = "before it may score a single row that counts"
least = { rows = 5000, agreement = 0.9 }
most = { cost_ratio = 2 }
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import GateFailed, InputMissing, InvalidConfig, UsageError, nearest, shown
from mlserve_cli.registry.history import Entry, History, Verdict
from mlserve_cli.registry.names import CHAMPION, is_name
from mlserve_cli.registry.package_file import PackageFile
from mlserve_cli.storage import translated

GATES_FORMAT = 1
LEAST = "least_"  # before the name of a figure that must not be below its limit, as in [[gates]] of a package


class _Written(Value, frozen=True):
    """A gate as the file has it; tables within `least` and `most` are names with a dot in them."""

    why: str = ""
    least: dict[str, object] = {}
    most: dict[str, object] = {}


class _File(Value, frozen=True):
    format: int
    gates: dict[str, _Written]


class Gate(Value, frozen=True):
    """Limits by the name of a figure: what it must be at `least`, what it may be at `most`."""

    name: str
    least: dict[str, float]
    most: dict[str, float]
    why: str = ""

    def tightened(self, *, least: Mapping[str, float], most: Mapping[str, float]) -> Gate:
        """With these limits too; of two on one figure the stricter counts."""
        both_least = {**self.least, **{name: max(limit, self.least.get(name, limit)) for name, limit in least.items()}}
        both_most = {**self.most, **{name: min(limit, self.most.get(name, limit)) for name, limit in most.items()}}
        return msgspec.structs.replace(self, least=both_least, most=both_most)

    def judge(self, figures: Mapping[str, float], *, by: str, rows: int) -> Verdict:
        """Whether every limit holds. A figure that is not there, or is no number, keeps none."""
        limits = self.most | {f"{LEAST}{figure}": limit for figure, limit in self.least.items()}
        known = {figure: value for figure, value in figures.items() if math.isfinite(value)}
        reasons = tuple(self._broken(figures))
        return Verdict(self.name, passed=not reasons, by=by, rows=rows, figures=known, limits=limits, reasons=reasons)

    def _broken(self, figures: Mapping[str, float]) -> Iterator[str]:
        limits = [(figure, limit, "least") for figure, limit in self.least.items()]
        limits += [(figure, limit, "most") for figure, limit in self.most.items()]
        for figure, limit, bound in limits:
            value = figures.get(figure)
            if value is None:
                hint = nearest(figure, tuple(figures))
                yield f"there is no figure {shown(figure)}{f' ({hint})' if hint else ''}"
            elif not (value >= limit if bound == "least" else value <= limit):  # NaN keeps no limit
                yield f"{shown(figure)} is {value:.6g}, at {bound} {limit:g} is allowed"


def read_gate(path: str, name: str) -> Gate:
    """The gate of that name in a TOML file.

    Raises InputMissing (66) where there is no such file, InvalidConfig (78) where it is not valid, UsageError (2) where
    it has no such gate.
    """
    written = _read(Path(path))
    if name not in written.gates:
        some = ", ".join(map(shown, written.gates)) or "none"
        hint = nearest(name, tuple(written.gates)) or f"it has {some}"
        raise UsageError(f"there is no gate {shown(name)}", shown(path, limit=400), hint)
    gate = written.gates[name]
    try:
        return Gate(name, dict(_flat(gate.least)), dict(_flat(gate.most)), gate.why)
    except ValueError as error:
        raise InvalidConfig(f"gate {shown(name)}: {error}", shown(path, limit=400)) from error


def proof_of(history: History, *, name: str, alias: str, version: int, gate: str, package: PackageFile | None) -> str:
    """The digest of the entry by which `gate` lets `alias` name `version`; "" where the package itself has passed it.

    Raises GateFailed (4) where no verdict of that gate stands, the latest said no, or it was held against a version
    that is not the one to be replaced any more.
    """
    latest = history.verdicts.get((version, gate))
    if latest is None or latest.verdict is None:
        if package is not None and any(one.name == gate and one.passed for one in package.gates):
            return ""
        raise GateFailed(
            f"gate {gate} has not judged {name}:{version}",
            "",
            f"mlserve compare {name}@{alias} {name}:{version} --input DATA --gate {gate} --record; "
            "evaluate and drift record verdicts too",
        )
    verdict = latest.verdict
    if not verdict.passed:
        said = "; ".join(verdict.reasons)
        raise GateFailed(
            f"gate {gate} said no to {name}:{version}: {said}",
            f"{shown(latest.who)} had it judged on {latest.when}",
            "look at the figures: mlserve model history shows them",
        )
    _refuse_stale(history, latest, verdict, name=name, alias=alias)
    return history.digests[latest.sequence - 1]


def refuse_another_question(history: History, verdict: Verdict, *, name: str) -> None:
    """A gate's name stands for one question: what `compare` refused is not passed by an evaluation with few limits."""
    for entry in history.verdicts.values():
        said = entry.verdict if entry.version in history.versions else None
        if said is not None and said.gate == verdict.gate and said.by != verdict.by:
            raise UsageError(
                f"gate {verdict.gate} of {name} is judged by {shown(said.by)}, not by {shown(verdict.by)}",
                f"as on {name}:{entry.version}, {entry.when}",
                "give this one a name of its own",
            )


def _refuse_stale(history: History, latest: Entry, verdict: Verdict, *, name: str, alias: str) -> None:
    """Better than what was champion in March says nothing of what is champion now."""
    named = [history.aliases[one] for one in (alias, CHAMPION) if one in history.aliases]
    digests = {history.versions[version].digest for version in named}
    if verdict.against and digests and not digests & {verdict.against, latest.digest}:
        now = " and ".join(dict.fromkeys(f"{name}:{version}" for version in named))
        raise GateFailed(
            f"gate {verdict.gate} held {name}:{latest.version} against {shown(verdict.against_name)}, and {now} is "
            "what it would replace",
            f"{shown(latest.who)} had it judged on {latest.when}",
            f"compare it with {now}",
        )


def _read(path: Path) -> _File:
    where = shown(str(path), limit=400)
    with translated(path, "read"):
        if not path.is_file():
            raise InputMissing("there is no such file of gates", where)
        data = path.read_bytes()
    try:
        document = tomllib.loads(data.decode("utf-8"))
        if document.get("format") != GATES_FORMAT:
            raise ValueError(f"its format is {document.get('format')!r}, this mlserve reads format = {GATES_FORMAT}")
        written = msgspec.convert(document, _File)
        for name, gate in written.gates.items():
            if not is_name(name):
                raise ValueError(f"{shown(name)} cannot be a gate's name: letters, digits and . _ - alone")
            if not gate.least and not gate.most:
                raise ValueError(f"gate {name} has neither least nor most, so everything would pass it")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, ValueError) as error:
        raise InvalidConfig(f"not a file of gates: {error}", where) from error
    return written


def _flat(limits: Mapping[str, object], *, before: str = "") -> Iterator[tuple[str, float]]:
    """By names with dots: `auc.gain_low = 0` is a table to TOML."""
    for name, limit in limits.items():
        if isinstance(limit, dict):
            yield from _flat(limit, before=f"{before}{name}.")
        elif isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            raise ValueError(f"{shown(before + name)} must be a number, not {limit!r}")
        else:
            yield f"{before}{name}", float(limit)
