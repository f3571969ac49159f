"""Bad rows: what a person is told of the first, what the quarantine keeps of all, and which rows a model fails on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import Faults, text_array
from mlserve_cli.contract import compute as pc
from mlserve_cli.errors import BadRow
from mlserve_cli.session import Predictor, RowsFailed

QUARANTINE_SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
        ("faults", pa.int64()),
    ]
)
Tensors = Mapping[str, NDArray[np.generic]]


def first_bad_row(faults: Faults, *, file: str, start_row: int) -> BadRow:
    """The error for the first bad row of a chunk that starts at `start_row` of its file."""
    first = _one_line_per_row(faults).slice(0, 1).to_pylist()[0]
    return BadRow(file, start_row + first["row"], first["column_first"], first["value_first"], first["reason_first"])


def quarantine_table(faults: Faults, *, file: str, start_row: int, ids: pa.Table | None) -> pa.Table:
    """One line for each bad row: where it stood, its first fault, how many it has, and its id where rows have one.

    `ids` holds the chunk's id column alone.
    """
    lines = _one_line_per_row(faults)
    columns = [
        pa.repeat(text_array([file])[0], lines.num_rows),
        pc.add(lines["row"], pa.scalar(start_row, pa.int64())),
        lines["column_first"],
        lines["reason_first"],
        lines["value_first"],
        lines["reason_count"],
    ]
    table = pa.table(columns, schema=QUARANTINE_SCHEMA)
    if ids is None:
        return table
    name = ids.column_names[0]
    return table.append_column(f"id_{name}" if name in table.column_names else name, ids[name].take(lines["row"]))


def reasons_of(quarantine: pa.Table) -> dict[str, int]:
    """How many rows were set aside for each reason."""
    if quarantine.num_rows == 0:  # grouping imports pyarrow.dataset, 30 ms
        return {}
    counted = quarantine.group_by("reason", use_threads=False).aggregate([([], "count_all")]).sort_by("reason")
    return dict(zip(counted["reason"].to_pylist(), counted["count_all"].to_pylist(), strict=True))


def failing_rows(tensors: Tensors, predictor: Predictor, *, suspects: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `suspects` (int64, positions in the batch) on which the model itself fails, found by bisection."""
    if len(suspects) == 0 or _runs({name: tensor[suspects] for name, tensor in tensors.items()}, predictor):
        return suspects[:0]
    if len(suspects) == 1:
        return suspects
    left, right = np.array_split(suspects, 2)
    return np.concatenate(
        [
            failing_rows(tensors, predictor, suspects=left),
            failing_rows(tensors, predictor, suspects=right),
        ]
    )


def _runs(tensors: Tensors, predictor: Predictor) -> bool:
    try:
        predictor.predict(tensors)
    except RowsFailed:
        return False
    return True


def _one_line_per_row(faults: Faults) -> pa.Table:
    """Columns row, column_first, reason_first, value_first, reason_count; by row."""
    firsts = [("column", "first"), ("reason", "first"), ("value", "first"), ("reason", "count")]
    return faults.table.group_by("row", use_threads=False).aggregate(firsts).sort_by("row")
