"""The gate: a version made from another counts only where its scores are near enough to its parent's.

`compare` says how far two sets of scores of the same rows are apart, a `Gate` holds that against its limits, and
`demand` ends the command where one of its gates said no: then nothing is registered and no package appears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Output, threshold_output
from mlserve_cli.errors import GateFailed, MlserveError
from mlserve_cli.registry import GateResult

Scores = Mapping[str, NDArray[Any]]
LEAST = "least_"  # before the name of a figure that must not be below its limit
# What a person reads for a figure; each is a key of [[gates]] in package.toml.
NAMES = {
    "max_difference": "largest difference",
    "mean_difference": "mean difference",
    "label_flips": "label flips",
    "flip_share": "share of label flips",
    "speed_ratio": "speed ratio",
    "size_ratio": "size ratio",
    "rows_per_s": "rows/s",
    "parent_rows_per_s": "parent's rows/s",
    "batch_difference": "difference by batch",
    "quality_loss": "quality lost",
}


@dataclass(frozen=True, slots=True)
class Differences:
    """How far a child's scores are from its parent's, over `rows` rows.

    A row's difference is the largest absolute one of its float outputs, infinite where only one of the two is a number.
    `label_flips` counts the rows that are decided otherwise; None where the contract decides nothing.
    """

    rows: int
    max_difference: float
    mean_difference: float
    label_flips: int | None
    worst_row: int

    @property
    def flip_share(self) -> float | None:
        """Label flips as a share of the rows."""
        return None if self.label_flips is None else self.label_flips / max(self.rows, 1)

    @property
    def figures(self) -> dict[str, float]:
        """By the names of a gate's figures."""
        known = {"max_difference": self.max_difference, "mean_difference": self.mean_difference}
        if self.label_flips is None or self.flip_share is None:
            return known
        return known | {"label_flips": float(self.label_flips), "flip_share": self.flip_share}


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits by the name of a figure: what it may be at `most`, and what it must be at `least`."""

    name: str
    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def on_differences(
        cls,
        name: str,
        *,
        max_difference: float | None = None,
        mean_difference: float | None = None,
        max_flips: float | None = None,
    ) -> Gate:
        """The usual limits; `max_flips` is a share of the rows."""
        limits = {"max_difference": max_difference, "mean_difference": mean_difference, "flip_share": max_flips}
        return cls(name, most={figure: limit for figure, limit in limits.items() if limit is not None})

    def judge(self, figures: Mapping[str, float], *, rows: int) -> GateResult:
        """Whether every figure that there is keeps its limit (NaN keeps none); nothing is raised here."""
        most = {name: limit for name, limit in self.most.items() if name in figures}
        least = {name: limit for name, limit in self.least.items() if name in figures}
        passed = all(figures[name] <= limit for name, limit in most.items()) and all(
            figures[name] >= limit for name, limit in least.items()
        )
        limits = most | {f"{LEAST}{name}": limit for name, limit in least.items()}
        return GateResult(name=self.name, passed=passed, rows=rows, figures=dict(figures), limits=limits)


def compare(parent: Scores, child: Scores, *, contract: Contract) -> Differences:
    """The differences between two models' outputs (by tensor name, rows on axis 0) for the same rows."""
    rows = len(next(iter(parent.values())))
    apart = np.zeros(rows)
    for output in contract.outputs:
        name = output.tensor.name
        if parent[name].dtype.kind == "f":
            np.maximum(apart, _apart(parent[name], child[name]), out=apart)
    decided, anew = decisions(parent, contract), decisions(child, contract)
    flipped = np.zeros(rows, np.bool_)
    for before, after in zip(decided, anew, strict=True):
        flipped |= before != after
    return Differences(
        rows=rows,
        max_difference=float(apart.max(initial=0.0)),
        mean_difference=float(apart.mean()) if rows else 0.0,
        label_flips=int(flipped.sum()) if decided else None,
        worst_row=int(np.argmax(apart)) if rows else 0,
    )


def decisions(scores: Scores, contract: Contract) -> list[NDArray[Any]]:
    """What the contract decides for each row, one array of shape [rows] for each kind of decision.

    The side of the threshold, where there is one; else every label and every other output that is no float; else the
    likeliest class of outputs with a probability for each. A single probability without a threshold decides nothing.
    """
    against = threshold_output(contract.outputs) if contract.threshold is not None else None
    if against is not None and contract.threshold is not None:
        last = _flat(scores[against.tensor.name])[:, -1]
        return [last >= last.dtype.type(contract.threshold)]
    exact = [output for output in contract.outputs if scores[output.tensor.name].dtype.kind != "f"]
    if exact:
        return [column for output in exact for column in _flat(scores[output.tensor.name]).T]
    likely = [output for output in contract.outputs if _is_choice(output)]
    return [np.argmax(_flat(scores[output.tensor.name]), axis=1) for output in likely]


def demand(results: Sequence[GateResult], *, where: str) -> None:
    """GateFailed (4), with every figure of every gate, where one of them said no."""
    failed = [result for result in results if not result.passed]
    if failed:
        raise GateFailed(
            "; ".join(f"the {result.name} gate said no: {', '.join(broken(result))}" for result in failed),
            "; ".join([where, *(described(result) for result in results)]),
            "nothing was made; a gate's limits are options",
        )


def broken(result: GateResult) -> list[str]:
    """The limits that do not hold, in words."""
    words = []
    for key, limit in result.limits.items():
        figure, least = key.removeprefix(LEAST), key.startswith(LEAST)
        value = result.figures[figure]
        if not (value >= limit if least else value <= limit):
            bound = "at least" if least else "at most"
            words.append(f"{named(figure)} is {number(value)}, {bound} {number(limit)} is allowed")
    return words


def described(result: GateResult) -> str:
    """All figures of a gate on one line."""
    figures = ", ".join(f"{named(name)} {number(value)}" for name, value in result.figures.items())
    return f"{result.name} over {result.rows:,} rows: {figures}"


def number(value: float) -> str:
    """A figure as a person reads it."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def named(figure: str) -> str:
    """A figure's name for people."""
    return NAMES.get(figure, figure.replace("_", " "))


def _apart(parent: NDArray[Any], child: NDArray[Any]) -> NDArray[np.float64]:
    """The largest difference of each row, shape [rows]: NaN is like NaN, and an infinity like itself, alone."""
    one, other = _flat(parent).astype(np.float64), _flat(child).astype(np.float64)
    if one.shape != other.shape:
        raise MlserveError(f"scores of shape {list(one.shape)} and {list(other.shape)} cannot be compared")
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other)
    apart[np.isnan(apart)] = np.inf
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    found: NDArray[np.float64] = apart.max(axis=1, initial=0.0)
    return found


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)


def _is_choice(output: Output) -> bool:
    return output.role == "probability" and max(len(output.columns), output.tensor.width or 1) > 1
