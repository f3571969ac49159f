"""What `tune` may choose from: settings of a run, what they are on this machine, and which are worth a try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from mlserve_cli.errors import InvalidModel, MemoryTooSmall
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.layout import Layout, lay_out
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.predictors import choose_predictor, open_planned
from mlserve_cli.scoring.repeats import distinct_share, provable_window, window_rows_of
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.session import Predictor

FACTORS = (0.25, 0.5, 2, 4)  # of the batch that `auto` takes
LEAST_BATCH_ROWS, MOST_BATCH_ROWS = 16, 65_536
MOST_DISTINCT = 0.9  # of a sample's rows: with more, next to nothing is saved


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings of a run as options name them; None stands for `auto`."""

    predictor: str | None = None
    batch_rows: int | None = None
    workers: int | None = None
    threads_per_worker: int | None = None
    deduplicate: str | None = None

    @property
    def settings(self) -> dict[str, str | int]:
        """The options that are not `auto`, by their names."""
        named = {
            "predictor": self.predictor,
            "batch-rows": self.batch_rows,
            "workers": self.workers,
            "threads-per-worker": self.threads_per_worker,
            "deduplicate": self.deduplicate,
        }
        return {name: value for name, value in named.items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items()) or "auto"


@dataclass(frozen=True, slots=True)
class Ground:
    """What every candidate starts from: the plan of the whole input as `auto` makes it, and each predictor."""

    request: ScoreRequest
    model: ResolvedModel
    plan: Plan
    predictors: dict[str, Predictor]

    def plan_of(self, candidate: Candidate) -> Plan:
        """The plan with the candidate's settings; its tasks stay where they are."""
        predictor, rows = candidate.predictor or self.plan.predictor, candidate.batch_rows or self.plan.batch_rows
        plan = msgspec.structs.replace(self.plan, predictor=predictor, batch_rows=rows)
        wanted = {"on": True, "off": False}.get(candidate.deduplicate or "auto", bool(plan.deduplicate_rows))
        window = window_rows_of(plan) if wanted else 0
        return msgspec.structs.replace(plan, deduplicate_rows=window)

    def may_run(self, candidate: Candidate) -> bool:
        """Whether a run would take these settings: repeats may be scored once only where that is proved."""
        plan = self.plan_of(candidate)
        if candidate.deduplicate != "on":
            return True
        return bool(provable_window(plan, facts=self.model.facts, predictor=self.predictors[plan.predictor]))

    def layout_of(self, candidate: Candidate) -> Layout:
        """How this machine would carry the whole of it out. Raises MemoryTooSmall (78)."""
        request = replace(self.request, workers=candidate.workers, threads_per_worker=candidate.threads_per_worker)
        return lay_out(self.plan_of(candidate), request, model_bytes=self.model.facts.size_bytes)


def with_other_predictor(ground: Ground) -> tuple[Ground, str]:
    """The ground with the predictor that `auto` did not take, or why there is none."""
    if ground.model.facts.family != "trees":
        return ground, "the model has no trees"
    plan, known = ground.plan, ground.predictors
    try:
        if plan.predictor == "trees":
            other = open_planned(msgspec.structs.replace(plan, predictor="onnxruntime"))
            return replace(ground, predictors={**known, "onnxruntime": other}), ""
        chosen = choose_predictor(
            replace(ground.request, predictor="trees"),
            ground.model,
            plan.contract,
            plain=known["onnxruntime"],
            rows=plan.rows,
            batch_rows=plan.batch_rows,
        )
    except InvalidModel as error:
        return ground, error.what
    return replace(ground, predictors={**known, "trees": chosen.predictor}), ""


def predictors_to_try(ground: Ground, base: Candidate) -> list[Candidate]:
    """The other predictor, where there are two."""
    return [replace(base, predictor=name) for name in ground.predictors if name != ground.plan.predictor]


def repeats_to_try(ground: Ground, base: Candidate) -> tuple[list[Candidate], str]:
    """Rows that repeat scored in the other way than `auto` does, where a look at a sample finds many; and why not."""
    if ground.request.deduplicate != "auto":
        return [], ""
    if ground.plan.deduplicate_rows:
        return [replace(base, deduplicate="off")], ""
    once = replace(base, deduplicate="on")
    if distinct_share(ground.plan_of(once)) > MOST_DISTINCT:
        return [], ""
    return (
        ([once], "") if ground.may_run(once) else ([], "rows repeat, but a row's score depends on the rows beside it")
    )


def batches_to_try(ground: Ground, base: Candidate, wanted: Sequence[int]) -> list[Candidate]:
    """Those that were asked for, or smaller and larger ones than `auto` takes; none where the model fixes them."""
    auto = ground.plan.batch_rows
    if ground.model.facts.fixed_batch:
        return []
    sizes = wanted or [int(auto * factor) for factor in FACTORS]
    fitting = {rows for rows in sizes if wanted or LEAST_BATCH_ROWS <= rows <= MOST_BATCH_ROWS}
    candidates = [replace(base, batch_rows=rows) for rows in sorted(fitting - {auto})]
    return [one for one in candidates if ground.may_run(one)]


def layouts_to_try(ground: Ground, base: Candidate) -> list[Candidate]:
    """This process alone, threads in it, workers of one thread and of two: each way to run that is another one here."""
    seen = {_way(ground.layout_of(base))}
    found = []
    for workers, threads in _ways(usable_cores()):
        candidate = replace(base, workers=workers, threads_per_worker=threads)
        try:
            way = _way(ground.layout_of(candidate))
        except MemoryTooSmall:
            continue
        if way not in seen:
            seen.add(way)
            found.append(candidate)
    return found


def _ways(cores: int) -> Iterator[tuple[int, int]]:
    yield 1, 1
    if cores > 1:
        yield 1, cores
        yield cores, 1
    if cores > 2:
        yield cores // 2, 2


def _way(layout: Layout) -> tuple[bool, int, int]:
    return layout.in_process, layout.lanes, layout.threads_per_worker
