"""A benchmark: the product, the script and the limits take turns on each model, after one round that does not count."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from mlserve_cli.benchmark.agreement import disagreement
from mlserve_cli.benchmark.contenders import Bout, Contender, contenders_of, inner_seconds
from mlserve_cli.benchmark.processes import Ended, run_process
from mlserve_cli.benchmark.results import BENCH_FORMAT, BenchResult, Measured, ModelResult, ratios_of
from mlserve_cli.contract import encode_canonical
from mlserve_cli.errors import ExtraMissing, UsageError
from mlserve_cli.manifest import Manifest
from mlserve_cli.scoring import STREAM, ScoreRequest, score
from mlserve_cli.scoring.machine import usable_cores

AGAINST = ("script", "limits")


@dataclass(frozen=True, slots=True)
class Step:
    """What is being measured; round 0 does not count."""

    model: str
    contender: str
    round: int
    rounds: int


Observer = Callable[[Step], None]


def bench(
    *requests: ScoreRequest,
    rounds: int = 5,
    against: Sequence[str] = AGAINST,
    observer: Observer = lambda _step: None,
) -> BenchResult:
    """Measure each request, whose output is not written where it says, beside a script and beside the limits.

    First each is scored in this process, so that what is wrong with it is said as `score` says it, and so that there
    are scores to compare with. Raises ExtraMissing (69) where the script is wanted and polars is not installed.
    """
    _check(requests, rounds, against)
    found = [_bench_one(request, rounds=rounds, against=frozenset(against), observer=observer) for request in requests]
    return BenchResult(
        format=BENCH_FORMAT,
        rounds=rounds,
        cores=usable_cores(),
        polars=_polars_version() if "script" in against else "",
        environment=found[0][1].environment,
        models=tuple(result for result, _ in found),
    )


def _check(requests: Sequence[ScoreRequest], rounds: int, against: Sequence[str]) -> None:
    if not requests:
        raise UsageError("no model is named", "", "give at least one request")
    if rounds < 1:
        raise UsageError(f"{rounds} rounds are too few", "", "at least one round must count")
    unknown = sorted(set(against) - set(AGAINST))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is nothing to measure against", "", f"there is {' and '.join(AGAINST)}")
    if any(STREAM in request.inputs for request in requests):
        raise UsageError("standard input can be read once only", "--input -", "name files: each round reads them")
    if "script" in against and find_spec("polars") is None:
        raise ExtraMissing("polars", "bench")


def _bench_one(
    request: ScoreRequest, *, rounds: int, against: frozenset[str], observer: Observer
) -> tuple[ModelResult, Manifest]:
    with tempfile.TemporaryDirectory(prefix="mlserve-bench-") as name:
        folder = Path(name)
        observer(Step(request.model, "in this process", 0, rounds))
        manifest = score(replace(request, output=str(folder / "expected"), if_exists="error")).manifest
        bout = _prepared(request, manifest, folder)
        observer(Step(request.model, "the best batches", 0, rounds))
        turns = [_Turns(contender) for contender in contenders_of(bout, against=against)]
        for number in range(rounds + 1):
            for one in turns:
                observer(Step(request.model, one.contender.name, number, rounds))
                one.take(bout, is_counted=number > 0)
    contenders = tuple(one.measured for one in turns)
    plan = manifest.plan
    result = ModelResult(
        model=request.model,
        digest=plan.model.digest,
        family=plan.model.family,
        rows=plan.rows,
        files=len(plan.inputs),
        columns=len(plan.contract.columns),
        contenders=contenders,
        ratios=ratios_of(contenders),
    )
    return result, manifest


def _prepared(request: ScoreRequest, manifest: Manifest, folder: Path) -> Bout:
    if not manifest.plan.rows:
        raise UsageError("there are no rows to measure with", "--input", "name files with rows in them")
    (folder / "plan.json").write_bytes(encode_canonical(manifest.plan))
    return Bout(request, manifest.plan, folder)


@dataclass(slots=True)
class _Turns:
    """One contender's turns; it takes no more once something is wrong with it."""

    contender: Contender
    trouble: str = ""
    seconds: list[float] = field(default_factory=list)
    inner_seconds: list[float] = field(default_factory=list)
    first: Ended | None = None
    difference: float | None = None

    def __post_init__(self) -> None:
        self.trouble = self.contender.trouble

    def take(self, bout: Bout, *, is_counted: bool) -> None:
        """Run it; the first time its memory is watched and its scores are compared."""
        if self.trouble:
            return
        shutil.rmtree(self.contender.output, ignore_errors=True)
        self.contender.output.mkdir()
        ended = run_process(self.contender.command, watched=not is_counted)
        self.trouble = ended.trouble
        if self.trouble:
            return
        if is_counted:
            self.seconds.append(ended.seconds)
            self.inner_seconds.append(inner_seconds(ended))
        else:
            self.first = ended
            self.difference, self.trouble = disagreement(self.contender, bout)

    @property
    def measured(self) -> Measured:
        """What it came to."""
        one, first = self.contender, self.first
        return Measured(
            name=one.name,
            kind=one.kind,
            about=one.about,
            seconds=tuple(round(seconds, 4) for seconds in self.seconds),
            inner_seconds=tuple(round(seconds, 4) for seconds in self.inner_seconds),
            peak_memory_bytes=first.peak_memory_bytes if first else 0,
            batch_rows=one.batch_rows,
            predictor=one.predictor,
            difference=self.difference,
            stages_s=first.said.get("stages_s", {}) if first else {},
            trouble=self.trouble,
        )


def _polars_version() -> str:
    from importlib.metadata import version

    return version("polars")
