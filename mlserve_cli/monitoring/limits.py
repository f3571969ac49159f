"""What a metric must not fall under or rise over, held against what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from mlserve_cli.errors import UsageError, nearest, shown
from mlserve_cli.monitoring.evaluation import Figure, Limit, RunEvaluation

Judge = Literal["value", "interval"]


def check_limits(
    judged: RunEvaluation, *, fail_under: Mapping[str, float], fail_over: Mapping[str, float], judge: Judge
) -> tuple[Limit, ...]:
    """Each limit with what was found. `judge` "interval": it fails only where the whole interval is on the wrong side.

    A metric that could not be computed fails. UsageError (2) for a name that is no metric of this evaluation.
    """
    figures = dict(figures_of(judged))
    for option, names in (("--fail-under", fail_under), ("--fail-over", fail_over)):
        for name in names:
            if name not in figures:
                hint = nearest(name, tuple(figures)) or f"there are {', '.join(figures)}"
                raise UsageError(f"{shown(name)} is no metric of this evaluation", option, hint)
    least = [_at_least(name, limit, figures[name], judge) for name, limit in fail_under.items()]
    return (*least, *(_at_most(name, limit, figures[name], judge) for name, limit in fail_over.items()))


def figures_of(judged: RunEvaluation) -> Iterator[tuple[str, Figure]]:
    """Every figure that a limit may name: the metrics, the share of rows with a label, the calibration's."""
    yield from judged.figures.items()
    yield "coverage", Figure(judged.labelled / judged.join.rows if judged.join.rows else None, reason="")
    if judged.calibration is not None:
        yield "ece", Figure(judged.calibration.ece)
        yield "calibration_slope", judged.calibration.slope


def _at_least(name: str, limit: float, found: Figure, judge: Judge) -> Limit:
    best = found.high if judge == "interval" and found.high is not None else found.value
    return Limit(name, "at least", limit, found, best is not None and best >= limit)


def _at_most(name: str, limit: float, found: Figure, judge: Judge) -> Limit:
    best = found.low if judge == "interval" and found.low is not None else found.value
    return Limit(name, "at most", limit, found, best is not None and best <= limit)
