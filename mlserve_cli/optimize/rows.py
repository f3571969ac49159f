"""Rows of a data path as a model's inputs, to calibrate with, to compare two models on, and to time them.

They are read as `score` reads them: same files, same order, same types, same batches. Where there are more than are
wanted, every so-manieth is taken, so that all files have their part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract
from mlserve_cli.errors import DataError, MissingColumn, shown
from mlserve_cli.session import Predictor, RowsFailed
from mlserve_cli.tables import Chunk, Dialect, Shard

CHUNK_ROWS = 16_384
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as the contract's inputs, each of shape [rows, …], and what is known of them.

    `labels` are the values of the label column (float64 or object, shape [rows]), None where none was asked for.
    `left_out` rows could not be fed to the model, for the reason `fault` (the first's).
    """

    tensors: Tensors
    labels: NDArray[Any] | None
    left_out: int
    fault: str

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batches(self, batch_rows: int) -> Iterator[Tensors]:
        """The rows `batch_rows` at a time, as views."""
        for start in range(0, len(self), batch_rows):
            yield {name: values[start : start + batch_rows] for name, values in self.tensors.items()}

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Those rows alone."""
        tensors = {name: values[chosen] for name, values in self.tensors.items()}
        return Rows(tensors, None if self.labels is None else self.labels[chosen], self.left_out, self.fault)


def rows_for(
    data: Sequence[str],
    contract: Contract,
    *,
    limit: int,
    labels: str = "",
    dialect: Dialect = tables.Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
) -> Rows:
    """At most `limit` rows of the files, folders and globs `data`, with the column `labels`, where one is named.

    Raises InputMissing (66) where nothing matches, and DataError (65) where a column is missing or of another type, or
    no row can be fed to the model. Single rows that cannot be fed, or have no label, are left out and counted.
    """
    shards = _shards(data, contract, labels, dialect=dialect, input_format=input_format)
    total = sum(shard.rows for shard in shards)
    pieces: list[Rows] = []
    before = 0
    for shard in shards:
        for chunk in _chunks(shard, contract, labels, dialect=dialect):
            chosen = tables.spread_evenly(before + chunk.start_row, chunk.table.num_rows, wanted=limit, total=total)
            pieces.append(_rows_of(chunk, shard, contract, labels, chosen=chosen))
        before += shard.rows
    return _joined(pieces, where=", ".join(shown(path, limit=200) for path in data))


def scores_of(predictor: Predictor, rows: Rows, *, batch_rows: int) -> dict[str, NDArray[Any]]:
    """The predictor's outputs for all rows, batch by batch. DataError (65) where it fails on one."""
    try:
        found = [predictor.predict(batch) for batch in rows.batches(batch_rows)]
    except RowsFailed as failure:
        raise DataError(str(failure), "", "leave such rows out of the data") from failure
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


def _shards(
    data: Sequence[str],
    contract: Contract,
    labels: str,
    *,
    dialect: Dialect,
    input_format: Literal["parquet", "csv"] | None,
) -> list[Shard]:
    """The files in the order of a run, each with every column that is wanted in a type that fits."""
    found = tables.find_files(tuple(data), output=None)
    shards = [
        tables.look_into(file, index=index, dialect=dialect, input_format=input_format)
        for index, file in enumerate(found.files)
    ]
    for shard in shards:
        columns = [(column.name, column.type) for column in shard.columns]
        features.check_types(contract, columns, file=shard.name)
        present = tuple(name for name, _ in columns)
        if labels and labels not in present:
            raise MissingColumn(shard.name, labels, present)
    return shards


def _chunks(shard: Shard, contract: Contract, labels: str, *, dialect: Dialect) -> Iterator[Chunk]:
    names = [*map(contract.file_column, contract.columns), *([labels] if labels else [])]
    return tables.read_chunks(
        shard,
        columns=tuple(dict.fromkeys(names)),
        start_row=0,
        stop_row=shard.rows,
        chunk_rows=CHUNK_ROWS,
        dialect=dialect,
    )


def _rows_of(chunk: Chunk, shard: Shard, contract: Contract, labels: str, *, chosen: NDArray[np.bool_]) -> Rows:
    text = {column.name for column in shard.columns if column.type == "text"}
    converted = features.convert(chunk.table, contract, text=text, faults=chunk.faults, file=shard.name)
    known = ~_is_null(chunk.table[labels]) if labels else np.ones(converted.rows, np.bool_)
    taken = chosen & ~converted.bad & known
    if not taken.any():
        tensors = {part.tensor.name: np.empty(0) for part in contract.inputs}
        kept = np.empty(0) if labels else None
    else:
        whole = features.batch_tensors(converted, 0, converted.rows)
        tensors = {name: values[taken] for name, values in whole.items()}
        kept = _label_values(chunk.table[labels])[taken] if labels else None
    left_out = int((chosen & ~taken).sum())
    return Rows(tensors, kept, left_out, _first_fault(converted, shard, chunk) if left_out else "")


def _is_null(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which labels are not known (bool, shape [rows])."""
    return np.array(pc.is_null(column, nan_is_null=True).to_pylist(), dtype=np.bool_)


def _label_values(column: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers as float64, anything else as text; a text that is a number counts as one. Nulls are anything."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    try:
        values = pc.fill_null(column.cast(pa.float64()), float("nan")).combine_chunks()
        return np.array(np.frombuffer(values.buffers()[1], np.float64, len(values), values.offset * 8))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.array(pc.cast(column, pa.string()).to_pylist(), dtype=object)


def _first_fault(converted: features.Features, shard: Shard, chunk: Chunk) -> str:
    if not len(converted.faults):
        return f"{shown(shard.name, limit=200)}: its label is null"
    first = converted.faults.table.slice(int(np.argmin(converted.faults.row_of_each)), 1).to_pylist()[0]
    place = f"{shown(shard.name, limit=200)}, row {chunk.start_row + first['row']}"
    return f"{place}, {shown(first['column'])}: {first['reason']}" if first["column"] else f"{place}: {first['reason']}"


def _joined(pieces: Sequence[Rows], *, where: str) -> Rows:
    some = [piece for piece in pieces if len(piece)]
    left_out = sum(piece.left_out for piece in pieces)
    fault = next((piece.fault for piece in pieces if piece.fault), "")
    if not some:
        raise DataError(
            "no row of it can be fed to the model",
            f"{where}: {fault}" if fault else where,
            "where the model takes missing values, --nulls nan" if "null" in fault else "give it rows of another file",
        )
    tensors = {name: np.concatenate([piece.tensors[name] for piece in some]) for name in some[0].tensors}
    labels = [piece.labels for piece in some if piece.labels is not None]
    return Rows(tensors, _one_kind(labels) if labels else None, left_out, fault)


def _one_kind(labels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """All label values in one array: text where some of them are."""
    if len({values.dtype.kind for values in labels}) == 1:
        return np.concatenate(labels)
    return np.concatenate([values.astype(str).astype(object) for values in labels])
