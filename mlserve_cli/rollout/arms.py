"""The arms of a split: each model had rows of its own, drawn by a key's hash, and then it came out what was true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.errors import DataError, InputMissing, MlserveError, shown
from mlserve_cli.manifest import FoundRun, SplitAccount
from mlserve_cli.monitoring.gate import evidence_of, spelled
from mlserve_cli.monitoring.labels import Labels
from mlserve_cli.monitoring.run_rows import matrix_of, read_rows, score_columns
from mlserve_cli.planning import PlannedSplit
from mlserve_cli.rollout.estimates import between_groups, mean
from mlserve_cli.rollout.intervals import Groups, Sureness, known, mismatch_p_value
from mlserve_cli.rollout.paired import labels_for
from mlserve_cli.rollout.pairs import units_of, written
from mlserve_cli.rollout.quality import (
    LEAST_ROWS,
    Asked,
    Period,
    labelled_side,
    no_label_fits,
    on_rows_of_their_own,
    places_of_labels,
    usable,
)
from mlserve_cli.rollout.request import CompareRequest
from mlserve_cli.rollout.shift import joined, measured
from mlserve_cli.rollout.sides import is_called, subject_of
from mlserve_cli.rollout.values import Arms, Comparison, Labelled, Measured

ODD = 1e-3  # a mismatch that is less likely than this is told: of a thousand sound splits one is suspected


@dataclass(frozen=True, slots=True)
class _Rows:
    """All runs' rows that take part: `arm` and `period` and `unit` have a number for each (int64, shape [rows]).

    `labels` are the places of their labels, -1 where there is none.
    """

    rows: pa.Table
    arm: NDArray[np.int64]
    period: NDArray[np.int64]
    unit: Groups
    labels: NDArray[np.int64]
    shares: tuple[tuple[float, ...], ...]
    contracts: tuple[Contract, ...]


def compare_arms(request: CompareRequest, runs: Sequence[FoundRun]) -> tuple[Comparison, ...]:
    """Each further arm against the first, or the one that is wanted alone, over the runs of the last one's split.

    Raises InputMissing (66) where no arm is called as wanted.
    """
    last = _split(runs[-1])
    chosen = [run for run in runs if _experiment(_split(run)) == _experiment(last)]
    labels = labels_for(request, chosen[-1])
    wanted = [number for number, arm in enumerate(last.arms) if number and is_called(arm.model, request.challenger)]
    if not wanted:
        known_arms = ", ".join(shown(spelled(arm.model)) for arm in last.arms[1:])
        raise InputMissing(
            f"the split has no arm {shown(request.challenger)}", "", f"beside the first it has {known_arms}"
        )
    found = _read(chosen, last, labels=labels, asked=request.asked)
    left_out = len(runs) - len(chosen)
    others = (f"{left_out:,} runs are of another split and left out",) if left_out else ()
    evidence = evidence_of(chosen, labels)
    return tuple(
        _comparison(request, found, number, split=last, labels=labels, runs=chosen, evidence=evidence, notes=others)
        for number in wanted
    )


def _comparison(
    request: CompareRequest,
    found: _Rows,
    number: int,
    *,
    split: SplitAccount,
    labels: Labels | None,
    runs: Sequence[FoundRun],
    evidence: dict[str, str],
    notes: tuple[str, ...],
) -> Comparison:
    arms = _arms(found, split, number, sure=request.sure)
    labelled = None if labels is None else _labelled(request, found, number, labels=labels)
    early = () if labels is None or labelled is not None else (f"no period has {LEAST_ROWS} labels of each arm yet",)
    return Comparison(
        kind="arms",
        a=subject_of(split.arms[0].model),
        b=subject_of(split.arms[number].model),
        runs=len(runs),
        rows=arms.a_rows + arms.b_rows,
        only_a=0,
        only_b=0,
        confidence=request.confidence,
        expected_rows=request.expected_rows,
        columns=(),
        decisions=None,
        moved=(),
        arms=arms,
        labelled=labelled,
        cost_ratio=None,
        evidence=evidence,
        notes=(*notes, *early, *_notes(arms, runs)),
    )


def _split(run: FoundRun) -> SplitAccount:
    split = run.manifest.split
    if split is None:
        raise MlserveError(f"{run.path} has no split")
    return split


def _experiment(split: SplitAccount) -> tuple[object, ...]:
    """What stays the same while the shares change."""
    return (split.salt, split.key, *(arm.model.digest for arm in split.arms))


def _read(runs: Sequence[FoundRun], split: SplitAccount, *, labels: Labels | None, asked: Asked) -> _Rows:
    """Every run's rows that have a key, with their labels."""
    shares = tuple(dict.fromkeys(_shares(run) for run in runs))
    pieces = [piece for run in runs for piece in _pieces(run, split, shares=shares, labels=labels, asked=asked)]
    whole = _Rows(
        rows=joined([piece.rows for piece in pieces]),
        arm=np.concatenate([piece.arm for piece in pieces]),
        period=np.concatenate([piece.period for piece in pieces]),
        unit=units_of([piece.rows.select([split.key]) for piece in pieces]),
        labels=np.concatenate([piece.labels for piece in pieces]),
        shares=shares,
        contracts=pieces[0].contracts,
    )
    if labels is not None and not (whole.labels >= 0).any():
        raise no_label_fits(read_rows(runs[0], labels.ids.column_names), labels)
    return whole


def _pieces(
    run: FoundRun,
    split: SplitAccount,
    *,
    shares: tuple[tuple[float, ...], ...],
    labels: Labels | None,
    asked: Asked,
) -> Iterator[_Rows]:
    plan = run.manifest.plan
    planned = plan.split
    if planned is None:
        return
    contracts = (plan.contract, *(rival.contract for rival in planned.rivals))
    on = () if labels is None else tuple(labels.ids.column_names)
    columns = tuple(dict.fromkeys((split.key, split.column, *on, *written(plan.contract))))
    table = read_rows(run, columns)
    takes_part = pc.is_valid(table[split.key])
    places = (
        np.full(table.num_rows, -1, np.int64)
        if labels is None
        else places_of_labels(table.select(on), labels, asked=asked)
    )
    kept = np.flatnonzero(np.asarray(takes_part.to_numpy(), np.bool_))
    rows = table.take(pa.array(kept))
    arm = _arm_of(rows[split.column], planned)
    period = np.full(len(kept), shares.index(_shares(run)), np.int64)
    yield _Rows(rows, arm, period, np.empty(0, np.int64), places[kept], shares, contracts)


def _shares(run: FoundRun) -> tuple[float, ...]:
    return tuple(arm.share for arm in _split(run).arms)


def _arm_of(column: pa.ChunkedArray, planned: PlannedSplit) -> NDArray[np.int64]:
    found = pc.index_in(column.cast(pa.string()), value_set=pa.array(planned.names, pa.string()))
    if found.null_count:
        raise DataError(f"column {shown(planned.column)} names a model that is no arm of the split")
    return np.asarray(found.to_numpy(), np.int64)


def _arms(found: _Rows, split: SplitAccount, number: int, *, sure: Sureness) -> Arms:
    """The two arms without any label: their rows, whether keys fell as they should, and their mean scores."""
    last = found.period == found.period[-1]
    shares = found.shares[int(found.period[-1])]
    now = tuple(len(np.unique(found.unit[last & (found.arm == arm)])) for arm in (0, number))
    ever = tuple(len(np.unique(found.unit[found.arm == arm])) for arm in (0, number))
    rows = tuple(int((found.arm == arm).sum()) for arm in (0, number))
    both = shares[0] + shares[number]
    odds = (shares[0] / both, shares[number] / both) if both > 0.0 else (1.0, 0.0)
    return Arms(
        key=split.key,
        salt=split.salt,
        a_share=shares[0],
        b_share=shares[number],
        a_rows=rows[0],
        b_rows=rows[1],
        a_units=ever[0],
        b_units=ever[1],
        mismatch_p_value=mismatch_p_value(now, odds),
        periods=len(found.shares),
        shift=dict(_shifts(found, number, sure=sure)),
    )


def _shifts(found: _Rows, number: int, *, sure: Sureness) -> Iterator[tuple[str, Measured]]:
    """Of each score column B's mean minus A's, over the last period."""
    last = found.period == found.period[-1]
    for column in score_columns(found.contracts[0]):
        values = matrix_of(found.rows, [column]).mean(axis=1)
        finite = np.isfinite(values) & last
        a, b = finite & (found.arm == 0), finite & (found.arm == number)
        if a.sum() > 1 and b.sum() > 1:
            order = np.concatenate([np.flatnonzero(a), np.flatnonzero(b)])
            is_b = np.arange(len(order)) >= a.sum()
            apart = between_groups(mean(values[a]), mean(values[b]), is_second=is_b)
            yield column, measured(known(apart, sure=sure, groups=found.unit[order]))


def _labelled(request: CompareRequest, found: _Rows, number: int, *, labels: Labels) -> Labelled | None:
    periods = []
    for period in range(len(found.shares)):
        sides, units = [], []
        for arm in (0, number):
            chosen = np.flatnonzero((found.arm == arm) & (found.period == period) & (found.labels >= 0))
            values = labels.values.take(pa.array(found.labels[chosen]))
            outcomes = labelled_side(
                found.contracts[arm], found.rows.take(pa.array(chosen)), values, asked=request.asked
            )
            sound = usable(outcomes)
            sides.append(outcomes.where(sound))
            units.append(found.unit[chosen][sound])
        periods.append(Period(sides[0], sides[1], np.concatenate(units)))
    return on_rows_of_their_own(periods, label=labels.column, sure=request.sure)


def _notes(arms: Arms, runs: Sequence[FoundRun]) -> tuple[str, ...]:
    without = sum(run.manifest.split.rows_without_key for run in runs if run.manifest.split is not None)
    notes = [f"{without:,} rows have no {shown(arms.key)} and take no part"] if without else []
    if arms.mismatch_p_value < ODD:
        notes.append(
            f"{arms.a_units:,} and {arms.b_units:,} values of {shown(arms.key)} are not what the shares lead to "
            f"(chance {arms.mismatch_p_value:.2g}): find out what lost rows before reading on"
        )
    return tuple(notes)
