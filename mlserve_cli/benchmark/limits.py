"""What the machine can do with a plan's work and nothing else, as a process of its own so that its start counts too.

    python -m mlserve_cli.benchmark.limits WORK FOLDER OUTPUT BATCH_ROWS

FOLDER holds plan.json. WORK is `decode`: the needed columns, on all cores; `compute`: as many rows as there are, taken
from the first ones in memory, through the plan's predictor on all cores; `back-to-back`: decode, then compute, then
write that many ids and scores; `sizes`: which batch computes fastest, and the scores of the first rows to compare.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.benchmark.work import delimiter_of, fixed_batch, wanted_rows
from mlserve_cli.contract import Contract
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.predictors import open_planned
from mlserve_cli.scoring.rows import columns_of, first_rows
from mlserve_cli.scoring.task import load_plan
from mlserve_cli.session import Predictor, Tensors
from mlserve_cli.tables import Shard

T = TypeVar("T")
Outputs = dict[str, NDArray[Any]]

SAMPLE_ROWS = 32_768  # more than a core keeps in its own caches, as it is with the rows of a file
SIZES = (256, 1_024, 4_096, 16_384)
SIZES_ROWS = 50_000
SIZES_ROUNDS = 3
CALLS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """The plan's work, all cores, and what is computed: batches of its first rows."""

    plan: Plan
    output: Path
    batch_rows: int
    pool: ThreadPoolExecutor
    predictor: Predictor | None
    batches: tuple[Tensors, ...]


def main(work: str, folder: str, output: str, batch_rows: str) -> None:
    """Do it and say in one line of JSON how long each stage took."""
    plan, rows_at_once = load_plan(Path(folder)), int(batch_rows)
    with ThreadPoolExecutor(usable_cores()) as pool:
        predictor = None if work == "decode" else open_planned(plan)
        batches = () if work in ("decode", "sizes") else tuple(_batches(plan, rows_at_once))
        limit = Limit(plan, Path(output), rows_at_once, pool, predictor, batches)
        began = time.perf_counter()
        facts = WORKS[work](limit)
        print(json.dumps({"seconds": time.perf_counter() - began, **facts}))


def decode(limit: Limit) -> dict[str, object]:
    """Every needed column of every row; what is carried over to the output is kept."""
    return {"stages_s": {"read": _timed(lambda: _read(limit))[0]}}


def compute(limit: Limit) -> dict[str, object]:
    """As many rows as the plan has."""
    return {"stages_s": {"inference": _timed(lambda: _compute(limit))[0]}}


def back_to_back(limit: Limit) -> dict[str, object]:
    """One after the other, each on all cores."""
    read_s, carried = _timed(lambda: _read(limit))
    inference_s, scores = _timed(lambda: _compute(limit))
    write_s, _ = _timed(lambda: _write(limit, carried, scores))
    return {"stages_s": {"read": read_s, "inference": inference_s, "write": write_s}}


def sizes(limit: Limit) -> dict[str, object]:
    """The best batch, and the scores of the first rows in sample.parquet, at the plan's own batch."""
    assert limit.predictor is not None
    seconds: dict[int, list[float]] = {}
    for _ in range(SIZES_ROUNDS):
        for batch_rows in _candidates(limit.plan):
            batches = tuple(_batches(limit.plan, batch_rows))
            calls = max(SIZES_ROWS // batch_rows, usable_cores())
            spent_s, _ = _timed(partial(_call, limit.pool, limit.predictor, batches, calls))
            seconds.setdefault(batch_rows, []).append(spent_s / (calls * batch_rows))
    scored = [
        _table(limit, outputs) for outputs in map(limit.predictor.predict, _batches(limit.plan, limit.batch_rows))
    ]
    pq.write_table(pa.concat_tables(scored), limit.output / "sample.parquet")
    return {"batch_rows": min(seconds, key=lambda size: min(seconds[size]))}


WORKS: dict[str, Callable[[Limit], dict[str, object]]] = {
    "decode": decode,
    "compute": compute,
    "back-to-back": back_to_back,
    "sizes": sizes,
}


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    value = work()
    return time.perf_counter() - began, value


# Decode: row groups side by side, and CSVs as pyarrow reads them on all cores


def _read(limit: Limit) -> list[pa.Table]:
    """For each shard what is carried over to the output."""
    plan = limit.plan
    rows = wanted_rows(plan)
    pieces = [(number, place) for number, most in rows.items() for place in _places(plan.inputs[number], most)]
    tables = limit.pool.map(lambda piece: _read_piece(plan, *piece), pieces)
    found: dict[int, list[pa.Table]] = {number: [] for number in rows}
    for (number, _), table in zip(pieces, tables, strict=True):
        found[number].append(table)
    return [pa.concat_tables(found[number]).slice(0, most) for number, most in rows.items()]


def _places(shard: Shard, rows: int) -> list[int]:
    """The row groups in which the first `rows` rows lie; a CSV is one piece."""
    if shard.format == "csv":
        return [0]
    starts = accumulate((block.rows for block in shard.blocks), initial=0)
    return [place for place, start in zip(range(len(shard.blocks)), starts, strict=False) if start < rows]


def _read_piece(plan: Plan, number: int, place: int) -> pa.Table:
    shard = plan.inputs[number]
    present = [column.name for column in shard.file_columns]
    columns = [name for name in columns_of(plan) if name in present]
    carried = [name for name in plan.output.carried if name in present]
    if shard.format == "csv":
        return _read_csv(plan, shard, columns).select(carried)
    with pq.ParquetFile(shard.os_path) as file:
        return file.read_row_group(place, columns=columns, use_threads=False).select(carried)


def _read_csv(plan: Plan, shard: Shard, columns: list[str]) -> pa.Table:
    dialect = plan.dialect
    floats = [plan.contract.file_column(name) for name in plan.contract.columns if _is_float(plan.contract, name)]
    reading = pa.csv.ReadOptions(
        encoding=dialect.encoding,
        column_names=None if dialect.header else [column.name for column in shard.file_columns],
    )
    parsing = pa.csv.ParseOptions(delimiter=delimiter_of(plan, shard), quote_char=dialect.quote or False)
    converting = pa.csv.ConvertOptions(
        include_columns=columns,
        column_types={name: pa.float32() if name in floats else pa.string() for name in columns},
        null_values=list(dialect.null_values),
    )
    return pa.csv.read_csv(shard.os_path, read_options=reading, parse_options=parsing, convert_options=converting)


def _is_float(contract: Contract, column: str) -> bool:
    return contract.dtype_of(column).startswith("float")


# Compute


def _batches(plan: Plan, batch_rows: int) -> Iterator[Tensors]:
    """Whole batches of the first rows, as the model takes them."""
    task = next(task for task in plan.tasks if task.rows)
    most = min(task.rows, SAMPLE_ROWS)
    chunk = first_rows(plan, task, rows=most - most % batch_rows or most)
    for start in range(0, chunk.rows, batch_rows):
        yield features.batch_tensors(chunk, start, min(start + batch_rows, chunk.rows))


def _compute(limit: Limit) -> dict[int, Outputs]:
    """Enough calls for all rows; what came of each batch."""
    assert limit.predictor is not None
    rows_of_a_call = sum(map(_rows, limit.batches)) / len(limit.batches)
    calls = math.ceil(limit.plan.rows / rows_of_a_call)
    return _call(limit.pool, limit.predictor, limit.batches, calls)


def _call(
    pool: ThreadPoolExecutor, predictor: Predictor, batches: tuple[Tensors, ...], calls: int
) -> dict[int, Outputs]:
    def work(first: int) -> dict[int, Outputs]:
        places = (number % len(batches) for number in range(first, min(first + CALLS_AT_ONCE, calls)))
        return {place: predictor.predict(batches[place]) for place in places}

    found: dict[int, Outputs] = {}
    for some in pool.map(work, range(0, calls, CALLS_AT_ONCE)):
        found |= some
    return found


def _candidates(plan: Plan) -> tuple[int, ...]:
    """Batches to try, the plan's own among them."""
    return fixed_batch(plan) or tuple(sorted({*SIZES, plan.batch_rows}))


def _rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


# Write


def _write(limit: Limit, carried: list[pa.Table], scores: dict[int, Outputs]) -> None:
    """What is carried over and as many scores, a file for each shard."""
    predictions = pa.concat_tables(_table(limit, scores[place]) for place in sorted(scores))

    def write(number: int) -> None:
        rows = carried[number].num_rows or wanted[number]
        laps = -(-rows // predictions.num_rows)
        table = pa.concat_tables([predictions] * laps).slice(0, rows)
        columns = {**_columns(carried[number]), **_columns(table)}
        pq.write_table(pa.table(columns), limit.output / f"limit-{number:05}.parquet", compression="zstd")

    wanted = list(wanted_rows(limit.plan).values())
    list(limit.pool.map(write, range(len(carried))))


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _table(limit: Limit, outputs: Outputs) -> pa.Table:
    return features.output_table(limit.plan.contract, outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
