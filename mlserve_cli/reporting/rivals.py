"""Other models beside the champion: challengers that scored the same rows, arms that scored some of them."""

from __future__ import annotations

from dataclasses import dataclass

from mlserve_cli.manifest import ChallengerAccount, Manifest
from mlserve_cli.reporting.blocks import Cell, Column, Fact, Meter, Row, Table, number, table
from mlserve_cli.reporting.wording import count, duration, figure, model_name, share, signed, visible


@dataclass(frozen=True, slots=True)
class RivalPart:
    """One challenger: what it came to, and its score columns beside the champion's."""

    name: str
    failed: str
    facts: tuple[Fact, ...]
    scores: Table | None


@dataclass(frozen=True, slots=True)
class SplitPart:
    """Who scored how many rows."""

    text: str
    arms: Table


def rivals_of(manifest: Manifest) -> tuple[RivalPart, ...]:
    """Each challenger, in the order in which they were named."""
    return tuple(_rival(rival) for rival in manifest.challengers)


def split_of(manifest: Manifest) -> SplitPart | None:
    """None where one model scored all rows."""
    split = manifest.split
    if split is None:
        return None
    rows: list[Row] = [
        [
            model_name(arm.model.name, arm.model.version),
            share(arm.share),
            Cell(share(arm.rows, of=manifest.rows.rows_out), meter=Meter(_percent(arm.rows, manifest.rows.rows_out))),
            count(arm.rows),
        ]
        for arm in split.arms
    ]
    columns = [Column("model"), number("was to score"), number("did score"), number("rows")]
    text = (
        f"A keyed hash of column {visible(split.key)} decides which model scores a row, the same one each day; column "
        f"{visible(split.column)} of the output names it. The experiment is called {visible(split.salt)}."
    )
    return SplitPart(text, table("Rows of each model", columns, rows))


def _rival(rival: ChallengerAccount) -> RivalPart:
    return RivalPart(
        name=model_name(rival.model.name, rival.model.version),
        failed=visible(rival.error) if rival.status == "failed" else "",
        facts=tuple(_facts(rival)) if rival.rows else (),
        scores=_scores(rival) if rival.differences else None,
    )


def _facts(rival: ChallengerAccount) -> list[Fact]:
    aside = (f"it failed on {count(rival.rows_failed, 'row')}",) if rival.rows_failed else ()
    facts = [Fact("Rows scored by both", (count(rival.rows), *aside))]
    if rival.agreement is not None and rival.flips is not None:
        facts.append(Fact("Same prediction", (share(rival.agreement), f"{count(rival.flips, 'row')} flipped")))
    cost = "–" if rival.cost_ratio is None else f"{figure(rival.cost_ratio, digits=3)} × the champion's"
    facts.append(Fact("Inference", (cost, duration(rival.inference_s))))
    return facts


def _scores(rival: ChallengerAccount) -> Table:
    rows = [
        [
            visible(name),
            signed(found.mean),
            figure(found.mean_absolute, digits=3),
            figure(found.largest_absolute, digits=3),
            figure(rival.rank_correlation.get(name), digits=4),
        ]
        for name, found in rival.differences.items()
    ]
    columns = [
        Column("score"),
        number("mean shift"),
        number("mean difference"),
        number("largest difference"),
        number("rank correlation"),
    ]
    return table("Challenger minus champion, over the rows that both scored", columns, rows)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
