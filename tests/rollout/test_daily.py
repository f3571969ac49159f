"""Simulations: whoever looks daily and stops when it is clear is wrong as seldom as stated, and intervals cover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.rollout.estimates import Estimate, between_groups, mean
from mlserve_cli.rollout.intervals import Sureness, known
from mlserve_cli.rollout.quality import Period, on_rows_of_their_own, on_the_same_rows
from mlserve_cli.rollout.values import Labelled
from tests.monitoring.outcomes import MAKERS

DAYS, ROWS_A_DAY = 30, 100
REPEATS = {"strangers": 300, "the_same_people": 300, "two_models_on_the_same_rows": 60}
SAMPLES = 120
SURE = Sureness(expected_rows=2_000)
Look = tuple[Estimate, NDArray[np.int64] | None]


@dataclass(frozen=True, slots=True)
class Rates:
    """How often some day's interval did not hold the truth: the anytime one, and the one that is for one look."""

    anytime: float
    one_look: float


def strangers(draw: np.random.Generator, *, effect: float = 0.0) -> Iterator[Look]:
    """New people every day, a tenth of whom buy."""
    in_b = draw.random(DAYS * ROWS_A_DAY) < 0.5
    bought = (draw.random(len(in_b)) < 0.1 + effect * in_b).astype(float)
    for day in range(1, DAYS + 1):
        seen = slice(0, day * ROWS_A_DAY)
        yield _apart(bought[seen], in_b[seen]), None


def the_same_people(draw: np.random.Generator, *, effect: float = 0.0) -> Iterator[Look]:
    """The same people every day, who are very unlike each other and stay in their arm."""
    people = np.tile(np.arange(ROWS_A_DAY), DAYS)
    in_b = (draw.random(ROWS_A_DAY) < 0.5)[people]
    spent = draw.normal(size=ROWS_A_DAY)[people] + draw.normal(size=len(people)) + effect * in_b
    for day in range(1, DAYS + 1):
        seen = slice(0, day * ROWS_A_DAY)
        yield _apart(spent[seen], in_b[seen]), people[seen]


def two_models_on_the_same_rows(draw: np.random.Generator, *, effect: float = 0.0) -> Iterator[Look]:
    """The area under the curve of two models that are equally good, each with errors of its own."""
    rows = DAYS * ROWS_A_DAY
    signal = draw.normal(size=rows)
    truth = draw.random(rows) < 1 / (1 + np.exp(-signal))
    scores = [signal + draw.normal(size=rows), (1.0 + effect) * signal + draw.normal(size=rows)]
    for day in range(3, DAYS + 1, 3):
        seen = slice(0, day * ROWS_A_DAY)
        a, b = (_auc(one[seen], truth[seen]) for one in scores)
        yield b.minus(a), None


def rates(looks: Callable[[np.random.Generator], Iterator[Look]], *, seed: int) -> Rates:
    """Over many repetitions in which there is no difference."""
    draw = np.random.default_rng(seed)
    anytime = one_look = 0
    repeats = REPEATS[looks.__name__]
    for _ in range(repeats):
        found = [known(estimate, sure=SURE, groups=groups) for estimate, groups in looks(draw)]
        anytime += any(one.anytime is not None and not one.anytime[0] <= 0.0 <= one.anytime[1] for one in found)
        one_look += any(not one.low <= 0.0 <= one.high for one in found[2:])
    return Rates(anytime / repeats, one_look / repeats)


@pytest.mark.slow
@pytest.mark.parametrize("looks", [strangers, the_same_people, two_models_on_the_same_rows])
def test_a_daily_look_is_wrong_no_more_often_than_stated(
    looks: Callable[[np.random.Generator], Iterator[Look]],
) -> None:
    found = rates(looks, seed=7)
    print(f"{looks.__name__}: anytime {found.anytime:.3f}, one look {found.one_look:.3f}")
    assert found.anytime <= 0.05
    assert found.one_look > 0.07  # which is why there is the other one


@pytest.mark.slow
@pytest.mark.parametrize(
    ("looks", "effect"), [(strangers, 0.06), (the_same_people, 1.5), (two_models_on_the_same_rows, 1.5)]
)
def test_a_real_difference_is_found_in_time(looks: Callable[..., Iterator[Look]], effect: float) -> None:
    draw = np.random.default_rng(8)
    found = 0
    for _ in range(20):
        ends = [known(estimate, sure=SURE, groups=groups).anytime for estimate, groups in looks(draw, effect=effect)]
        found += any(one is not None and one[0] > 0.0 for one in ends)
    assert found / 20 > 0.8


# A canary that grows while more and more people buy, in both arms alike


def grown(draw: np.random.Generator) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Of three weeks what came and who was in B: 5 %, 25 %, 60 %."""
    weeks = []
    for share, rate in ((0.05, 0.1), (0.25, 0.2), (0.6, 0.4)):
        in_b = draw.random(1_000) < share
        weeks.append(((draw.random(1_000) < rate).astype(float), in_b))
    return weeks


@pytest.mark.slow
def test_a_growing_share_is_not_taken_for_an_effect() -> None:
    draw = np.random.default_rng(9)
    held = pooled = 0
    for _ in range(80):
        weeks = grown(draw)
        found = on_rows_of_their_own([_period(*week) for week in weeks], label="bought", sure=SURE)
        assert found is not None
        assert found.outcome is not None
        held += _holds(found.outcome.low, found.outcome.high, 0.0)
        together = _period(np.concatenate([one for one, _ in weeks]), np.concatenate([one for _, one in weeks]))
        naive = on_rows_of_their_own([together], label="bought", sure=SURE)
        assert naive is not None
        assert naive.outcome is not None
        pooled += _holds(naive.outcome.low, naive.outcome.high, 0.0)
    assert held >= stats.binom.ppf(0.001, 80, 0.95)
    assert pooled < 10  # all weeks as one would have shown an effect that there is not


# How often an interval holds the true gain

PAIRED = {
    "binary": ("auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1"),
    "multiclass": ("macro_auc", "log_loss", "brier", "accuracy"),
    "regression": ("mae", "rmse", "r2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRED)
@pytest.mark.parametrize("same_rows", [True, False])
def test_the_interval_of_a_gain_holds_the_true_one_as_often_as_stated(kind: str, same_rows: bool) -> None:
    whole = MAKERS[kind](60_000, 10)
    noisy = _noisier(whole, seed=11)
    true = _gains(on_the_same_rows(whole, noisy, label="y", groups=None, sure=SURE))
    draw = np.random.default_rng(12)
    held = dict.fromkeys(PAIRED[kind], 0)
    for _ in range(SAMPLES):
        rows = draw.choice(60_000, 1_000, replace=False)
        found = _compared(whole, noisy, rows, same_rows=same_rows)
        for metric in held:
            held[metric] += _holds(*found[metric][1:], true[metric][0])
    print(kind, "same rows" if same_rows else "rows of their own", {metric: n / SAMPLES for metric, n in held.items()})
    lowest = stats.binom.ppf(0.0005, SAMPLES, 0.95)
    assert all(lowest <= hits < SAMPLES for hits in held.values()), held


def _compared(
    a: Outcomes, b: Outcomes, rows: NDArray[np.int64], *, same_rows: bool
) -> dict[str, tuple[float, float, float]]:
    if same_rows:
        return _gains(on_the_same_rows(a.where(rows), b.where(rows), label="y", groups=None, sure=SURE))
    half = len(rows) // 2
    period = Period(a.where(rows[:half]), b.where(rows[half:]), np.arange(len(rows)))
    return _gains(on_rows_of_their_own([period], label="y", sure=SURE))


def _gains(found: Labelled | None) -> dict[str, tuple[float, float, float]]:
    assert found is not None
    return {
        one.metric: (one.gain.value, one.gain.low, one.gain.high)
        for one in found.metrics
        if one.gain.low is not None and one.gain.high is not None
    }


def _noisier(outcomes: Outcomes, *, seed: int) -> Outcomes:
    """A worse model for the same rows."""
    draw = np.random.default_rng(seed)
    scores = outcomes.scores
    assert scores is not None
    if outcomes.kind == "regression":
        return Outcomes("regression", outcomes.truth, scores + draw.normal(0, 1, len(scores)), None)
    if outcomes.kind == "binary":
        logits = np.log(scores / (1 - scores)) + draw.normal(0, 1, len(scores))
        worse = 1 / (1 + np.exp(-logits))
        return Outcomes("binary", outcomes.truth, worse, (worse >= 0.4).astype(np.int64), outcomes.classes)
    logits = np.log(scores) + draw.normal(0, 0.7, scores.shape)
    worse = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Outcomes("multiclass", outcomes.truth, worse, worse.argmax(axis=1).astype(np.int64), outcomes.classes)


def _apart(values: NDArray[np.float64], in_b: NDArray[np.bool_]) -> Estimate:
    return between_groups(mean(values[~in_b]), mean(values[in_b]), is_second=in_b)


def _auc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> Estimate:
    from mlserve_cli.monitoring import influence

    ranks = stats.rankdata(scores)
    above = int(truth.sum())
    value = (ranks[truth].sum() - above * (above + 1) / 2) / above / (len(truth) - above)
    return Estimate(float(value), influence.auc(Outcomes("binary", truth.astype(float), scores, None)))


def _period(values: NDArray[np.float64], in_b: NDArray[np.bool_]) -> Period:
    order = np.argsort(in_b, kind="stable")
    sides = [Outcomes("regression", values[in_b == one], values[in_b == one] * 0.5, None) for one in (False, True)]
    return Period(sides[0], sides[1], order.astype(np.int64))


def _holds(low: float | None, high: float | None, true: float) -> bool:
    return low is not None and high is not None and low <= true <= high
