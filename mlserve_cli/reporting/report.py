"""`mlserve report`: what a run came to, or many of them over time, as one page that needs nothing else.

A page is a pure function of files: manifests, profiles, the quarantine's first rows. It holds no time of its own, so
the same runs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlserve_cli import storage
from mlserve_cli.errors import MlserveError, OutputExists, UsageError, shown
from mlserve_cli.manifest.find import MANIFEST_NAME, find_runs, is_manifest, refuse_inside_run
from mlserve_cli.reporting.evaluations import judged_runs
from mlserve_cli.reporting.gather import gather
from mlserve_cli.reporting.run_page import run_page, verdict_of
from mlserve_cli.reporting.runs_page import parts_of, runs_page, verdict_of_all
from mlserve_cli.reporting.verdict import Verdict

SUFFIX = ".report.html"
OURS = b'<meta name="generator" content="mlserve report">'
HEAD_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Reported:
    """Where the page stands, its verdict, and how many runs it shows; `skipped` are manifests that cannot be read."""

    path: Path
    size_bytes: int
    runs: int
    verdict: Verdict
    skipped: tuple[MlserveError, ...] = ()


def report(
    target: str, *, output: str | None = None, evaluation: str | Sequence[str] = (), baseline: str | None = None
) -> Reported:
    """Write the page of the run at TARGET, or of all runs below it.

    `output` is by default beside TARGET: NAME.report.html. An earlier report there is replaced, anything else is not:
    OutputExists (73). `evaluation` are files that `evaluate` wrote, or globs, `baseline` a profile to draw the run's
    columns against. Raises InputMissing (66) where there is no run, RunMismatch (65) where a file of it is not what its
    manifest says, ExtraMissing (69) without Jinja2.
    """
    skipped: list[MlserveError] = []
    alone = _is_one_run(target)
    runs = find_runs(target, skipped=None if alone else skipped)
    place = _place(target, output)
    evaluations = (evaluation,) if isinstance(evaluation, str) else tuple(evaluation)
    if alone:
        gathered = gather(runs[0], evaluation=evaluations, baseline=baseline)
        verdict = verdict_of(gathered)
        page = run_page(gathered, verdict=verdict)
    else:
        _refuse_baseline(baseline)
        parts = parts_of(runs, judged_runs(evaluations, [run.manifest for run in runs]))
        verdict = verdict_of_all(runs, parts)
        page = runs_page(runs, parts, name=Path(target).resolve().name, verdict=verdict, skipped=skipped)
    record = storage.replace(place, page)
    return Reported(place, record.size_bytes, len(runs), verdict, tuple(skipped))


def _is_one_run(target: str) -> bool:
    path = Path(target)
    return not path.is_dir() or (path / MANIFEST_NAME).is_file()


def _refuse_baseline(baseline: str | None) -> None:
    if baseline is not None:
        raise UsageError("--baseline belongs to one run, and this is a folder of runs", "", "name one of the runs")


def _place(target: str, output: str | None) -> Path:
    """Where the page goes, refused where it would spoil something."""
    place = storage.locate(output) if output is not None else _beside(target)
    storage.check_creatable(place, is_file=True)
    refuse_inside_run(place, what="the report")
    if place.exists() and not _is_ours(place):
        raise OutputExists(
            "what stands there is no report of mlserve, so it is not replaced",
            shown(str(place), limit=400),
            "name another --output, or move it away",
        )
    return place


def _beside(target: str) -> Path:
    path = storage.locate(target)
    if is_manifest(path):
        path = path.parent if path.name == MANIFEST_NAME else path.with_name(path.name.removesuffix(".manifest.json"))
    return path.with_name(f"{path.name}{SUFFIX}")


def _is_ours(place: Path) -> bool:
    with storage.translated(place, "read"):
        if not place.is_file():
            return False
        with place.open("rb") as file:
            return OURS in file.read(HEAD_BYTES)
