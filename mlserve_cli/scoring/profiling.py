"""The profile of a run's rows: of the features as the model takes them and the scores as they are written.

Over the rows in `data/`: a row that was set aside is in neither. A missing value counts as one, whatever the contract
has put in its place for the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract
from mlserve_cli.planning import Plan, Task
from mlserve_cli.profiles import Categories, Column, Numbers, Profile, Profiler, sampled_rows
from mlserve_cli.scoring.rows import columns_of, convert_chunk
from mlserve_cli.tables import Chunk, Shard

MOST_PLACES = 16  # of a list that are columns of their own: an embedding or a picture is no set of features to watch
Rows = NDArray[np.int64]


class RowsProfiler:
    """Takes in a task's rows, chunk by chunk."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._profiler = plan, Profiler()
        self._labels = label_columns(plan.contract)
        self._unfilled = _without_fill(plan)

    def add(self, chunk: Chunk, converted: features.Features, written: pa.Table, *, kept: Rows, shard: Shard) -> None:
        """The chunk's `kept` rows (positions), which became the rows of `written`, in their order."""
        if self._unfilled is not None:
            converted = convert_chunk(chunk, self._unfilled, shard=shard)
        start, rows = chunk.start_row, chunk.table.num_rows
        sample = sampled_rows(start, start + rows, every=self._plan.profile_every, shard=shard.index)
        places = None if sample is None else sample - start
        taken = None if len(kept) == rows else kept
        if taken is not None and places is not None:
            places = np.flatnonzero(np.isin(taken, places, assume_unique=True))
        self._profiler.add(
            dict(_feature_columns(chunk, converted, self._plan.contract, taken)),
            dict(_score_columns(written, self._plan.contract, self._labels)),
            rows=len(kept),
            sample=places,
        )

    def result(self) -> Profile:
        """The profile of all that was added."""
        return self._profiler.result(
            source="", model=self._plan.model.digest, left_out=left_out_columns(self._plan.contract)
        )


def label_columns(contract: Contract) -> frozenset[str]:
    """The written columns whose numbers are names of classes."""
    labels = {name for output in contract.outputs if output.role == "label" for name in output.columns}
    return frozenset(labels | ({contract.prediction} if contract.threshold is not None else set()))


def left_out_columns(contract: Contract) -> tuple[str, ...]:
    """Features and scores that are lists too long for a profile."""
    inputs = [part.columns[0] for part in contract.inputs if part.is_list and (part.tensor.width or 0) > MOST_PLACES]
    kinds = features.output_schema(contract)
    return (*inputs, *(field.name for field in kinds if features.list_width(field.type) > MOST_PLACES))


def _without_fill(plan: Plan) -> Plan | None:
    """The plan to convert by where the contract fills floats, so that what is missing stays to be seen."""
    contract = plan.contract
    fill = {name: value for name, value in contract.fill.items() if "float" not in contract.dtype_of(name)}
    if fill == contract.fill:
        return None
    return msgspec.structs.replace(plan, contract=msgspec.structs.replace(contract, fill=fill, nulls="nan"))


def _feature_columns(
    chunk: Chunk, converted: features.Features, contract: Contract, taken: Rows | None
) -> Iterator[tuple[str, Column]]:
    for part, columns in converted.inputs:
        for name, values in zip(part.columns, columns, strict=True):
            column = chunk.table[contract.file_column(name)]
            missing = features.null_mask(features.one_array(column)) if column.null_count else None  # which may copy
            if taken is not None:
                values, missing = values[taken], missing[taken] if missing is not None else None
            if values.dtype.kind == "O":
                texts = features.printed(features.one_array(column))
                yield name, Categories(texts if taken is None else texts.take(features.as_arrow(taken)))
            elif values.dtype == np.bool_:
                yield name, Categories(features.as_arrow(values, nulls=missing))
            elif values.ndim == 1:
                yield name, Numbers(values, missing)
            elif values.shape[1] <= MOST_PLACES:
                for place in range(values.shape[1]):
                    yield f"{name}[{place}]", Numbers(values[:, place], missing)


def _score_columns(written: pa.Table, contract: Contract, labels: frozenset[str]) -> Iterator[tuple[str, Column]]:
    for field in features.output_schema(contract):
        array = features.one_array(written[field.name])
        places = features.list_width(field.type)
        if field.name in labels or not (places or pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            yield field.name, Categories(features.values_of(array) if pa.types.is_integer(field.type) else array)
        elif not places:
            yield field.name, Numbers(features.values_of(array))
        elif places <= MOST_PLACES:
            values = features.values_of(array.flatten()).reshape(-1, places)
            for place in range(places):
                yield f"{field.name}[{place}]", Numbers(values[:, place])


def profile_part(plan: Plan, task: Task, part: Path, *, chunk_rows: int) -> Profile:
    """The profile of a part that an earlier run wrote of all of a task's rows: read again, scored no more."""
    profiler, shard = RowsProfiler(plan), plan.inputs[task.shard]
    chunks = tables.read_chunks(
        shard,
        columns=columns_of(plan),
        start_row=task.start_row,
        stop_row=task.stop_row,
        chunk_rows=chunk_rows,
        dialect=plan.dialect,
    )
    for chunk, written in zip(chunks, _written(plan, task, part, chunk_rows=chunk_rows), strict=True):
        kept = np.arange(chunk.table.num_rows, dtype=np.int64)
        profiler.add(chunk, convert_chunk(chunk, plan, shard=shard), written, kept=kept, shard=shard)
    return profiler.result()


def _written(plan: Plan, task: Task, part: Path, *, chunk_rows: int) -> Iterator[pa.Table]:
    """The scores of a part, in the types that they were written of: text in a CSV."""
    schema, dialect = features.output_schema(plan.contract), tables.Dialect(delimiter=",")
    found = tables.FoundFile(str(part), part.name)
    shard = tables.look_into(found, index=0, dialect=dialect, input_format=plan.output.format)
    chunks = tables.read_chunks(
        shard, columns=schema.names, start_row=0, stop_row=task.rows, chunk_rows=chunk_rows, dialect=dialect
    )
    for chunk in chunks:
        yield chunk.table.cast(schema)
