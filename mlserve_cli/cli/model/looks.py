"""What the commands of the registry show of versions, names and histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.contract import Declared
    from mlserve_cli.registry import Change, Entry, GateResult, History
    from mlserve_cli.registry.commands import Listed, Shown
    from mlserve_cli.scoring.package_model import Packaged
    from mlserve_cli.signing import Trusted

USES_SHOWN = 5
DONE = {"status": "complete", "exit_code": 0}


def packaged_lines(made: Packaged) -> list[str]:
    """A package that was just made."""
    change, described = made.change, made.described
    if change is None:
        head = f"packaged {shown(described.name)} in {shown(made.folder, limit=400)}"
    else:
        done = "is there already as" if change.already else "registered as"
        named = f", and {change.name}@{change.alias} names it" if change.alias else ""
        head = f"{described.name} {done} {change.name}:{change.version}{named}"
    return [
        head,
        f"  digest    {made.digest}",
        *(_contract_lines(described.contract) if described.contract else ()),
        *map(_gate_line, described.gates),
    ]


def packaged_facts(made: Packaged) -> Facts:
    """The same for machines."""
    change = made.change
    place = {"version": change.version if change else None, "already": change.already if change else False}
    facts = {"name": made.described.name, **place, "digest": made.digest, "path": _text(made.folder)}
    return {**DONE, **facts, "gates": msgspec.to_builtins(made.described.gates)}


def change_facts(change: Change) -> Facts:
    """A change of the registry."""
    facts = {"name": change.name, "version": change.version, "digest": change.digest, "alias": change.alias}
    return {**DONE, **facts, "before": change.before or None, "already": change.already}


def listed_lines(found: Sequence[Listed]) -> list[str]:
    """A line for each name."""
    if not found:
        return ["the registry is empty"]
    rows = [("NAME", "VERSIONS", "ALIASES", "LAST CHANGE")]
    rows += [(one.name, _numbers(one.versions), _aliases(one), _last(one)) for one in found]
    return _aligned(rows)


def listed_facts(found: Sequence[Listed]) -> Facts:
    """The same for machines."""
    models = [
        {
            "name": one.name,
            "versions": list(one.versions),
            "aliases": one.aliases,
            "last_change": one.last.when if one.last else None,
            "wrong": one.wrong.what if one.wrong else None,
        }
        for one in found
    ]
    return {**DONE, "models": models}


def history_lines(name: str, found: History) -> list[str]:
    """A line for each entry, the first first."""
    rows = [("", "WHEN", "WHO", "WHAT", "WHY")]
    rows += [
        (str(one.sequence), _minute(one.when), shown(one.who), _what(one), shown(one.why, limit=200) if one.why else "")
        for one in found.entries
    ]
    return [*_aligned(rows), f"{name}: the history holds, {len(found.entries)} entries, {found.last_digest}"]


def history_facts(name: str, found: History) -> Facts:
    """The same for machines."""
    entries = [msgspec.to_builtins(one) for one in found.entries]
    facts = {"name": name, "entries": entries, "head": found.last_digest, "aliases": found.aliases}
    return {**DONE, **facts, "versions": list(found.versions)}


def shown_lines(found: Shown, trust: Trusted) -> list[str]:
    """A version, one subject a line."""
    package = found.found.package
    described = package.described
    lines = [shown(found.found.spelled) + _named(found), f"  digest    {package.digest}"]
    if found.added is not None:
        why = f": {shown(found.added.why, limit=200)}" if found.added.why else ""
        lines.append(f"  added     {_minute(found.added.when)} by {shown(found.added.who)}{why}")
    lines.append(f"  path      {shown(package.path, limit=400)}")
    if described is not None:
        words = {"about": described.description, "license": described.license}
        lines += [f"  {key:<9} {shown(text, limit=400)}" for key, text in words.items() if text]
        lines += _contract_lines(described.contract) if described.contract else []
        lines += [f"  {key:<9} {_pairs(table)}" for key, table in (("from", described.provenance),) if table]
        lines += [f"  metrics   {_pairs(described.metrics)}"] if described.metrics else []
        lines += _lineage_lines(found)
        lines += ["  baseline  the profile of the rows that it was trained on"] if described.baseline else []
        lines += map(_gate_line, described.gates)
    lines += map(_verdict_line, found.verdicts)
    lines.append(f"  signed    {_signed(trust)}")
    runs = [f"  run       {use.when[:16]} by {shown(use.who)}: {shown(use.output, limit=400)}" for use in found.uses]
    more = len(runs) - USES_SHOWN
    return [*lines, *runs[:USES_SHOWN], *([f"  run       … and {more} more"] if more > 0 else [])]


def shown_facts(found: Shown, trust: Trusted) -> Facts:
    """The whole of it for machines."""
    package = found.found.package
    trusted = {
        "signatures": [{"key_id": one.key_id, "signer": one.signer, "wrong": one.wrong} for one in trust.signatures],
        "may_run": trust.refusal is None,
    }
    built: dict[str, object] = msgspec.to_builtins(
        {
            "name": found.found.name,
            "version": found.found.version,
            "alias": found.found.alias,
            "aliases": found.aliases,
            "digest": package.digest,
            "path": _text(package.path),
            "added": found.added,
            "package": package.described,
            "verdicts": found.verdicts,
            "parents": [
                {"name": one.spelled, "digest": one.digest, "operation": one.operation, "stands": one.stands}
                for one in found.parents
            ],
            "trust": trusted,
            "runs": found.uses,
        }
    )
    return {**DONE, **built}


def _contract_lines(contract: Declared) -> list[str]:
    threshold = [] if contract.threshold is None else [f"  threshold {contract.threshold:g}"]
    return [
        *(f"  feeds     {shown(one.tensor)} <- {', '.join(map(shown, one.columns))}" for one in contract.inputs),
        *(
            f"  writes    {', '.join(map(shown, one.columns))} <- {shown(one.tensor)} ({one.role})"
            for one in contract.outputs
        ),
        f"  nulls     {contract.nulls} in float features",
        *threshold,
    ]


def _lineage_lines(found: Shown) -> list[str]:
    described = found.found.package.described
    lineage = described.lineage if described else None
    if lineage is None:
        return []
    settings = f" ({_pairs(lineage.parameters)})" if lineage.parameters else ""
    source = f" from {shown(lineage.source)}" if lineage.source else ""
    parents = [
        f"  parent    {shown(one.spelled)} {one.digest[:19]}{'' if one.stands else ', which is not here any more'}"
        for one in found.parents
    ]
    return [f"  made by   {lineage.operation}{source}{settings}", *parents]


def _gate_line(gate: GateResult) -> str:
    figures = ", ".join(f"{key} {value:.4g}" for key, value in gate.figures.items())
    limits = ", ".join(f"{key} {value:.4g}" for key, value in gate.limits.items())
    verdict = "passed" if gate.passed else "failed"
    return f"  gate      {shown(gate.name)} {verdict} on {gate.rows:,} rows: {figures} (limits: {limits or 'none'})"


def _verdict_line(entry: Entry) -> str:
    """The latest that a gate said of it."""
    verdict = entry.verdict
    if verdict is None:
        return ""
    against = f" against {shown(verdict.against_name)}" if verdict.against_name else f", by {shown(verdict.by)}"
    why = f": {'; '.join(verdict.reasons)}" if verdict.reasons else ""
    return f"  gate      {_said(entry)} on {verdict.rows:,} rows{against}, {_minute(entry.when)}{why}"


def _signed(trust: Trusted) -> str:
    if not trust.signatures:
        return "by nobody" + ("" if trust.refusal is None else ", so the trust policy refuses it")
    by = ", ".join(
        f"{shown(one.signer or one.key_id[:16])}{f' ({one.wrong})' if one.wrong else ''}" for one in trust.signatures
    )
    return by + ("" if trust.refusal is None else f"; refused: {trust.refusal.what}")


def _named(found: Shown) -> str:
    return f" ({', '.join(f'@{alias}' for alias in found.aliases)})" if found.aliases else ""


def _what(entry: Entry) -> str:
    match entry.action:
        case "add":
            return f"added version {entry.version}"
        case "remove":
            return f"removed version {entry.version}"
        case "alias":
            passed = f", which passed {entry.gate}" if entry.gate else ""
            return f"@{entry.alias} to version {entry.version}{passed}"
        case "rollback":
            return f"@{entry.alias} back to version {entry.version}"
        case "gate":
            return f"gate {_said(entry)} version {entry.version}"


def _said(entry: Entry) -> str:
    verdict = entry.verdict
    return f"{shown(verdict.gate)} {'passed' if verdict.passed else 'refused'}" if verdict is not None else ""


def _aliases(one: Listed) -> str:
    return ", ".join(f"{alias} -> {version}" for alias, version in one.aliases.items())


def _last(one: Listed) -> str:
    if one.wrong is not None:
        return f"DAMAGED: {one.wrong.what}"
    return f"{_minute(one.last.when)} by {shown(one.last.who)}" if one.last else ""


def _numbers(versions: Sequence[int]) -> str:
    """1-3, 5: runs of numbers in short."""
    spans: list[list[int]] = []
    for number in versions:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _pairs(table: object) -> str:
    entries: dict[str, object] = msgspec.to_builtins(table)
    return ", ".join(
        f"{shown(key)} {shown(f'{value:g}' if isinstance(value, float) else str(value), limit=200)}"
        for key, value in entries.items()
    )


def _minute(when: str) -> str:
    return shown(when[:16].replace("T", " "))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _text(path: str) -> str:
    from mlserve_cli.tables import text_of

    return text_of(path)
