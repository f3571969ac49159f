"""Columns of a chunk for a second model: those that were converted for the first are taken, and not made again."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Contract, Input
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.rows import convert_chunk
from mlserve_cli.tables import Chunk, Shard

Known = dict[tuple[str, str, bool, int | None], NDArray[Any]]


def converted_for(
    own: Plan, chunk: Chunk, *, beside: Plan, converted: features.Features, shard: Shard
) -> features.Features:
    """The chunk as the model of plan `own` takes it, where it was `converted` for the one of plan `beside`.

    Shared where both take every one of its columns in the same way. Rows that are bad by another column of the first
    model are bad for both then, which the first has set aside.
    """
    if not _alike(own.contract, beside.contract):
        return convert_chunk(chunk, own, shard=shard)
    known = _by_file_column(converted, beside.contract)
    inputs = []
    for part in own.contract.inputs:
        columns = [known.get(_key(part, column, own.contract)) for column in part.columns]
        if any(column is None for column in columns):
            return convert_chunk(chunk, own, shard=shard)
        inputs.append((part, tuple(column for column in columns if column is not None)))
    return features.Features(converted.rows, tuple(inputs), converted.faults, converted.bad)


def _alike(one: Contract, other: Contract) -> bool:
    """Whether both mean the same by a missing value and by a value of another type."""
    return (one.nulls, one.schema_mode, one.fill) == (other.nulls, other.schema_mode, other.fill)


def _by_file_column(converted: features.Features, contract: Contract) -> Known:
    return {
        _key(part, column, contract): values
        for part, columns in converted.inputs
        for column, values in zip(part.columns, columns, strict=True)
    }


def _key(part: Input, column: str, contract: Contract) -> tuple[str, str, bool, int | None]:
    width = part.tensor.width if part.is_list else None
    return contract.file_column(column), part.tensor.dtype, part.is_list, width
