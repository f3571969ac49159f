"""The page of one run."""

from __future__ import annotations

from mlserve_cli.reporting import drift, provenance, quality, rivals, rows, speed
from mlserve_cli.reporting.blocks import Fact
from mlserve_cli.reporting.gather import Gathered
from mlserve_cli.reporting.render import render
from mlserve_cli.reporting.shapes import Categories, Histogram, shape_of
from mlserve_cli.reporting.spread import features_of, scores_of, twins_of
from mlserve_cli.reporting.verdict import Verdict, judge
from mlserve_cli.reporting.wording import count, duration, model_name, moment, size, visible


def verdict_of(run: Gathered) -> Verdict:
    """The verdict on a run with all that was gathered."""
    if run.judged is None:
        return judge(run.manifest)
    return judge(run.manifest, quality=quality.quality_finding(run.judged.evaluation, run.judged.run))


def run_page(run: Gathered, *, verdict: Verdict) -> bytes:
    """One file of HTML that needs nothing else."""
    manifest = run.manifest
    return render(
        "run.html",
        title=f"{model_name(manifest.model.name, manifest.model.version)} · {visible(run.name)}",
        name=visible(run.name),
        model=model_name(manifest.model.name, manifest.model.version),
        alias=visible(manifest.model.alias),
        when=moment(manifest.run.started_at),
        made_by=manifest.environment.mlserve,
        verdict=verdict,
        figures=_figures(run),
        rows=rows.account_of(run),
        scores=scores_of(run),
        score_pictures=_score_pictures(run),
        compared=run.baseline is not None,
        features=features_of(run),
        drift=drift.drift_of(run),
        rivals=rivals.rivals_of(manifest),
        split=rivals.split_of(manifest),
        quality=quality.quality_of(run.judged.evaluation, run.judged.run) if run.judged is not None else None,
        speed=speed.speed_of(manifest),
        provenance=provenance.facts_of(manifest),
        settings=provenance.settings_of(manifest),
        files=provenance.files_of(manifest),
        digest=manifest.digest,
    )


def _figures(run: Gathered) -> tuple[Fact, ...]:
    """What stands in large type under the verdict."""
    manifest = run.manifest
    aside = manifest.rows.rows_quarantined
    return (
        Fact("rows scored", (count(manifest.rows.rows_out),)),
        Fact("rows set aside", (count(aside),)),
        Fact("input files", (count(len(manifest.inputs)),)),
        Fact("time", (duration(manifest.run.seconds),)),
        Fact("rows per second", (f"{manifest.throughput.rows_per_s:,.0f}",)),
        Fact("memory at most", (size(manifest.throughput.peak_memory_bytes),)),
    )


def _score_pictures(run: Gathered) -> tuple[Histogram | Categories, ...]:
    if run.profile is None:
        return ()
    base = run.baseline.scores if run.baseline is not None else {}
    twins = twins_of(run.manifest)
    found = (shape_of(name, column, base.get(name)) for name, column in run.profile.scores.items() if name not in twins)
    return tuple(picture for picture in found if picture is not None)
