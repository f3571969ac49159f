"""Find the settings with which this model is scored fastest here, by trials on the real input, and write them down.

One thing after the other: the predictor, rows that repeat, the batch, workers and threads; the best of each goes on.
Candidates take turns, the slower half leaves after each round, and the best must win again against `auto`, by more
than the noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mlserve_cli import features
from mlserve_cli.errors import InputMissing, UsageError, shown
from mlserve_cli.scoring.batches import Clock, score_batches
from mlserve_cli.scoring.candidates import (
    Candidate,
    Ground,
    batches_to_try,
    layouts_to_try,
    predictors_to_try,
    repeats_to_try,
    with_other_predictor,
)
from mlserve_cli.scoring.distance import distances
from mlserve_cli.scoring.plan import make_plan
from mlserve_cli.scoring.request import SILENT, STREAM, Observer, ScoreRequest
from mlserve_cli.scoring.resolve import resolve
from mlserve_cli.scoring.rows import first_rows
from mlserve_cli.scoring.settings_file import settings_in, write_settings
from mlserve_cli.scoring.spool import standard_input
from mlserve_cli.scoring.trial import Trial, run_trial

BUDGET_S = 30.0
# Of the budget: what each thing may take; the rest is for the last word against `auto`.
SHARES = {"predictor": 0.15, "repeats": 0.1, "batch rows": 0.3, "workers and threads": 0.25}
TRIAL_SHARE = 1 / 40
LEAST_ROUNDS, MOST_ROUNDS = 3, 9
FINAL_ROUNDS = 5
LEAST_GAIN = 1.03  # below that, nobody would see it
SAME_SCORES = 1e-5


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate's trials beside those of what it had to beat, taken in the same rounds.

    `ratio` is the median of the rounds' times of the other over its own, `noise` half the distance of its quartiles.
    """

    what: str
    candidate: Candidate
    rows_per_s: float
    expected_s: float
    ratio: float
    noise: float
    rounds: int

    @property
    def wins(self) -> bool:
        """Whether it is faster, by more than what the rounds differ by among themselves."""
        return self.rounds >= LEAST_ROUNDS and self.ratio > max(LEAST_GAIN, 1 + self.noise)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was measured, stage by stage, and what was chosen: None where nothing beats `auto`; then nothing is written.

    `final` is the chosen one against `auto`. `notes` say what was not tried, and why.
    """

    rows: int
    auto: dict[str, str | int]
    measured: tuple[Measured, ...]
    final: Measured | None
    chosen: Candidate | None
    written: Path | None
    notes: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class _Search:
    """What is known so far."""

    ground: Ground
    budget_s: float
    began_s: float
    trial_rows: int
    tell: Callable[[str], None]
    winners: list[Candidate] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def best(self) -> Candidate:
        """What the next ones have to beat."""
        return self.winners[-1] if self.winners else Candidate()

    @property
    def spent(self) -> float:
        """The share of the budget that is gone."""
        return (time.monotonic() - self.began_s) / self.budget_s


def tune(
    request: ScoreRequest,
    *,
    budget_s: float = BUDGET_S,
    try_batch_rows: Sequence[int] = (),
    write: str | Path | None = None,
    observer: Observer = SILENT,
    tell: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Measure, and write what won to the file `write`. Whatever `request` says of what is tuned counts as `auto`,
    but for `deduplicate`, which is kept where it is not `auto`.

    Raises InputMissing (66) where there is no row, UsageError (2) where the model fixes its batch and others are asked
    for, and what a run over the first rows would.
    """
    began_s = time.monotonic()
    if write is not None:
        settings_in(Path(write))  # a file that cannot be changed is refused before anything is measured
    request = replace(request, output=STREAM)  # what trials write lies in folders of their own
    request = replace(request, predictor="auto", batch_rows=None, workers=None, threads_per_worker=None)
    model = resolve(request.model, registry=request.registry, trust_policy=request.trust_policy)
    with standard_input(request.inputs) as inputs:
        plan, predictor = make_plan(request, model, inputs=inputs, observer=observer)
        if not plan.rows:
            raise InputMissing("there is no row to measure with", ", ".join(map(shown, request.inputs)), "see --input")
        ground = Ground(request, model, plan, {plan.predictor: predictor})
        _refuse_batches(ground, try_batch_rows)
        search = _Search(ground, budget_s, began_s, _trial_rows(ground, budget_s), tell)
        _try_all(search, try_batch_rows)
        final = _last_word(search)
    chosen = final.candidate if final is not None and final.wins else None
    written = _written(chosen, write, request, observer)
    measured, notes = tuple(search.measured), tuple(search.notes)
    return Tuned(plan.rows, _auto(ground), measured, final, chosen, written, notes, time.monotonic() - began_s)


def _try_all(search: _Search, try_batch_rows: Sequence[int]) -> None:
    search.ground, why_not = with_other_predictor(search.ground)
    if why_not:
        search.notes.append(f"predictor: only {search.ground.plan.predictor} can be tried: {why_not}")
    _contest(search, "predictor", predictors_to_try(search.ground, search.best))
    _contest(search, "repeats", _repeats(search))
    _contest(search, "batch rows", _batches(search, try_batch_rows))
    _contest(search, "workers and threads", layouts_to_try(search.ground, search.best))


def _contest(search: _Search, what: str, others: Sequence[Candidate]) -> None:
    """All against the best so far, in turns; the slower half leaves after each round from the second on."""
    until = search.spent + SHARES[what]
    left, taken = list(others), {search.best: list[Trial](), **{one: list[Trial]() for one in others}}
    rounds = 0
    while left and rounds < MOST_ROUNDS and search.spent < (1 if rounds < LEAST_ROUNDS else until):
        for candidate in _in_turn([search.best, *left], rounds):
            taken[candidate].append(run_trial(search.ground, candidate, rows=search.trial_rows))
        rounds += 1
        if rounds > 1:
            left = sorted(left, key=lambda one: _expected_s(search, taken[one]))[: max((len(left) + 1) // 2, 1)]
    if others and rounds < LEAST_ROUNDS:
        search.notes.append(f"{what}: not enough was measured, the budget of {search.budget_s:g} s was spent")
    found = [_measured(search, what, one, taken[one], beside=taken[search.best]) for one in others if taken[one]]
    search.measured += found
    for one in found:
        search.tell(f"{what}: {one.candidate} {one.rows_per_s:,.0f} rows/s, {one.ratio:.2f} times as fast")
    winners = [one for one in found if one.wins]
    if winners:
        search.winners.append(max(winners, key=lambda one: one.ratio).candidate)


def _last_word(search: _Search) -> Measured | None:
    """The best against `auto`, once more and longer; where it loses, the one before it. None where nothing had won."""
    found = None
    for candidate in reversed(search.winners):
        found = _against_auto(search, candidate)
        if found.wins or search.spent >= 1:
            break
    return found


def _against_auto(search: _Search, candidate: Candidate) -> Measured:
    mine, auto = list[Trial](), list[Trial]()
    while len(mine) < FINAL_ROUNDS or (search.spent < 1 and len(mine) < 2 * MOST_ROUNDS):
        for one in _in_turn([candidate, Candidate()], len(mine)):
            (mine if one == candidate else auto).append(run_trial(search.ground, one, rows=search.trial_rows))
    return _measured(search, "against auto", candidate, mine, beside=auto)


def _in_turn(candidates: list[Candidate], rounds: int) -> list[Candidate]:
    """Forwards, then backwards: what grows warm or is disturbed in between is so for each in the same way."""
    return candidates[::-1] if rounds % 2 else candidates


def _measured(
    search: _Search, what: str, candidate: Candidate, trials: Sequence[Trial], *, beside: Sequence[Trial]
) -> Measured:
    rows = search.ground.plan.rows
    ratios = [other.expected_s(rows) / mine.expected_s(rows) for other, mine in zip(beside, trials, strict=False)]
    low, middle, high = (float(one) for one in np.quantile(ratios, (0.25, 0.5, 0.75)))
    return Measured(
        what=what,
        candidate=candidate,
        rows_per_s=statistics.median(trial.rows / trial.seconds for trial in trials),
        expected_s=_expected_s(search, trials),
        ratio=middle,
        noise=(high - low) / 2,
        rounds=len(ratios),
    )


def _expected_s(search: _Search, trials: Sequence[Trial]) -> float:
    return statistics.median(trial.expected_s(search.ground.plan.rows) for trial in trials)


def _trial_rows(ground: Ground, budget_s: float) -> int:
    """As many rows as `auto` scores in a small share of the budget, found by ever larger trials.

    A small one says too little of a large one: to open a file and to publish a part take as long for either.
    """
    rows, wanted_s = ground.plan.unit_rows, budget_s * TRIAL_SHARE
    while True:
        trial = run_trial(ground, Candidate(), rows=rows)
        if trial.seconds > wanted_s / 2 or trial.rows < rows:
            return rows
        rows = int(rows * min(max(wanted_s / trial.seconds, 2), 8))


def _refuse_batches(ground: Ground, wanted: Sequence[int]) -> None:
    fixed = ground.model.facts.fixed_batch
    if wanted and fixed:
        raise UsageError(f"the model takes {fixed} rows at a time", "--try-batch-rows", "leave it out")


def _repeats(search: _Search) -> list[Candidate]:
    """Nothing to try, and no time spent, where few rows have their like."""
    found, why_not = repeats_to_try(search.ground, search.best)
    if why_not:
        search.notes.append(f"repeats: {why_not}")
    return found


def _batches(search: _Search, wanted: Sequence[int]) -> list[Candidate]:
    """Batches to try; those under which the scores are others only where they were asked for."""
    ground = search.ground
    if ground.model.facts.fixed_batch:
        search.notes.append(f"batch rows: the model takes {ground.model.facts.fixed_batch} rows at a time")
    fine = []
    for candidate in batches_to_try(ground, search.best, wanted):
        moved = _moved(ground, candidate)
        if moved > SAME_SCORES:
            told = f"batch rows {candidate.batch_rows}: scores move by up to {moved:.2g} with the batch"
            search.notes.append(told if wanted else f"{told}, so it was not tried; --try-batch-rows does")
        if wanted or moved <= SAME_SCORES:
            fine.append(candidate)
    return fine


def _moved(ground: Ground, candidate: Candidate) -> float:
    """The largest difference of a score of the first rows from what `auto` gives them; infinite for labels."""
    plan = ground.plan_of(candidate)
    task = next(task for task in plan.tasks if task.rows)
    chunk = first_rows(plan, task, rows=2 * max(plan.batch_rows, ground.plan.batch_rows))
    auto, mine = (
        features.output_table(
            plan.contract,
            score_batches(
                chunk,
                contract=plan.contract,
                predictor=ground.predictors[plan.predictor],
                batch_rows=rows,
                clock=Clock(),
            ).outputs,
        )
        for rows in (ground.plan.batch_rows, plan.batch_rows)
    )
    return max(float(distances(auto[name], mine[name]).max(initial=0.0)) for name in auto.column_names)


def _auto(ground: Ground) -> dict[str, str | int]:
    """What `auto` stands for here."""
    layout, plan = ground.layout_of(Candidate()), ground.plan
    workers = {"threads in this process" if layout.in_process else "workers": layout.lanes}
    return {
        "predictor": plan.predictor,
        "batch-rows": plan.batch_rows,
        **workers,
        "threads-per-worker": layout.threads_per_worker,
        "deduplicate": "on" if plan.deduplicate_rows else "off",
    }


def _written(
    chosen: Candidate | None, write: str | Path | None, request: ScoreRequest, observer: Observer
) -> Path | None:
    if write is None:
        return None
    path = Path(write)
    if chosen is not None:
        write_settings(path, chosen.settings)
        return path
    varied = Candidate("", 0, 0, 0, "" if request.deduplicate == "auto" else None)
    stale = settings_in(path).keys() & varied.settings.keys()
    if stale:
        observer.warn(f"{shown(str(path))} still sets {', '.join(sorted(stale))}; nothing was found faster than auto")
    return None
