"""What the script is told: a plan's work in the terms of polars and ONNX Runtime, as JSON that a person can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlserve_cli.contract import Contract, Input
from mlserve_cli.planning import Plan
from mlserve_cli.session import cut_zipmaps
from mlserve_cli.tables import Shard

# numpy's names and polars's
TYPES = {
    "float16": "Float32",
    "float32": "Float32",
    "float64": "Float64",
    "bool": "Boolean",
    "string": "String",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
}


def script_work(
    plan: Plan, *, output: Path, model: Path, batch_rows: int, most_rows: int | None = None
) -> dict[str, Any]:
    """The whole of the plan's work, or the first `most_rows` of it."""
    first = plan.inputs[0]
    read = [column.name for column in first.file_columns]
    contract, carried = plan.contract, list(plan.output.carried)
    columns = [contract.file_column(name) for name in contract.columns]
    return {
        "model": str(model),
        "batch_rows": batch_rows,
        "output": str(output),
        "format": first.format,
        "files": _files(plan, most_rows),
        "columns": [_polars_name(name) for name in dict.fromkeys([*carried, *columns]) if name in read],
        "types": {
            _polars_name(contract.file_column(name)): TYPES[contract.dtype_of(name)] for name in contract.columns
        },
        "csv": _csv_options(plan, first) if first.format == "csv" else {},
        "inputs": [_input(part, contract) for part in contract.inputs],
        "outputs": [{"name": one.tensor.name, "columns": list(one.columns)} for one in contract.outputs],
        "carried": [_polars_name(name) for name in carried],
    }


def wanted_rows(plan: Plan) -> dict[int, int]:
    """How many rows of each shard the plan takes, those with none left out."""
    rows: dict[int, int] = {}
    for task in plan.tasks:
        rows[task.shard] = max(rows.get(task.shard, 0), task.stop_row)
    return {number: most for number, most in rows.items() if most}


def plain_model(plan: Plan, folder: Path) -> Path:
    """The model as a careful person exports it, without ZipMap: a list of dicts a batch would slow the script down."""
    path = Path(plan.model.model_path)
    if plan.model.external_files:
        return path
    wanted = [output.tensor.name for output in plan.contract.outputs]
    data = path.read_bytes()
    cut = cut_zipmaps(data, wanted=wanted, where=str(path))
    if cut == data:
        return path
    plain = folder / "without-zipmap.onnx"
    plain.write_bytes(cut)
    return plain


def fixed_batch(plan: Plan) -> tuple[int, ...]:
    """The one batch that the model takes, nothing where it takes any."""
    return tuple({part.tensor.shape[0] for part in plan.contract.inputs if part.tensor.shape and part.tensor.shape[0]})


def delimiter_of(plan: Plan, shard: Shard) -> str:
    """What stands between the fields of a CSV."""
    name = shard.name.lower().removesuffix(".gz").removesuffix(".zst")
    return plan.dialect.delimiter or ("\t" if name.endswith(".tsv") else ",")


def _files(plan: Plan, most_rows: int | None) -> list[tuple[str, int, dict[str, str]]]:
    files, left = [], plan.rows if most_rows is None else most_rows
    for number, rows in wanted_rows(plan).items():
        shard, take = plan.inputs[number], min(rows, left)
        if take:
            files.append((os.fsdecode(shard.os_path), take, dict(shard.hive)))
        left -= take
    return files


def _csv_options(plan: Plan, shard: Shard) -> dict[str, Any]:
    dialect = plan.dialect
    return {
        "separator": delimiter_of(plan, shard),
        "quote_char": dialect.quote or None,
        "has_header": dialect.header,
        "null_values": list(dialect.null_values),
        "encoding": "utf8" if dialect.encoding in ("utf-8", "utf8") else dialect.encoding,
    }


def _input(part: Input, contract: Contract) -> dict[str, Any]:
    files = {name: _polars_name(contract.file_column(name)) for name in part.columns}
    return {
        "name": part.tensor.name,
        "columns": list(files.values()),
        "type": TYPES[part.tensor.dtype],
        "width": part.tensor.width if part.is_list else None,
        "shape": [-1 if size is None else size for size in part.tensor.shape[1:]],
        "fill": {files[name]: contract.fill[name] for name in part.columns if name in contract.fill},
    }


def _polars_name(column: str) -> str:
    """A column without a header is #1 with us and column_1 with polars."""
    return f"column_{column[1:]}" if column.startswith("#") and column[1:].isdigit() else column
