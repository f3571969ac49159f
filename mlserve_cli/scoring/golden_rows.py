"""Chooses golden rows, evenly over all the data, and writes them with their scores.

The inputs stand as the model gets them, in its own types; nothing of a CSV's spelling is left. Where the data has the
scores of the library that trained the model, every row of it is scored and compared, and those scores are kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract, Output
from mlserve_cli.contract import compute as pc
from mlserve_cli.errors import DataError, MissingColumn, UsageError, shown
from mlserve_cli.scoring.batches import Clock, ScoredRows, score_batches
from mlserve_cli.scoring.distance import distances
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Chunk, Dialect, Shard

CHUNK_ROWS = 16_384
BATCH_ROWS = 1_024
EXPECTED = "expected_"


class GoldenRows(msgspec.Struct, frozen=True):
    """The file's bytes and its rows, and how far the model's scores were from the expected ones, over `compared_rows`
    (0 where none were given); `worst` says where most."""

    parquet: bytes
    rows: int
    compared_rows: int
    max_difference: float
    mean_difference: float
    worst: str


class _Comparison(msgspec.Struct):
    """What was seen so far."""

    rows: int = 0
    total: float = 0.0
    largest: float = 0.0
    worst: str = ""

    def add(self, apart: NDArray[np.float64], places: NDArray[np.int64], *, column: str, file: str) -> None:
        """One column of some rows (float64, shape [rows]) at `places` of a file."""
        self.total += float(apart.sum())
        if len(apart) and (self.worst == "" or apart.max() > self.largest):
            at = int(np.argmax(apart))
            self.largest = float(apart[at])
            self.worst = f"{shown(file, limit=400)}, row {places[at]}, {shown(column)}"


def golden_rows(
    shards: Sequence[Shard],
    contract: Contract,
    *,
    predictor: Predictor,
    wanted: int,
    expected: Mapping[str, str],
    dialect: Dialect,
) -> GoldenRows:
    """`wanted` rows of the shards, or all where there are fewer. `expected` maps a written column to one of the data.

    Raises DataError (65) where a column is missing or of another type, or no row can be scored.
    """
    _check_columns(shards, contract, expected)
    total = sum(shard.rows for shard in shards)
    comparison = _Comparison()
    kept: list[pa.Table] = []
    for before, shard, chunk in _chunks(shards, contract, expected, dialect=dialect):
        chosen = tables.spread_evenly(before + chunk.start_row, chunk.table.num_rows, wanted=wanted, total=total)
        if not expected and not chosen.any():
            continue
        kept.append(_scored(chunk, shard, contract, predictor, chosen, expected=expected, comparison=comparison))
    rows = pa.concat_tables(kept) if kept else None
    if rows is None or rows.num_rows == 0:
        raise DataError(
            "no row of the data can be scored", "--data", "where the model takes missing values: --nulls nan"
        )
    mean = comparison.total / max(comparison.rows * max(len(expected), 1), 1)
    return GoldenRows(_encoded(rows), rows.num_rows, comparison.rows, comparison.largest, mean, comparison.worst)


def _check_columns(shards: Sequence[Shard], contract: Contract, expected: Mapping[str, str]) -> None:
    written = [column for output in contract.outputs for column in output.columns]
    clash = sorted({f"{EXPECTED}{column}" for column in written} & set(contract.columns))
    if clash:
        raise UsageError(f"the model takes a column {shown(clash[0])}, as expected scores are called", "", "rename it")
    for shard in shards:
        present = tuple(column.name for column in shard.columns)
        features.check_types(contract, [(column.name, column.type) for column in shard.columns], file=shard.name)
        for name in expected.values():
            if name not in present:
                raise MissingColumn(shard.name, name, present)


def _chunks(
    shards: Sequence[Shard], contract: Contract, expected: Mapping[str, str], *, dialect: Dialect
) -> Iterator[tuple[int, Shard, Chunk]]:
    """Every chunk with the number of rows in the shards before its own."""
    names = [*map(contract.file_column, contract.columns), *expected.values()]
    before = 0
    for shard in shards:
        for chunk in tables.read_chunks(
            shard,
            columns=tuple(dict.fromkeys(names)),
            start_row=0,
            stop_row=shard.rows,
            chunk_rows=CHUNK_ROWS,
            dialect=dialect,
        ):
            yield before, shard, chunk
        before += shard.rows


def _scored(
    chunk: Chunk,
    shard: Shard,
    contract: Contract,
    predictor: Predictor,
    chosen: NDArray[np.bool_],
    *,
    expected: Mapping[str, str],
    comparison: _Comparison,
) -> pa.Table:
    """The chosen rows with their scores. Without expected ones no other row is scored. Bad rows are no golden ones."""
    table = chunk.table if expected else chunk.table.filter(as_mask(chosen))
    text = {column.name for column in shard.columns if column.type == "text"}
    converted = features.convert(table, contract, text=text, faults=chunk.faults if expected else None, file=shard.name)
    scored = score_batches(converted, contract=contract, predictor=predictor, batch_rows=BATCH_ROWS, clock=Clock())
    outputs = features.output_table(contract, scored.outputs) if len(scored.kept) else None
    if outputs is None:
        return _inputs(converted, contract, scored).slice(0, 0)
    known = {name: table[column].take(as_rows(scored.kept)) for name, column in expected.items()}
    comparison.rows += len(scored.kept) if expected else 0
    for name, column in known.items():
        apart = distances(outputs[name], _like(column, outputs[name].type))
        comparison.add(apart, scored.kept + chunk.start_row, column=name, file=shard.name)
    rows = _inputs(converted, contract, scored)
    for name in outputs.column_names:
        column = _like(known[name], outputs[name].type) if name in known else outputs[name]
        rows = rows.append_column(f"{EXPECTED}{name}", column)
    return rows.filter(as_mask(chosen[scored.kept])) if expected else rows


def _inputs(converted: features.Features, contract: Contract, scored: ScoredRows) -> pa.Table:
    """The model's columns of the rows that were scored, in the types that it takes, each once."""
    tensors = features.batch_tensors(converted, 0, converted.rows)
    parts = tuple(Output(part.tensor, "value", part.columns) for part in contract.inputs)
    wide = msgspec.structs.replace(contract, outputs=parts, threshold=None)
    table = features.output_table(wide, {name: values[scored.kept] for name, values in tensors.items()})
    first = [table.column_names.index(name) for name in dict.fromkeys(table.column_names)]
    return table.select(first)


def _like(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Expected values beside the model's own: doubles stay what they are, a CSV's text and categories are read."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) and pa.types.is_floating(kind):
        return column
    try:
        return pc.cast(column, pa.float64() if pa.types.is_floating(kind) else kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column


def _encoded(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    tables.write_part(file, [rows], schema=rows.schema, format="parquet")
    return file.getvalue()


def as_mask(chosen: NDArray[np.bool_]) -> pa.Array:
    """Rows to keep, without pandas on the way."""
    return pa.Array.from_buffers(
        pa.bool_(), len(chosen), [None, pa.py_buffer(np.packbits(chosen, bitorder="little").tobytes())]
    )


def as_rows(places: NDArray[np.int64]) -> pa.Array:
    """Row numbers to take."""
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(np.ascontiguousarray(places))])
