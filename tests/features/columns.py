"""One column into one tensor: the smallest contract, for tests of the rules."""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from mlserve_cli.contract import Contract, Input, Nulls, Output, Scalar, TensorSpec
from mlserve_cli.features import Features, convert

Y = Output(TensorSpec("Y", "float32", (None, 1)), "value", ("Y",))
Mode = Literal["strict", "coerce"]


def contract_for(
    dtype: str,
    *,
    shape: tuple[int | None, ...] = (None, 1),
    columns: tuple[str, ...] = ("c",),
    mode: Mode = "strict",
    nulls: Nulls = "error",
    fill: Scalar | None = None,
) -> Contract:
    """A contract of one input X fed by `columns`."""
    filled: dict[str, Scalar] = {} if fill is None else dict.fromkeys(columns, fill)
    spec = Input(TensorSpec("X", dtype, shape), columns)
    return Contract(inputs=(spec,), outputs=(Y,), schema_mode=mode, nulls=nulls, fill=filled)


def converted(values: Any, contract: Contract, *, type: pa.DataType | None = None, text: bool = False) -> Features:
    """The column `c` of these values, converted; as CSV text with `text`."""
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, type)
    return convert(pa.table({"c": column}), contract, text={"c"} if text else ())


def good(features: Features) -> list[Any]:
    """The values of the good rows of the only column."""
    ((_, (column,)),) = features.inputs
    found: list[Any] = column[~features.bad].tolist()
    return found


def told(features: Features) -> list[tuple[int, str, str]]:
    """(row, reason, value) of every fault, by row."""
    return sorted((fault["row"], fault["reason"], fault["value"]) for fault in features.faults.table.to_pylist())
