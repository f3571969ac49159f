"""The rows of a part: where each came from, what is carried over from the input, and its predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import empty_table, in_types_of, int64_array, text_array
from mlserve_cli.planning import Plan, Task
from mlserve_cli.scoring.batches import ScoredRows
from mlserve_cli.scoring.carried import decode_schema
from mlserve_cli.tables import Chunk, Shard

MODEL_KEY, WORK_KEY = "mlserve.model", "mlserve.work"
SOURCE_SCHEMA = pa.schema([("source_file", pa.string()), ("source_row", pa.int64())])


def output_schema(plan: Plan) -> pa.Schema:
    """Names and types of a part's columns: ids, carried columns, predictions, and of a split the row's model."""
    ids = [] if plan.output.id_column is not None else list(SOURCE_SCHEMA)
    carried = decode_schema(plan.output.carried_schema)
    return pa.schema([*ids, *carried, *prediction_schema(plan)])


def prediction_schema(plan: Plan) -> pa.Schema:
    """What comes out of the models, and of a split which of them it was."""
    models = [] if plan.split is None else [pa.field(plan.split.column, pa.string())]
    return pa.schema([*features.output_schema(plan.contract), *models])


def id_schema(plan: Plan) -> pa.Schema:
    """The columns by which a row of a part is found again."""
    named = plan.output.id_column
    return SOURCE_SCHEMA if named is None else pa.schema([decode_schema(plan.output.carried_schema).field(named)])


def metadata_of(plan: Plan) -> dict[str, str]:
    """What every output file says of itself: which model, and which work (not which plan: see --reuse)."""
    return {MODEL_KEY: plan.model.digest, WORK_KEY: plan.work_id}


def columns_of(plan: Plan) -> tuple[str, ...]:
    """What is read of a shard: each model's feature columns as the file calls them, what is carried over, and the
    column by which rows are split; each once."""
    contracts = (plan.contract, *(rival.contract for rival in plan.rivals))
    names = [contract.file_column(column) for contract in contracts for column in contract.columns]
    keys = [] if plan.split is None else [plan.split.key]
    return tuple(dict.fromkeys([*names, *plan.output.carried, *keys]))


def convert_chunk(chunk: Chunk, plan: Plan, *, shard: Shard) -> features.Features:
    """The chunk's feature columns, typed and checked; text of a CSV or a Hive key has no type of its own yet."""
    text = {column.name for column in shard.columns if column.type == "text"}
    return features.convert(chunk.table, plan.contract, text=text, faults=chunk.faults, file=shard.name)


def first_rows(plan: Plan, task: Task, *, rows: int) -> features.Features:
    """The first rows of a task that has some, converted, as one chunk."""
    shard = plan.inputs[task.shard]
    chunks = tables.read_chunks(
        shard,
        columns=columns_of(plan),
        start_row=task.start_row,
        stop_row=min(task.start_row + rows, task.stop_row),
        chunk_rows=rows,
        dialect=plan.dialect,
    )
    (chunk,) = chunks
    return convert_chunk(chunk, plan, shard=shard)


def output_rows(scored: ScoredRows, *, chunk: Chunk, shard: Shard, plan: Plan) -> pa.Table:
    """The chunk's kept rows as they go to the part."""
    if len(scored.kept) == 0:
        return empty_table(output_schema(plan))
    predictions = scored.table
    if predictions is None:
        predictions = features.output_table(plan.contract, scored.outputs)
    columns = [] if plan.output.id_column is not None else _sources(scored.kept + chunk.start_row, file=shard.name)
    if plan.output.carried:
        carried = carried_columns(chunk, plan, names=plan.output.carried)
        if len(scored.kept) < chunk.table.num_rows:
            carried = carried.take(int64_array(scored.kept))
        columns += carried.columns
    return pa.table([*columns, *predictions.columns], schema=output_schema(plan))


def carried_columns(chunk: Chunk, plan: Plan, *, names: Sequence[str]) -> pa.Table:
    """Those of the carried columns, in the one type that holds the values of every shard."""
    schema = decode_schema(plan.output.carried_schema)
    return in_types_of(chunk.table.select(names), pa.schema([schema.field(name) for name in names]))


def _sources(rows: NDArray[np.int64], *, file: str) -> list[pa.Array]:
    return [pa.repeat(text_array([file])[0], len(rows)), int64_array(rows)]
