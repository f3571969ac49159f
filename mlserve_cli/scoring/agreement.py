"""How a challenger's predictions stand beside the champion's: sums that add up over chunks and tasks.

Sums are over all rows; ranks need rows side by side, so they are over pairs that are evenly spread through the run.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Contract, threshold_output
from mlserve_cli.contract import compute as pc
from mlserve_cli.manifest import PairedColumn, RivalRecord, ScoreDifference

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Spearman's coefficient is then exact to about 1/sqrt(20,000) = 0.007; the pairs take 0.4 MB of all records.
SAMPLED_PAIRS = 20_000
ADDED_ROWS = 8_192  # that are added up at once, so that they stay in the cache
DECIMALS = 9


class Pairing(msgspec.Struct, frozen=True):
    """Which column stands beside which: (champion's, challenger's) of floats, and of predicted labels, if any."""

    scores: tuple[tuple[str, str], ...]
    labels: tuple[str, str] | None


class Compared(msgspec.Struct, frozen=True):
    """All that a comparison comes to, as the manifest has it."""

    agreement: float | None
    flips: int | None
    differences: dict[str, ScoreDifference]
    rank_correlation: dict[str, float]


def pair_columns(champion: Contract, challenger: Contract) -> Pairing:
    """Scores by their names; where none has its like, the one score of each, or the probability of its second class."""
    ours, theirs = features.output_schema(champion), features.output_schema(challenger)
    scores = tuple((name, name) for name in _floats_of(ours) if name in _floats_of(theirs))
    own = threshold_output(champion.outputs), threshold_output(challenger.outputs)
    if not scores and own[0] is not None and own[1] is not None:
        scores = ((own[0].columns[-1], own[1].columns[-1]),)
    labels = _label_of(champion), _label_of(challenger)
    comparable = all(labels) and ours.field(labels[0]).type == theirs.field(labels[1]).type
    widths = tuple(
        pair
        for pair in scores
        if features.list_width(ours.field(pair[0]).type) == features.list_width(theirs.field(pair[1]).type)
    )
    return Pairing(widths, labels if comparable and labels[0] and labels[1] else None)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Sums:
    """One column's, as they add up."""

    values: int = 0
    total: float = 0.0
    absolute: float = 0.0
    largest: float = 0.0
    pairs: list[Floats] = field(default_factory=list)

    def add(self, ours: NDArray[Any], theirs: NDArray[Any], *, sampled: Mask | None) -> None:
        for start in range(0, len(ours), ADDED_ROWS):
            self._add(ours[start : start + ADDED_ROWS], theirs[start : start + ADDED_ROWS])
        if sampled is not None and sampled.any():
            pairs = np.stack([ours[sampled], theirs[sampled]], axis=1).astype(np.float64)
            self.pairs.append(pairs[np.isfinite(pairs).all(axis=1)])

    def _add(self, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        with np.errstate(invalid="ignore"):  # infinities, which are left out below
            apart = np.subtract(theirs, ours, dtype=np.float64)
            total = float(apart.sum())
        if not math.isfinite(total):
            apart = apart[np.isfinite(apart)]
            total = float(apart.sum())
        self.values += len(apart)
        self.total += total
        np.abs(apart, out=apart)
        self.absolute += float(apart.sum())
        self.largest = max(self.largest, float(apart.max(initial=0.0)))

    @property
    def result(self) -> PairedColumn:
        sample = np.concatenate(self.pairs) if self.pairs else np.empty((0, 2))
        text = base64.b64encode(sample.astype("<f8").tobytes()).decode("ascii")
        return PairedColumn(self.values, self.total, self.absolute, self.largest, text)


@dataclass(slots=True)
class Comparison:
    """One challenger beside the champion in one task."""

    pairing: Pairing
    rows: int = 0
    labelled: int = 0
    agreed: int = 0
    sums: dict[str, _Sums] = field(default_factory=dict)

    def add(self, champion: pa.Table, challenger: pa.Table, *, sampled: Mask) -> None:
        """Rows of both, side by side; `sampled` (bool, [rows]) are those whose scores are kept as pairs."""
        self.rows += champion.num_rows
        for ours, theirs in self.pairing.scores:
            left, right = _flat(champion[ours]), _flat(challenger[theirs])
            one_each = len(left) == champion.num_rows
            sums = self.sums.setdefault(ours, _Sums())
            sums.add(left, right, sampled=sampled if one_each else None)
        if self.pairing.labels is not None:
            ours, theirs = self.pairing.labels
            self.labelled += champion.num_rows
            self.agreed += _equal(features.one_array(champion[ours]), features.one_array(challenger[theirs]))

    @property
    def columns(self) -> dict[str, PairedColumn]:
        """The sums as the record keeps them."""
        return {name: sums.result for name, sums in self.sums.items()}


def compared(records: Sequence[RivalRecord]) -> Compared:
    """The tasks' comparisons as one."""
    labelled, agreed = sum(one.labelled for one in records), sum(one.agreed for one in records)
    names = dict.fromkeys(name for one in records for name in one.columns)
    columns = {name: [one.columns[name] for one in records if name in one.columns] for name in names}
    correlations = {name: rank_correlation(*_pairs(several).T) for name, several in columns.items()}
    return Compared(
        agreement=round(agreed / labelled, DECIMALS) if labelled else None,
        flips=labelled - agreed if labelled else None,
        differences={name: _difference(several) for name, several in columns.items() if _values(several)},
        rank_correlation={name: round(value, DECIMALS) for name, value in correlations.items() if value is not None},
    )


def rank_correlation(first: Floats, second: Floats) -> float | None:
    """Spearman's coefficient of values side by side ([n] each), equal ones sharing the mean of their ranks; None where
    one of the two does not vary."""
    ranks = np.stack([_ranks(first), _ranks(second)])
    ranks -= ranks.mean(axis=1, keepdims=True) if ranks.size else 0.0
    spread = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum()) / spread if spread else None


def _floats_of(schema: pa.Schema) -> list[str]:
    return [one.name for one in schema if pa.types.is_floating(_item(one.type))]


def _item(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_fixed_size_list(kind) else kind


def _label_of(contract: Contract) -> str | None:
    """The column that says what a row is: a threshold's, or the model's own where it has one."""
    if contract.threshold is not None:
        return contract.prediction
    labels = [name for output in contract.outputs if output.role == "label" for name in output.columns]
    return labels[0] if labels else None


def _flat(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column without nulls, the values of a list side by side."""
    array = features.one_array(column)
    return features.values_of(array.flatten() if pa.types.is_fixed_size_list(array.type) else array)


def _equal(ours: pa.Array, theirs: pa.Array) -> int:
    """How many labels are the same. Whole numbers need no functions of Arrow's, which take 40 ms to load."""
    if pa.types.is_integer(ours.type) and pa.types.is_integer(theirs.type):
        return int(np.count_nonzero(features.values_of(ours) == features.values_of(theirs)))
    return int(pc.sum(pc.equal(ours, theirs), min_count=0).as_py())


def _values(several: Iterable[PairedColumn]) -> int:
    return sum(one.values for one in several)


def _difference(several: Sequence[PairedColumn]) -> ScoreDifference:
    count = _values(several)
    mean, absolute = (sum(getattr(one, name) for one in several) / count for name in ("total", "absolute"))
    return ScoreDifference(mean, absolute, max(one.largest for one in several))


def _pairs(several: Iterable[PairedColumn]) -> Floats:
    found = [np.frombuffer(base64.b64decode(one.sample), "<f8").reshape(-1, 2) for one in several]
    return np.concatenate([np.empty((0, 2)), *found])


def _ranks(values: Floats) -> Floats:
    """From 0 on; equal values have the mean of their places."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else np.zeros(0, int)
    counts = np.diff(np.append(begins, len(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(begins + (counts - 1) / 2, counts)
    return ranks
