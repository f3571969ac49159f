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
        columns = [known.get(key) for key in _keys(part, own.contract)]
        if any(column is None for column in columns):
            return convert_chunk(chunk, own, shard=shard)
        inputs.append((part, tuple(column for column in columns if column is not None)))
    return features.Features(converted.rows, tuple(inputs), converted.faults, converted.bad)


def _alike(one: Contract, other: Contract) -> bool:
    """Whether both mean the same by a missing value and by a value of another type."""
    return (one.nulls, one.schema_mode, one.fill) == (other.nulls, other.schema_mode, other.fill)


def _by_file_column(converted: features.Features, contract: Contract) -> Known:
    return {
        key: values
        for part, columns in converted.inputs
        for key, values in zip(_keys(part, contract), columns, strict=True)
    }


def _keys(part: Input, contract: Contract) -> list[tuple[str, str, bool, int | None]]:
    """What decides how each column of an input is converted; made for every chunk, so what is alike is asked once."""
    is_list = part.is_list
    kind = (part.tensor.dtype, is_list, part.tensor.width if is_list else None)
    return [(contract.file_column(column), *kind) for column in part.columns]
