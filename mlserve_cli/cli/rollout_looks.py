"""What a run with more than one model says of the others: lines for people, facts for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.manifest import ArmAccount, ChallengerAccount, Manifest, ModelAccount
    from mlserve_cli.planning import Plan, PlannedRival


def other_lines(manifest: Manifest) -> list[str]:
    """A line for each challenger, and one for a split."""
    lines = [f"  beside    {_challenger_text(one)}" for one in manifest.challengers]
    if manifest.split is not None:
        arms = ", ".join(_arm_text(arm) for arm in manifest.split.arms)
        without = manifest.split.rows_without_key
        unknown = f"; {without:,} without a key, scored by the first" if without else ""
        lines.append(f"  split     {arms}, by {shown(manifest.split.key)}{unknown}")
    return lines


def other_facts(manifest: Manifest) -> Facts:
    """The same for machines; nothing for a run with one model."""
    facts: dict[str, object] = {}
    if manifest.challengers:
        facts["challengers"] = [_challenger_facts(one) for one in manifest.challengers]
    if manifest.split is not None:
        facts["split"] = {
            "key": manifest.split.key,
            "salt": manifest.split.salt,
            "arms": [
                {"model": name, "digest": arm.model.digest, "share": arm.share, "rows": arm.rows}
                for name, arm in zip(_names(manifest), manifest.split.arms, strict=True)
            ],
            "rows_without_key": manifest.split.rows_without_key,
        }
    return facts


def planned_lines(plan: Plan) -> list[str]:
    """What the other models of a plan would do."""
    lines = [f"  beside    {_rival_text(one)}, into challengers/{one.name}" for one in plan.challengers]
    if plan.split is not None:
        split = plan.split
        arms = ", ".join(f"{shown(name)} {share:g} %" for name, share in zip(split.names, split.percents, strict=True))
        lines.append(f"  split     {arms}, by {shown(split.key)} under {shown(split.salt)}")
    return lines


def planned_facts(plan: Plan) -> Facts:
    """The same for machines; nothing for a plan with one model."""
    facts: dict[str, object] = {}
    if plan.challengers:
        facts["challengers"] = [
            {"name": one.model.name, "version": one.model.version, "digest": one.model.digest}
            for one in plan.challengers
        ]
    if plan.split is not None:
        shares = zip(plan.split.names, plan.split.percents, strict=True)
        facts["split"] = {
            "key": plan.split.key,
            "salt": plan.split.salt,
            "arms": [{"model": name, "share": share / 100} for name, share in shares],
        }
    return facts


def _challenger_text(one: ChallengerAccount) -> str:
    name = shown(_name(one.model))
    if one.status == "failed" and not one.rows:
        return f"{name} failed: {one.error}"
    figures = []
    if one.flips is not None and one.agreement is not None:
        figures.append(f"agrees on {one.agreement:.2%}, {one.flips:,} flips")
    for column, apart in one.differences.items():
        ranks = one.rank_correlation.get(column)
        alike = "" if ranks is None else f", ranks {ranks:.4f}"
        figures.append(f"{shown(column)} {apart.mean:+.3g} (at most {apart.largest_absolute:.3g}){alike}")
    if one.cost_ratio is not None:
        figures.append(f"{one.cost_ratio:.2f} times the inference")
    if one.rows_failed:
        figures.append(f"fails on {one.rows_failed:,} rows")
    if one.status == "failed":
        figures.append(f"failed after {one.rows:,} rows: {one.error}")
    return f"{name}: {'; '.join(figures)}" if figures else f"{name}: {one.rows:,} rows"


def _challenger_facts(one: ChallengerAccount) -> Facts:
    return {
        "name": one.model.name,
        "version": one.model.version,
        "digest": one.model.digest,
        "status": one.status,
        "error": one.error,
        "rows": one.rows,
        "rows_failed": one.rows_failed,
        "agreement": one.agreement,
        "flips": one.flips,
        "shift": {column: apart.mean for column, apart in one.differences.items()},
        "rank_correlation": one.rank_correlation,
        "cost_ratio": one.cost_ratio,
    }


def _arm_text(arm: ArmAccount) -> str:
    return f"{shown(_name(arm.model))} {arm.rows:,} rows (of {arm.share * 100:.4g} %)"


def _names(manifest: Manifest) -> tuple[str, ...]:
    return manifest.plan.split.names if manifest.plan.split is not None else ()


def _name(model: ModelAccount) -> str:
    return f"{model.name}:{model.version}" if model.version else model.name


def _rival_text(one: PlannedRival) -> str:
    name = f"{one.model.name}:{one.model.version}" if one.model.version else one.model.name
    return f"{shown(name)}, {one.model.precision}, {one.model.family}, {one.model.digest[:19]}"
