"""What a person should know first about a run: one sentence, then what it rests on, each with a mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlserve_cli.manifest import ChallengerAccount, Manifest
from mlserve_cli.profiles import Drift
from mlserve_cli.reporting.blocks import Mark
from mlserve_cli.reporting.wording import count, day, listed, model_name, share, visible

ORDER: tuple[Mark, ...] = ("bad", "attention", "good", "note")
BELOW = "the quality is below its limit"
QUARANTINE_IS_BAD = 0.01  # of the rows: more is no odd row any more, but odd data


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out, and the section of the page that shows it."""

    mark: Mark
    what: str
    section: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst mark of all findings, one sentence, and the findings, in the order of the page."""

    mark: Mark
    headline: str
    findings: tuple[Finding, ...]


def judge(manifest: Manifest, *, quality: Finding | None = None) -> Verdict:
    """The verdict on a run, from its manifest and, where labels came in, its quality."""
    findings = tuple(_findings(manifest, quality))
    worst = min((finding.mark for finding in findings), key=ORDER.index)
    return Verdict(worst, _headline(manifest, quality), findings)


def judge_all(manifests: Sequence[Manifest], *, quality: Sequence[Finding] = ()) -> Verdict:
    """The verdict on many runs, in the order of their start: what the last one says counts for the mark."""
    findings = (*_findings_of_all(manifests), *quality)
    worst = min((finding.mark for finding in findings), key=ORDER.index)
    last = manifests[-1]
    found = troubles(last)
    state = f"in the last one {listed(found)}" if found else f"the last one scored {count(last.rows.rows_out, 'row')}"
    below = f"; {BELOW}" if any(finding.mark == "bad" for finding in quality) else ""
    return Verdict(worst, f"{count(len(manifests), 'run')}; {state}{below}.", findings)


def troubles(manifest: Manifest) -> list[str]:
    """What is not as it should be, in few words each."""
    rows, drift = manifest.rows, manifest.drift
    found = []
    if rows.rows_quarantined:
        found.append(f"{count(rows.rows_quarantined, 'row')} set aside")
    if drift is not None and not drift.passed:
        moved = [column for column in drift.columns if column.reasons]
        parts = (("feature", "feature"), ("score", "score"))
        numbers = [(sum(column.role == role for column in moved), noun) for role, noun in parts]
        found.append(f"{listed([count(number, noun) for number, noun in numbers if number])} drifted")
    failed = [rival.model.name for rival in manifest.challengers if rival.status == "failed"]
    if failed:
        found.append(f"challenger {listed([visible(name) for name in failed])} failed")
    return found


def _findings_of_all(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    read, scored = sum(one.rows.rows_in for one in manifests), sum(one.rows.rows_out for one in manifests)
    aside = [one for one in manifests if one.rows.rows_quarantined]
    what = f"Every row of every run is accounted for: {count(read)} read, {count(scored)} scored"
    if aside:
        left = f", {count(read - scored)} set aside in {count(len(aside), 'run')}"
        yield Finding("attention" if manifests[-1].rows.rows_quarantined else "note", f"{what}{left}.", "runs")
    else:
        yield Finding("good", f"{what}.", "runs")
    yield _drift_of_all(manifests)
    changes = [
        f"{model_name(now.model.name, now.model.version)} on {day(now.run.started_at)}"
        for name in dict.fromkeys(one.model.name for one in manifests)
        for before, now in pairwise(one for one in manifests if one.model.name == name)
        if before.model.digest != now.model.digest
    ]
    if changes:
        yield Finding("note", f"The model changed: to {listed(changes)}.", "runs")


def _drift_of_all(manifests: Sequence[Manifest]) -> Finding:
    compared = [one.drift for one in manifests if one.drift is not None]
    if not compared:
        return Finding("note", "Drift was not looked for: no run had a baseline to be held against.", "model-1")
    drifted = [drift for drift in compared if not drift.passed]
    if not drifted:
        return Finding("good", f"None of {count(len(compared), 'run')} with a baseline drifted from it.", "model-1")
    often = Counter(column.name for drift in drifted for column in drift.columns if column.reasons)
    named = listed([f"{visible(name)} ({count(seen, 'run')})" for name, seen in often.most_common()])
    mark: Mark = "attention" if compared[-1].passed else "bad"
    return Finding(mark, f"{len(drifted)} of {count(len(compared), 'run')} drifted, most often {named}.", "model-1")


def _headline(manifest: Manifest, quality: Finding | None) -> str:
    rows = manifest.rows
    scored = f"{'All ' if not rows.rows_quarantined else ''}{count(rows.rows_out, 'row')} scored"
    found = troubles(manifest) + ([BELOW] if quality and quality.mark == "bad" else [])
    if found:
        return f"{scored}; {listed(found)}."
    checked = manifest.drift is not None or quality is not None
    return f"{scored}, and nothing stands out." if checked else f"{scored}."


def _findings(manifest: Manifest, quality: Finding | None) -> Iterator[Finding]:
    yield _rows(manifest)
    yield _drift(manifest.drift)
    for rival in manifest.challengers:
        yield _challenger(rival)
    if manifest.split is not None:
        parts = [
            f"{model_name(arm.model.name, arm.model.version)} {share(arm.rows, of=manifest.rows.rows_out)}"
            for arm in manifest.split.arms
        ]
        yield Finding("note", f"The rows were split between {listed(parts)}.", "rivals")
    if quality is not None:
        yield quality
    yield _trust(manifest)
    yield from _faults(manifest)


def _rows(manifest: Manifest) -> Finding:
    rows = manifest.rows
    if not rows.rows_quarantined:
        return Finding("good", f"Every row is accounted for: {count(rows.rows_in)} read, as many scored.", "rows")
    part = share(rows.rows_quarantined, of=rows.rows_in)
    mark: Mark = "bad" if rows.rows_quarantined > QUARANTINE_IS_BAD * rows.rows_in else "attention"
    what = (
        f"Every row is accounted for: {count(rows.rows_in)} read = {count(rows.rows_out)} scored + "
        f"{count(rows.rows_quarantined)} set aside ({part})."
    )
    return Finding(mark, what, "rows")


def _drift(drift: Drift | None) -> Finding:
    if drift is None:
        return Finding("note", "Drift was not looked for: the run had no baseline to be held against.", "drift")
    moved = [visible(column.name) for column in drift.columns if column.reasons]
    all_columns = count(len(drift.columns), "column")
    if drift.passed:
        return Finding("good", f"None of {all_columns} has drifted from the baseline.", "drift")
    gone = [f"{listed([visible(name) for name in drift.missing])} missing"] if drift.missing else []
    told = [f"{len(moved)} of {all_columns} drifted from the baseline: {listed(moved)}"] if moved else []
    return Finding("bad", f"{'; '.join(told + gone)}.", "drift")


def _challenger(rival: ChallengerAccount) -> Finding:
    name = model_name(rival.model.name, rival.model.version)
    if rival.status == "failed":
        what = (
            f"Challenger {name} failed after {count(rival.rows, 'row')}; the run's own output is not touched by that."
        )
        return Finding("attention", what, "rivals")
    if rival.agreement is not None and rival.flips is not None:
        what = f"Challenger {name} agrees on {share(rival.agreement)} of the rows ({count(rival.flips)} differ)."
    else:
        ranks = listed([f"{value:.3f}" for value in rival.rank_correlation.values()])
        what = f"Challenger {name} scored {count(rival.rows, 'row')}" + (
            f", rank correlation {ranks}." if ranks else "."
        )
    return Finding("note", what, "rivals")


def _trust(manifest: Manifest) -> Finding:
    model = manifest.model
    golden = (
        "it scored its golden rows as in training"
        if model.golden_rows == "passed"
        else "it brings no golden rows, so nothing says that it scores here as in training"
    )
    if model.signature is None:
        signed = "The model's signature was not asked for"
    elif model.signature.signed:
        signed = f"The model is signed by {visible(model.signature.signer)}"
    else:
        signed = "The model is not signed, which the trust policy allows"
    return Finding("good" if model.golden_rows == "passed" else "note", f"{signed}; {golden}.", "provenance")


def _faults(manifest: Manifest) -> Iterator[Finding]:
    run = manifest.run
    told = []
    if run.lost_workers:
        told.append(
            f"{count(run.lost_workers, 'worker')} died and {'was' if run.lost_workers == 1 else 'were'} replaced"
        )
    if run.resumed_tasks:
        told.append(f"{count(run.resumed_tasks, 'task')} taken up from an earlier attempt")
    if run.reused_tasks:
        told.append(f"{count(run.reused_tasks, 'task')} taken over from an earlier run")
    if told:
        yield Finding("note", f"Survived on the way: {listed(told)}.", "speed")
