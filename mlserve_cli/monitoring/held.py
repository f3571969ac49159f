"""A run held against its labels: for each row with a label what was said and what came, and the sums of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.errors import DataError, RunMismatch
from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.monitoring.evaluation import JoinAccount
from mlserve_cli.monitoring.join import LabelKeys, holds_numbers, join
from mlserve_cli.monitoring.labels import Labels
from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.monitoring.question import Question, predicted_of, truth_of
from mlserve_cli.monitoring.run_rows import matrix_of, read_rows, written_schema

Places = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Held:
    """A run with its labels: `labelled` are the places among its rows of the rows of `outcomes`.

    `unlabelled_scores` are of the rest, `label_places` the label rows that were used.
    """

    run: FoundRun
    question: Question
    account: JoinAccount
    outcomes: Outcomes
    by: pa.Table
    labelled: Places
    label_places: Places
    unlabelled_scores: NDArray[np.float64] | None
    rows_without_score: int


def hold(
    run: FoundRun,
    question: Question,
    told: Labels,
    keyed: Callable[[tuple[bool, ...]], LabelKeys],
    *,
    positive: str | None,
    by: Sequence[str],
) -> Held:
    """Read a run, find its labels, and put what was said beside what came."""
    rows = _read(run, told, (*told.ids.column_names, *question.columns), by=by)
    ids = rows.select(told.ids.column_names)
    numeric = tuple(
        holds_numbers(one) or holds_numbers(other)
        for one, other in zip(ids.schema.types, told.ids.schema.types, strict=True)
    )
    joined = join(ids, keyed(numeric), numeric=numeric)
    scores = _scores(question, rows)
    sound = np.ones(len(rows), np.bool_) if scores is None else np.isfinite(scores.reshape(len(rows), -1)).all(axis=1)
    labelled = np.flatnonzero((joined.places >= 0) & sound)
    places = joined.places[labelled]
    values = told.values.take(pa.array(places))
    rest = np.flatnonzero((joined.places < 0) & sound)
    return Held(
        run=run,
        question=question,
        account=joined.account,
        outcomes=_outcomes(question, rows.take(pa.array(labelled)), scores, labelled, values, positive),
        by=_slicing(rows, told, by, joined.places),
        labelled=labelled,
        label_places=places,
        unlabelled_scores=None if scores is None else scores[rest],
        rows_without_score=int((~sound).sum()),
    )


def _read(run: FoundRun, told: Labels, needed: Sequence[str], *, by: Sequence[str]) -> pa.Table:
    """The needed columns, and of those to slice by what the run or its input has; the labels may have the rest."""
    written = set(written_schema(run).names)
    at_hand = [name for name in by if name in written or all(name in one for one in _input_columns(run))]
    elsewhere = set(told.others.column_names)
    wanted = [name for name in by if name in at_hand or name not in elsewhere]  # what nothing has is named
    try:
        return read_rows(run, (*needed, *wanted))
    except RunMismatch:
        raise
    except DataError:  # the input is gone, or another now
        if not set(wanted) <= written | elsewhere:
            raise
        return read_rows(run, (*needed, *(name for name in wanted if name in written)))


def _input_columns(run: FoundRun) -> list[set[str]]:
    return [{column.name for column in shard.columns} for shard in run.manifest.plan.inputs]


def _scores(question: Question, rows: pa.Table) -> NDArray[np.float64] | None:
    if not question.scores:
        return None
    values = matrix_of(rows, question.scores)
    return values if question.place < 0 else values[:, question.place]


def _outcomes(
    question: Question,
    rows: pa.Table,
    scores: NDArray[np.float64] | None,
    labelled: Places,
    values: pa.ChunkedArray,
    positive: str | None,
) -> Outcomes:
    mine = None if scores is None else scores[labelled]
    classes = question.classes
    truth = truth_of(question, values, positive=positive)
    predicted = predicted_of(question, rows, mine)
    if question.kind == "binary":
        classes = _no_and_yes(question)
    return Outcomes(question.kind, truth, mine, predicted, classes if question.kind != "regression" else ())


def _no_and_yes(question: Question) -> tuple[str, str]:
    """What the two classes are called, the positive one second."""
    others = [name for name in question.classes if name != question.positive]
    no = others[0] if len(question.classes) == 2 and len(others) == 1 else f"not {question.positive}"
    return no, question.positive


def _slicing(rows: pa.Table, told: Labels, by: Sequence[str], places: Places) -> pa.Table:
    """The columns to slice by, for every row of the run; what only labels say is null where there is none."""
    columns: dict[str, pa.ChunkedArray] = {}
    for name in by:
        if name in rows.column_names:
            columns[name] = rows[name]
        else:
            columns[name] = told.others[name].take(pa.array(places, mask=places < 0))
    return pa.table(columns)


def each_label_once(held: Sequence[Held]) -> bool:
    """Whether no label belongs to rows of two runs."""
    used = np.concatenate([one.label_places for one in held])
    return len(np.unique(used)) == len(used)


def together(held: Sequence[Held]) -> Held:
    """All runs as one, their rows one after another."""
    starts = np.cumsum([0, *(one.by.num_rows if one.by.num_columns else one.account.rows for one in held)])
    parts = [one.outcomes for one in held]
    return Held(
        run=held[-1].run,
        question=held[-1].question,
        account=_sum([one.account for one in held]),
        outcomes=Outcomes(
            parts[0].kind,
            np.concatenate([one.truth for one in parts]),
            _joined([one.scores for one in parts]),
            _joined([one.predicted for one in parts]),
            parts[0].classes,
        ),
        by=_stacked([one.by for one in held]),
        labelled=np.concatenate([one.labelled + start for one, start in zip(held, starts, strict=False)]),
        label_places=np.concatenate([one.label_places for one in held]),
        unlabelled_scores=_joined([one.unlabelled_scores for one in held]),
        rows_without_score=sum(one.rows_without_score for one in held),
    )


def _joined(parts: Sequence[NDArray[T] | None]) -> NDArray[T] | None:
    some = [part for part in parts if part is not None]
    return np.concatenate(some) if len(some) == len(parts) else None


def _stacked(tables: Sequence[pa.Table]) -> pa.Table:
    """One below the other; a column that has two types is text."""
    names = tables[0].column_names
    columns = {name: [table[name] for table in tables] for name in names}
    for name, parts in columns.items():
        if len({part.type for part in parts}) > 1:
            columns[name] = [part.cast(pa.string()) for part in parts]
    return pa.table(
        {name: pa.chunked_array([c for part in parts for c in part.chunks]) for name, parts in columns.items()}
    )


def _sum(accounts: Sequence[JoinAccount]) -> JoinAccount:
    """Rows add up; label rows are the same ones for each run, and only those that no run used are elsewhere."""
    first = accounts[0]
    matched = sum(one.matched for one in accounts)
    return JoinAccount(
        rows=sum(one.rows for one in accounts),
        matched=matched,
        unlabelled=sum(one.unlabelled for one in accounts),
        without_id=sum(one.without_id for one in accounts),
        label_rows=first.label_rows,
        labels_without_value=first.labels_without_value,
        labels_too_late=first.labels_too_late,
        labels_without_id=first.labels_without_id,
        labels_repeated=first.labels_repeated,
        labels_elsewhere=first.matched + first.labels_elsewhere - matched,
    )
