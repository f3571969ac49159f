"""Golden rows of a converted model: some of the rows that were checked, with the scores of the library itself."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract, Output
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.optimize.made import EXPECTED
from mlserve_cli.optimize.rows import Rows

GOLDEN_ROWS = 64


def golden_rows(rows: Rows, expected: Mapping[str, NDArray[Any]], contract: Contract) -> bytes:
    """A Parquet file of at most 64 rows, evenly spread: the model's columns, and its scores as `expected_…`."""
    written = [column for output in contract.outputs for column in output.columns]
    clash = sorted({f"{EXPECTED}{column}" for column in written} & set(contract.columns))
    if clash:
        raise UsageError(f"the model takes a column {shown(clash[0])}, as expected scores are called", "", "rename it")
    places = np.unique(np.linspace(0, len(rows) - 1, GOLDEN_ROWS).astype(np.int64))
    parts = tuple(Output(part.tensor, "value", part.columns) for part in contract.inputs)
    inputs = {
        part.tensor.name: _typed(rows.tensors[part.tensor.name][places], part.tensor.dtype) for part in contract.inputs
    }
    table = _table(contract, parts, inputs)
    doubles = tuple(_precise(output) for output in contract.outputs)
    scores = _table(contract, doubles, {name: values[places] for name, values in expected.items()})
    for name in scores.column_names:
        table = table.append_column(f"{EXPECTED}{name}", scores[name])
    file = io.BytesIO()
    tables.write_part(file, [table], schema=table.schema, format="parquet")
    return file.getvalue()


def _table(contract: Contract, outputs: tuple[Output, ...], tensors: Mapping[str, NDArray[Any]]) -> pa.Table:
    """Tensors as the columns that they were or become, each column once."""
    table = features.output_table(msgspec.structs.replace(contract, outputs=outputs, threshold=None), tensors)
    return table.select([table.column_names.index(name) for name in dict.fromkeys(table.column_names)])


def _typed(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    return values.astype(dtype) if dtype.startswith("float") else values


def _precise(output: Output) -> Output:
    """Expected scores keep the precision that the library gave them."""
    if not output.tensor.dtype.startswith("float"):
        return output
    return msgspec.structs.replace(output, tensor=msgspec.structs.replace(output.tensor, dtype="float64"))
