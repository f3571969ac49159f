"""A batch's output tensors into the columns that are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Faults, Output, text_array, threshold_output
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.features._buffers import Mask, as_arrow, rows_where

NOT_FINITE = "score is not finite"
Outputs = Mapping[str, NDArray[Any]]


def output_table(contract: Contract, outputs: Outputs) -> pa.Table:
    """The outputs of any number of rows (a batch, or a chunk's batches concatenated) as a table of output_schema."""
    schema = output_schema(contract)
    arrays = [array for output in contract.outputs for array in _columns_of(output, outputs[output.tensor.name])]
    if contract.threshold is not None:
        arrays.append(_prediction(contract, outputs, contract.threshold))
    return pa.Table.from_arrays(arrays, schema=schema)


def output_schema(contract: Contract) -> pa.Schema:
    """The written columns: scalars for a column per value, a fixed-size list for a vector, flat whatever its rank.

    float16 is written as float32: Parquet readers agree on that one.
    """
    fields = [(name, kind) for output in contract.outputs for name, kind in _fields_of(output)]
    if contract.threshold is not None:
        classes = _threshold_classes(contract)
        fields.append((contract.prediction, pa.string() if isinstance(classes[0], str) else pa.int64()))
    return pa.schema(fields)


def bad_scores(contract: Contract, outputs: Outputs) -> Faults:
    """The rows (from the batch's first) where a float output is NaN or infinite; none where the contract allows it."""
    faults: list[Faults] = []
    for output in contract.outputs:
        values = outputs[output.tensor.name]
        if contract.nan_scores == "allow" or values.dtype.kind != "f" or _all_finite(values):
            continue
        for name, part in _parts_of(output, values):
            rows = rows_where(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))
            if not len(rows):
                continue
            faults.append(Faults.at(rows, column=name, reason=NOT_FINITE, values=_first_odd(part, rows)))
    return Faults.together(faults)


def _fields_of(output: Output) -> list[tuple[str, pa.DataType]]:
    kind = _arrow_type(output.tensor.dtype)
    width = output.tensor.width
    if len(output.columns) > 1 or width == 1:
        return [(name, kind) for name in output.columns]
    if width is None:
        raise InvalidModel(f"output {shown(output.tensor.name)} leaves its width open")
    return [(output.columns[0], pa.list_(pa.field("item", kind), width))]


def _columns_of(output: Output, values: NDArray[Any]) -> list[pa.Array]:
    """One array for each written column."""
    width = output.tensor.width
    kind = _arrow_type(output.tensor.dtype)
    flat = _flat(output, values)
    if len(output.columns) > 1 or width == 1:
        return [_array(flat[:, place], kind) for place in range(flat.shape[1])]
    return [
        pa.FixedSizeListArray.from_arrays(_array(flat.reshape(-1), kind), type=pa.list_(pa.field("item", kind), width))
    ]


def _flat(output: Output, values: NDArray[Any]) -> NDArray[Any]:
    """[rows, width] as the contract has it; InvalidModel where the model returned another width."""
    flat = values.reshape(len(values), -1) if values.size else values.reshape(len(values), output.tensor.width or 1)
    expected = len(output.columns) if len(output.columns) > 1 else output.tensor.width
    if flat.shape[1] != expected:
        raise InvalidModel(
            f"output {shown(output.tensor.name)} has {flat.shape[1]} values a row, the contract says {expected}",
            "",
            "the model's declared shape or classes are not what it returns; say so in a package's contract",
        )
    return flat


def _array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return text_array(values)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return as_arrow(np.ascontiguousarray(values))


def _arrow_type(dtype: str) -> pa.DataType:
    if dtype == "string":
        return pa.string()
    if dtype == "bool":
        return pa.bool_()
    return pa.from_numpy_dtype(np.dtype("float32" if dtype == "float16" else dtype))


def _prediction(contract: Contract, outputs: Outputs, threshold: float) -> pa.Array:
    """The second class where its probability reaches the threshold, compared in the probability's own precision."""
    output = threshold_output(contract.outputs)
    if output is None:
        raise InvalidModel("the contract's threshold has no probability to stand against")
    values = _flat(output, outputs[output.tensor.name])[:, -1]
    reached = values >= values.dtype.type(threshold)
    first, second = _threshold_classes(contract)
    if isinstance(second, str):
        return pa.DictionaryArray.from_arrays(
            as_arrow(reached.astype(np.int32)), text_array([str(first), second])
        ).dictionary_decode()
    return as_arrow(np.where(reached, np.int64(second), np.int64(first)))


def _threshold_classes(contract: Contract) -> tuple[str | int, str | int]:
    output = threshold_output(contract.outputs)
    if output is None or len(output.classes) != 2:
        return (0, 1)
    return (output.classes[0], output.classes[1])


def _parts_of(output: Output, values: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    if len(output.columns) == 1:
        return [(output.columns[0], values)]
    flat = values.reshape(len(values), -1)
    return [(name, flat[:, place]) for place, name in enumerate(output.columns[: flat.shape[1]])]


def _first_odd(part: NDArray[Any], rows: NDArray[np.int64]) -> pa.Array:
    odd = part.reshape(len(part), -1)[rows]
    first = odd[np.arange(len(rows)), np.argmax(~np.isfinite(odd), axis=1)]
    return as_arrow(first.astype(np.float64)).cast(pa.string())


def _all_finite(values: NDArray[Any]) -> bool:
    """A sum is finite only where every term is; a false alarm only costs the mask."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


__all__ = ["Mask", "Outputs", "bad_scores", "output_schema", "output_table"]
