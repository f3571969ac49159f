"""Two models' scores of the same rows, side by side: each row of one finds its own in the other, by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, threshold_output
from mlserve_cli.errors import DataError, UsageError, shown
from mlserve_cli.monitoring.join import holds_numbers, row_keys
from mlserve_cli.monitoring.run_rows import prediction_column, score_columns


@dataclass(frozen=True, slots=True)
class Side:
    """One model's rows of one run: `ids`, the written columns with its scores and decisions, and others of A's."""

    called: str
    contract: Contract
    ids: pa.Table
    rows: pa.Table
    others: pa.Table


@dataclass(frozen=True, slots=True)
class Pairs:
    """The same rows of both, in A's order, and how many stand in one alone. `others` are A's."""

    ids: pa.Table
    others: pa.Table
    a: pa.Table
    b: pa.Table
    only_a: int
    only_b: int


@dataclass(frozen=True, slots=True)
class Likes:
    """Which column of A stands beside which of B: scores, and what they decide, None where one of the two does not."""

    scores: tuple[tuple[str, str], ...]
    decisions: tuple[str, str] | None


def pair(a: Side, b: Side) -> Pairs:
    """The rows of both.

    Raises UsageError (2) where they are not identified by the same columns, DataError (65) where an id stands in two
    rows of one of them, or no row stands in both.
    """
    if a.ids.column_names != b.ids.column_names:
        raise UsageError(
            f"{shown(a.called)} has rows by {_names(a.ids)}, {shown(b.called)} by {_names(b.ids)}",
            "",
            "score both with the same --id-column",
        )
    if a.ids.equals(b.ids):  # the usual case: two models over the same files, in the same order
        return Pairs(a.ids, a.others, a.rows, b.rows, 0, 0)
    places = _places(a, b)
    found = np.flatnonzero(places >= 0)
    if not len(found):
        raise DataError(
            f"no row of {shown(a.called)} stands in {shown(b.called)}, by {_names(a.ids)}",
            "",
            "compare runs over the same rows, or give two models one --input",
        )
    mine, theirs = pa.array(found), pa.array(places[found])
    only_a, only_b = a.rows.num_rows - len(found), b.rows.num_rows - len(found)
    return Pairs(a.ids.take(mine), a.others.take(mine), a.rows.take(mine), b.rows.take(theirs), only_a, only_b)


def likes(a: Contract, b: Contract) -> Likes:
    """Columns of one name; where there are none, the one of each that a threshold would be held against.

    Raises DataError (65) where the two have nothing to compare.
    """
    theirs = score_columns(b)
    scores = tuple((name, name) for name in score_columns(a) if name in theirs)
    decisive = threshold_output(a.outputs), threshold_output(b.outputs)
    if not scores and decisive[0] is not None and decisive[1] is not None:
        scores = ((decisive[0].columns[-1], decisive[1].columns[-1]),)
    decided = prediction_column(a), prediction_column(b)
    both = (decided[0], decided[1]) if decided[0] is not None and decided[1] is not None else None
    if not scores and both is None:
        raise DataError(
            f"the models write no column alike: {', '.join(map(shown, score_columns(a)))} and "
            f"{', '.join(map(shown, theirs))}",
            "",
            "give the scores one name, with --output-columns or in the packages",
        )
    return Likes(scores, both)


def written(contract: Contract) -> tuple[str, ...]:
    """The columns of a model's rows that a comparison reads."""
    decided = prediction_column(contract)
    return (*score_columns(contract), *([decided] if decided is not None else []))


def units_of(ids: Sequence[pa.Table]) -> NDArray[np.int64]:
    """A number for each row, the same where the ids are, in whatever run (int64, shape [rows])."""
    numeric = tuple(
        any(holds_numbers(table.column(place).type) for table in ids) for place in range(len(ids[0].columns))
    )
    keys = pa.concat_arrays([row_keys(table, numeric=numeric) for table in ids])
    encoded = pc.fill_null(keys, "").dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _places(a: Side, b: Side) -> NDArray[np.int64]:
    """For each row of A its row of B, -1 where there is none."""
    numeric = tuple(
        holds_numbers(one.type) or holds_numbers(other.type)
        for one, other in zip(a.ids.columns, b.ids.columns, strict=True)
    )
    mine, theirs = (row_keys(side.ids, numeric=numeric) for side in (a, b))
    for side, keys in ((a, mine), (b, theirs)):
        _refuse_repeats(side, keys)
    found = pc.fill_null(pc.index_in(mine, value_set=theirs, skip_nulls=True), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _refuse_repeats(side: Side, keys: pa.Array) -> None:
    known = keys.drop_null()
    encoded = known.dictionary_encode()
    if len(encoded.dictionary) == len(known):
        return
    counts = np.bincount(np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64))
    row = int(np.argmax(counts > 1))
    raise DataError(
        f"{_names(side.ids)} {shown(encoded.dictionary[row].as_py())} stands in {counts[row]} rows, "
        "so it is not clear which is to be compared",
        shown(side.called, limit=400),
        "score with an --id-column that is unique, or without one",
    )


def _names(ids: pa.Table) -> str:
    return " and ".join(map(shown, ids.column_names))
