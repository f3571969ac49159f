"""The rows of a part: where each came from, what is carried over from the input, and its predictions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.batches import ScoredRows
from mlserve_cli.tables import Chunk, Shard

SOURCE_SCHEMA = pa.schema([("source_file", pa.string()), ("source_row", pa.int64())])


def output_schema(plan: Plan) -> pa.Schema:
    """Names and types of a part's columns: ids, carried columns, predictions."""
    ids = [] if plan.output.id_column is not None else list(SOURCE_SCHEMA)
    carried = tables.decode_schema(plan.output.carried_schema)
    return pa.schema([*ids, *carried, *features.output_schema(plan.contract)])


def output_rows(scored: ScoredRows, *, chunk: Chunk, shard: Shard, plan: Plan) -> pa.Table:
    """The chunk's kept rows as they go to the part."""
    predictions = features.output_table(plan.contract, scored.outputs, rows=len(scored.kept))
    columns = [] if plan.output.id_column is not None else _sources(scored.kept + chunk.start_row, file=shard.name)
    if plan.output.carried:
        carried = chunk.table.select(plan.output.carried)
        if len(scored.kept) < chunk.table.num_rows:
            carried = carried.take(pa.array(scored.kept))
        columns += carried.cast(tables.decode_schema(plan.output.carried_schema)).columns
    return pa.table([*columns, *predictions.columns], schema=output_schema(plan))


def shown_name(name: str) -> str:
    """A shard's name as text: bytes that are no UTF-8 are escaped, since a column of text can't hold them."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _sources(rows: NDArray[np.int64], *, file: str) -> list[pa.Array]:
    return [pa.repeat(pa.scalar(shown_name(file), pa.string()), len(rows)), pa.array(rows, pa.int64())]
