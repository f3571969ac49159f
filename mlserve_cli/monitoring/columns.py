"""The profile of data as it stands: every column, without a model to say what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from mlserve_cli import features, tables
from mlserve_cli.contract import compute as pc
from mlserve_cli.errors import MissingColumn
from mlserve_cli.planning import profile_every_for
from mlserve_cli.profiles import Categories, Column, Numbers, Profile, Profiler, merge, sampled_rows
from mlserve_cli.scoring.bad_rows import first_bad_row
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.tables import Dialect, Shard, text_of

CHUNK_ROWS = 131_072
LEADING_ZERO = r"^[+-]?0[0-9]"  # 00123 is a name, whoever wrote it


@dataclass(frozen=True, slots=True)
class Kinds:
    """What each column is; `left_out` are neither numbers nor names: times, lists, bytes."""

    numbers: frozenset[str]
    categories: frozenset[str]
    left_out: tuple[str, ...]


def profile_columns(
    targets: Sequence[str],
    *,
    categories: Sequence[str],
    dialect: Dialect,
    input_format: Literal["parquet", "csv"] | None,
) -> Profile:
    """Every column of the files at `targets`. Text is a number where all of it in all files is; `categories` are not.

    Raises InputMissing (66) where nothing matches, MissingColumn (65) where the first file has not all of `categories`,
    BadRow (65) for a line of a CSV that is none.
    """
    found = tables.find_files(targets, output=None)
    shards = [
        tables.look_into(file, index=index, dialect=dialect, input_format=input_format)
        for index, file in enumerate(found.files)
    ]
    for name in categories:
        for shard in shards[:1]:
            present = tuple(column.name for column in shard.columns)
            if name not in present:
                raise MissingColumn(shard.name, name, present)
    every = profile_every_for(sum(shard.rows for shard in shards), whole=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        kinds = _kinds(shards, categories, list(pool.map(lambda shard: _text_numbers(shard, dialect), shards)))
        parts = list(pool.map(lambda shard: _profile_shard(shard, kinds, every=every, dialect=dialect), shards))
    return merge(parts, source=", ".join(map(text_of, targets)), model="")


def _kinds(shards: Sequence[Shard], categories: Sequence[str], numbers_in_text: Sequence[frozenset[str]]) -> Kinds:
    """A column is what it is in every file: a name in one of them makes names of all."""
    numbers, names, left_out = set[str](), set(categories), dict[str, None]()
    for shard, parsed in zip(shards, numbers_in_text, strict=True):
        for column in shard.columns:
            kind = column.type
            if column.name in parsed or kind.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
                numbers.add(column.name)
            elif kind in ("text", "string", "large_string", "bool", "null") or kind.startswith("dictionary"):
                names.add(column.name)
            else:
                left_out[column.name] = None
    return Kinds(frozenset(numbers - names - {*left_out}), frozenset(names - {*left_out}), tuple(left_out))


def _text_numbers(shard: Shard, dialect: Dialect) -> frozenset[str]:
    """The text columns of a shard in which every value is a number. Read once more: a guess would be over its head."""
    left = {column.name for column in shard.columns if column.type == "text"}
    if not left:
        return frozenset()
    for chunk in _chunks(shard, sorted(left), dialect):
        left -= {name for name in left if not _is_numeric(features.one_array(chunk.table[name]))}
    return frozenset(left)


def _is_numeric(text: pa.Array) -> bool:
    if pc.any(pc.match_substring_regex(text, LEADING_ZERO)).as_py():
        return False
    try:
        pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _profile_shard(shard: Shard, kinds: Kinds, *, every: int, dialect: Dialect) -> Profile:
    profiler = Profiler()
    columns = [column.name for column in shard.columns if column.name not in kinds.left_out]
    for chunk in _chunks(shard, columns, dialect):
        if len(chunk.faults):
            raise first_bad_row(chunk.faults, file=shard.name, start_row=chunk.start_row)
        rows = chunk.table.num_rows
        sample = sampled_rows(chunk.start_row, chunk.start_row + rows, every=every, shard=shard.index)
        profiler.add(
            {name: _column(features.one_array(chunk.table[name]), name in kinds.numbers) for name in columns},
            {},
            rows=rows,
            sample=None if sample is None else sample - chunk.start_row,
        )
    return profiler.result(source="", model="", left_out=kinds.left_out)


def _column(array: pa.Array, is_number: bool) -> Column:
    if not is_number:
        return Categories(array)
    if pa.types.is_null(array.type):
        return Numbers(np.zeros(len(array)), np.ones(len(array), np.bool_))
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        array = pc.cast(array, pa.float64())
    return Numbers(features.values_of(array), features.null_mask(array))


def _chunks(shard: Shard, columns: Sequence[str], dialect: Dialect) -> Iterator[tables.Chunk]:
    return tables.read_chunks(
        shard, columns=columns, start_row=0, stop_row=shard.rows, chunk_rows=CHUNK_ROWS, dialect=dialect
    )
