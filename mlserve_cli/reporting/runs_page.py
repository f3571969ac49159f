"""The page of many runs: how rows, speed, scores, drift and quality went over time, model by model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from mlserve_cli.errors import MlserveError
from mlserve_cli.manifest import Manifest
from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.monitoring.proved import profile_of
from mlserve_cli.profiles import ColumnProfile, Profile, quantiles
from mlserve_cli.reporting.blocks import Cell, Column, Fact, Row, Table, number, table
from mlserve_cli.reporting.evaluations import Judged
from mlserve_cli.reporting.heat import Heat, heat_of
from mlserve_cli.reporting.labels import RUNS_SHOWN, places_of, run_cell
from mlserve_cli.reporting.quality_trend import QualityTrend, quality_trend
from mlserve_cli.reporting.render import render
from mlserve_cli.reporting.spread import twins_of
from mlserve_cli.reporting.trend import Trend, trend
from mlserve_cli.reporting.verdict import Verdict, judge_all, troubles
from mlserve_cli.reporting.wording import count, duration, figure, listed, model_name, share, span, visible

SCORES_DRAWN = 6


@dataclass(frozen=True, slots=True)
class ModelPart:
    """One model's runs."""

    name: str
    trends: tuple[Trend, ...]
    scores: tuple[Table, ...]
    heat: Heat | None
    quality: QualityTrend | None


def runs_page(
    runs: Sequence[FoundRun],
    parts: Sequence[ModelPart],
    *,
    name: str,
    verdict: Verdict,
    skipped: Sequence[MlserveError],
) -> bytes:
    """One file of HTML that needs nothing else."""
    manifests = [run.manifest for run in runs]
    first, last = manifests[0].run, manifests[-1].run
    return render(
        "runs.html",
        title=f"{visible(name)} · {count(len(runs), 'run')}",
        name=visible(name),
        when=span(first.started_at, last.finished_at),
        verdict=verdict,
        figures=_figures(manifests),
        models=parts,
        runs=_runs(runs),
        skipped=[visible(f"{error.what}: {error.where}") for error in skipped],
        digest=manifests[-1].digest,
    )


def _figures(manifests: Sequence[Manifest]) -> tuple[Fact, ...]:
    return (
        Fact("runs", (count(len(manifests)),)),
        Fact("model versions", (count(len({one.model.digest for one in manifests})),)),
        Fact("rows scored", (count(sum(one.rows.rows_out for one in manifests)),)),
        Fact("rows set aside", (count(sum(one.rows.rows_quarantined for one in manifests)),)),
        Fact("time in all", (duration(sum(one.run.seconds for one in manifests)),)),
        Fact("rows per second", (f"{median(one.throughput.rows_per_s for one in manifests):,.0f}",)),
    )


def parts_of(runs: Sequence[FoundRun], judged: Mapping[str, Judged]) -> tuple[ModelPart, ...]:
    """Each model's runs, with what `judged` says of them by their ids."""
    return tuple(_parts(runs, judged))


def verdict_of_all(runs: Sequence[FoundRun], parts: Sequence[ModelPart]) -> Verdict:
    """The verdict on many runs, of each model's quality too."""
    return judge_all([run.manifest for run in runs], quality=[one.quality.finding for one in parts if one.quality])


def _parts(runs: Sequence[FoundRun], judged: Mapping[str, Judged]) -> Iterator[ModelPart]:
    names = list(dict.fromkeys(run.manifest.model.name for run in runs))
    for place, name in enumerate(names, start=1):
        mine = [run for run in runs if run.manifest.model.name == name]
        profiles = [profile_of(run) for run in mine]
        yield ModelPart(
            name=visible(name),
            trends=(*_score_trends(mine, profiles), *_work_trends(mine)),
            scores=tuple(_score_tables(mine, profiles)),
            heat=heat_of(mine),
            quality=quality_trend(mine, judged, section=f"model-{place}", name=visible(name) if len(names) > 1 else ""),
        )


# Figures over time


def _work_trends(runs: Sequence[FoundRun]) -> Iterator[Trend]:
    at, manifests = places_of(runs), [run.manifest for run in runs]
    rows = [float(one.rows.rows_in) for one in manifests]
    yield trend("Rows read", rows, at=at, text=_words("Rows", rows), from_zero=True, said=_whole)
    speed = [one.throughput.rows_per_s for one in manifests]
    yield trend("Rows per second", speed, at=at, text=_words("Rows per second", speed), from_zero=True, said=_whole)
    aside = [one.rows.rows_quarantined / max(one.rows.rows_in, 1) for one in manifests]
    if any(aside):
        text = f"Share of rows set aside: {share(min(aside))} to {share(max(aside))}, last {share(aside[-1])}."
        yield trend("Rows set aside", list(aside), at=at, text=text, from_zero=True, said=share)


def _score_trends(runs: Sequence[FoundRun], profiles: Sequence[Profile | None]) -> Iterator[Trend]:
    """For each score its median, and between which two values nine tenths of the rows lie."""
    at = places_of(runs)
    for name in _score_names([run.manifest for run in runs], profiles):
        ends = [_three(profile.scores.get(name)) if profile is not None else None for profile in profiles]
        middle = [None if one is None else one[1] for one in ends]
        yield trend(
            f"{visible(name)}: median, and 90 % of the rows",
            middle,
            at=at,
            text=_words(f"Median of {visible(name)}", [value for value in middle if value is not None]),
            band=[None if one is None else (one[0], one[2]) for one in ends],
        )


def _score_names(manifests: Sequence[Manifest], profiles: Sequence[Profile | None]) -> list[str]:
    twins = twins_of(manifests[-1])
    names = {
        name: None
        for profile in profiles
        if profile is not None
        for name, column in profile.scores.items()
        if column.kind == "number" and column.quantiles and name not in twins
    }
    return list(names)[:SCORES_DRAWN]


def _three(column: ColumnProfile | None) -> tuple[float, float, float] | None:
    if column is None or not column.quantiles:
        return None
    low, middle, high = (float(value) for value in quantiles(column, (0.05, 0.5, 0.95)))
    return low, middle, high


def _words(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name}: not known."
    return f"{name}: {figure(min(values))} to {figure(max(values))}, last {figure(values[-1])}."


def _whole(value: float) -> str:
    return figure(value, digits=3) if abs(value) < 1000 else f"{value:,.0f}"


# Tables


def _score_tables(runs: Sequence[FoundRun], profiles: Sequence[Profile | None]) -> Iterator[Table]:
    columns = [Column("run"), number("mean"), number("5 %"), number("median"), number("95 %")]
    for name in _score_names([run.manifest for run in runs], profiles):
        rows: list[Row] = []
        for run, profile in zip(runs, profiles, strict=True):
            column = profile.scores.get(name) if profile is not None else None
            three = _three(column)
            if column is not None and three is not None:
                rows.append([run_cell(run), figure(column.mean), *map(figure, three)])
        yield table(f"Score {visible(name)} by run", columns, rows[::-1], most=RUNS_SHOWN)


def _runs(runs: Sequence[FoundRun]) -> Table:
    """Every run, the last one first."""
    columns = [
        Column("run"),
        Column("model"),
        number("rows"),
        number("set aside"),
        number("time"),
        number("rows/s"),
        Column("what stands out"),
        number("exit code"),
    ]
    return table("Every run, the last first", columns, [_row(run) for run in reversed(runs)], most=RUNS_SHOWN)


def _row(run: FoundRun) -> Row:
    one = run.manifest
    found = troubles(one)
    alias = f"@{visible(one.model.alias)}" if one.model.alias else ""
    return [
        run_cell(run),
        Cell(model_name(one.model.name, one.model.version), note=alias),
        count(one.rows.rows_in),
        count(one.rows.rows_quarantined),
        duration(one.run.seconds),
        f"{one.throughput.rows_per_s:,.0f}",
        Cell(listed(found), mark="bad" if one.drift is not None and not one.drift.passed else "attention")
        if found
        else ("nothing" if one.drift is not None else "–"),
        str(one.run.exit_code),
    ]
