"""Nodes taken out of the quantisation one after another, the most harmful first, until the gates hold.

How harmful each is, is measured: it is quantised alone and scored. Bounded in time; what was not measured by then is
taken out last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from mlserve_cli.errors import InvalidModel
from mlserve_cli.optimize.methods import Prepared, Settings, quantised
from mlserve_cli.optimize.rows import Rows
from mlserve_cli.optimize.trial import Bench
from mlserve_cli.registry import GateResult
from mlserve_cli.session import Predictor

RANKING_SHARE = 0.5  # of the time that the search has
UNUSABLE = float("inf")


@dataclass(frozen=True, slots=True)
class Excluded:
    """A node that stays as it was: quantised alone, it moved the scores by `mean_difference`; None if not measured."""

    node: str
    operator: str
    mean_difference: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate, what it left out, and what the gates said."""

    data: bytes
    predictor: Predictor
    excluded: tuple[Excluded, ...]
    gates: tuple[GateResult, ...]
    tried: int

    @property
    def passed(self) -> bool:
        """Whether every gate held."""
        return all(gate.passed for gate in self.gates)


def search(
    prepared: Prepared, settings: Settings, bench: Bench, *, calibration: Rows | None, seconds: float
) -> Attempt:
    """The first candidate that comes through, or the last that was tried; with `seconds` 0 the one with all nodes."""
    until = time.monotonic() + seconds
    attempt = _attempt(prepared, settings, bench, (), calibration=calibration, tried=1)
    if attempt.passed or len(prepared.nodes) < 2 or not seconds:
        return attempt
    ranking = _ranked(prepared, settings, bench, calibration, until=time.monotonic() + seconds * RANKING_SHARE)
    for number in range(1, len(ranking)):
        if time.monotonic() > until:
            break
        attempt = _attempt(prepared, settings, bench, ranking[:number], calibration=calibration, tried=number + 1)
        if attempt.passed:
            break
    return attempt


def _attempt(
    prepared: Prepared,
    settings: Settings,
    bench: Bench,
    excluded: tuple[Excluded, ...],
    *,
    calibration: Rows | None,
    tried: int,
) -> Attempt:
    names = [one.node for one in excluded]
    data = quantised(prepared, settings, excluded=names, rows=calibration, batch_rows=bench.parent.batch_rows)
    predictor = bench.parent.open_child(data)
    return Attempt(data, predictor, excluded, bench.judge(predictor), tried)


def _ranked(
    prepared: Prepared, settings: Settings, bench: Bench, calibration: Rows | None, *, until: float
) -> tuple[Excluded, ...]:
    """All nodes, the one that does most harm alone first."""
    harm: dict[str, float] = {}
    names = [name for name, _ in prepared.nodes]
    for name in names:
        if time.monotonic() > until:
            break
        others = [other for other in names if other != name]
        data = quantised(prepared, settings, excluded=others, rows=calibration, batch_rows=bench.parent.batch_rows)
        try:
            harm[name] = bench.differences(bench.parent.open_child(data)).mean_difference
        except InvalidModel:  # ONNX Runtime does not take this node so
            harm[name] = UNUSABLE
    order = sorted(prepared.nodes, key=lambda node: -harm.get(node[0], -1.0))
    return tuple(Excluded(name, operator, harm.get(name)) for name, operator in order)
