"""Rows that are split among models: each goes to the model that its key is assigned to, and comes back in its place.

Windows begin with the task and are as long as the plan says. A model's good rows of a window are put together and
scored in batches from the first of them on, so that neither chunks nor workers show in any score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Faults, empty_table, int64_array, text_array
from mlserve_cli.errors import DataError, shown
from mlserve_cli.planning import Plan, PlannedSplit
from mlserve_cli.planning.assignment import assign
from mlserve_cli.scoring.batches import Clock, Mapper, Outputs, ScoredRows, score_batches
from mlserve_cli.scoring.distinct import rows_at
from mlserve_cli.scoring.rows import columns_of, convert_chunk, prediction_schema
from mlserve_cli.scoring.shared_columns import converted_for
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Chunk, Shard

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of a split: the plan as if it were alone, and a session."""

    plan: Plan
    predictor: Predictor


@dataclass(slots=True)
class ArmTally:
    """Rows that each arm scored, and rows whose key is null, as they add up."""

    rows: list[int]
    without_key: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one arm made of its rows of one window."""

    arm: int
    scored: ScoredRows
    table: pa.Table


def open_arms(plan: Plan, predictors: Sequence[Predictor]) -> tuple[Arm, ...]:
    """The champion first; `predictors` in the order of the plan's arms."""
    split = split_of(plan)
    alone = (plan.of_champion, *(plan.of(rival) for rival in split.rivals))
    return tuple(Arm(own, predictor) for own, predictor in zip(alone, predictors, strict=True))


def score_split(
    chunk: Chunk,
    converted: features.Features,
    *,
    plan: Plan,
    shard: Shard,
    arms: Sequence[Arm],
    tally: ArmTally,
    clock: Clock,
    mapper: Mapper = map,
) -> tuple[ScoredRows, int]:
    """A chunk's rows, each scored by its own model, with the number of rows that went through one.

    `converted` are the champion's columns. Raises DataError (65) where a key has no text of its own.
    """
    split = split_of(plan)
    with clock.timing("features"):
        codes, without_key = arms_of_rows(chunk.table[split.key], split, file=shard.name)
        own = [_columns_for(arm, chunk, plan=plan, converted=converted, shard=shard) for arm in arms]
    tally.without_key += without_key
    pieces, faults, scored_rows = [], [], 0
    for number, (arm, columns) in enumerate(zip(arms, own, strict=True)):
        mine = codes == number
        faults.append(_of_rows(columns.faults, mine))
        good = np.flatnonzero(mine & ~columns.bad)
        tally.rows[number] += len(good)
        scored_rows += len(good)
        for rows in _windows(good, window_rows=split.window_rows, until=chunk.table.num_rows):
            scored = score_batches(
                rows_at(columns, rows),
                contract=arm.plan.contract,
                predictor=arm.predictor,
                batch_rows=arm.plan.batch_rows,
                clock=clock,
                mapper=mapper,
            )
            tally.rows[number] -= len(rows) - len(scored.kept)
            pieces.append(_placed(scored, rows, arm=number, plan=arm.plan))
    with clock.timing("features"):
        return _together(pieces, faults, plan), scored_rows


def arms_of_rows(keys: pa.ChunkedArray, split: PlannedSplit, *, file: str) -> tuple[Rows, int]:
    """The arm of each row (int64, shape [rows]), and how many have no key: those are the first arm's.

    Raises DataError (65) for a float that is no whole number.
    """
    try:
        codes = assign(features.one_array(keys), salt=split.salt, percents=split.percents)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"a key is a number that is not whole: {error}",
            f"{shown(file, limit=400)}, column {shown(split.key)}",
            "split by a column of ids: whole numbers or texts",
        ) from error
    without = codes < 0
    codes[without] = 0
    return codes, int(np.count_nonzero(without))


def split_of(plan: Plan) -> PlannedSplit:
    """The plan's split, of a plan that has one."""
    if plan.split is None:
        raise ValueError("the plan splits no rows")
    return plan.split


def _columns_for(
    arm: Arm, chunk: Chunk, *, plan: Plan, converted: features.Features, shard: Shard
) -> features.Features:
    """Those of the champion only where the arm reads the very same: no row may be bad by what its model never sees."""
    if columns_of(arm.plan) == columns_of(plan.of_champion):
        return converted_for(arm.plan, chunk, beside=plan, converted=converted, shard=shard)
    return convert_chunk(chunk, arm.plan, shard=shard)


def _windows(rows: Rows, *, window_rows: int, until: int) -> Iterator[Rows]:
    """The rows (ascending) of each window that has some."""
    edges = np.searchsorted(rows, np.arange(0, until + window_rows, window_rows))
    for begin, end in pairwise(edges):
        if end > begin:
            yield rows[begin:end]


def _of_rows(faults: Faults, mine: NDArray[np.bool_]) -> Faults:
    if not len(faults):
        return faults
    places = np.flatnonzero(mine[faults.row_of_each])
    return Faults(faults.table.take(int64_array(places)))


def _placed(scored: ScoredRows, rows: Rows, *, arm: int, plan: Plan) -> _Piece:
    """The rows where they stand in the chunk, and as they are written."""
    moved = scored.faults.moved_to(rows) if len(scored.faults) else scored.faults
    placed = ScoredRows(scored.outputs, rows[scored.kept], moved)
    empty = len(placed.kept) == 0
    schema = features.output_schema(plan.contract)
    table = empty_table(schema) if empty else features.output_table(plan.contract, scored.outputs)
    return _Piece(arm, placed, table)


def _together(pieces: Sequence[_Piece], faults: Sequence[Faults], plan: Plan) -> ScoredRows:
    """All rows in the input's order, whoever scored them; outputs under the names of the champion's tensors."""
    split, schema = split_of(plan), prediction_schema(plan)
    every = Faults.together([*faults, *(piece.scored.faults for piece in pieces)])
    filled = [piece for piece in pieces if len(piece.scored.kept)]
    if not filled:
        return ScoredRows({}, np.empty(0, np.int64), every, empty_table(schema))
    kept = np.concatenate([piece.scored.kept for piece in filled])
    order = np.argsort(kept, kind="stable")
    codes = np.concatenate([np.full(len(piece.scored.kept), piece.arm) for piece in filled])[order]
    table = pa.concat_tables([piece.table for piece in filled]).take(int64_array(order))
    models = text_array(split.names).take(int64_array(codes))
    table = pa.Table.from_arrays([*table.columns, models], schema=schema)
    return ScoredRows(_outputs(filled, order, plan), kept[order], every, table)


def _outputs(pieces: Sequence[_Piece], order: Rows, plan: Plan) -> Outputs:
    contracts = (plan.contract, *(rival.contract for rival in split_of(plan).rivals))
    found: Outputs = {}
    for place, output in enumerate(plan.contract.outputs):
        parts = [piece.scored.outputs[contracts[piece.arm].outputs[place].tensor.name] for piece in pieces]
        found[output.tensor.name] = np.concatenate([part.reshape(len(part), -1) for part in parts])[order]
    return found
