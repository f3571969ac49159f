"""How many rows at once, how many workers, and what that needs: sums over figures that are known before the run."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mlserve_cli.contract import Contract, ModelFacts, Output
from mlserve_cli.errors import MemoryTooSmall
from mlserve_cli.tables import Column, Shard

MIB = 1 << 20
# Small networks are fastest at 512 to 1,024 rows (1.7 M rows/s against 0.9 M at 65k, measured); trees do not care
# within 7 %; a linear model only wants the cost of a call spread thin.
BATCH_ROWS = {"network": 1_024, "trees": 4_096, "linear": 8_192, "other": 1_024}
# A session with threads of its own, as a large forest has: they wait for each other at a batch's end, and 4,096 rows
# took 15 % more of the whole run (measured on two cores).
BATCH_ROWS_OF_THREADS = 32_768
BATCH_BYTES = 8 * MIB
# A wide chunk of half as many bytes took a third more time, since each column of each chunk costs some microseconds; of
# 28 columns more rows than this are no faster (measured).
CHUNK_BYTES = 16 * MIB
CHUNK_ROWS = 49_152
# What is held, measured on the sample models (python -m tests.benchmarks.memory): the process that the command starts,
# with Python, pyarrow, ONNX Runtime and the plan; what a worker has beside the code that it shares with that process;
# what a column more takes of either, in the plan, the contract and each footer.
PROCESS_BYTES = 110 * MIB
WORKER_BYTES = 40 * MIB
COLUMN_BYTES = 8 << 10
# For each lane: decompressors, the row group that is being filled, the buffers of a batch.
LANE_BYTES = 12 * MIB
# What stays of LLVM when its code is let go of, with the machine code that it made of a kernel for trees.
COMPILER_BYTES = 32 * MIB
# What a limit must leave free beside the estimate, which is right within about a tenth.
SPARE = 1.15
# The reader's values, the chunk made of them, the one before it, its typed columns and outputs stand side by side.
# A number counts as eight bytes here: half of them are a float32, half what Arrow's allocator keeps beside it.
COPIES_OF_A_CHUNK = 4
# ONNX Runtime holds the file's bytes while it builds, and its own packed form of the weights or trees after.
COPIES_OF_A_MODEL = 3
TEXT_BYTES = 48  # as Arrow has it, and as the object that ONNX Runtime takes
SOURCE_BYTES = 32  # the shard's name and the row's number, where no column says which row it is


class Need(msgspec.Struct, frozen=True):
    """What a run needs: `model_bytes` in each process, `row_bytes` for each row of each lane's chunk.

    A chunk never has more rows than the largest task, `most_rows`. The processes share `compiler_bytes`.
    `page_bytes` are what each lane's reader holds. Of `columns` each process knows the names and where they lie.
    """

    model_bytes: int
    row_bytes: int
    most_rows: int
    compiler_bytes: int = 0
    page_bytes: int = 0
    columns: int = 0

    def bytes_for(self, *, lanes: int, chunk_rows: int, in_process: bool) -> int:
        """Peak of all processes with so many chunks of so many rows at once."""
        workers = 0 if in_process else lanes
        own_bytes = COPIES_OF_A_MODEL * self.model_bytes + COLUMN_BYTES * self.columns
        processes = PROCESS_BYTES + workers * WORKER_BYTES + (workers + 1) * own_bytes + self.compiler_bytes
        chunk_bytes = COPIES_OF_A_CHUNK * self.row_bytes * min(chunk_rows, self.most_rows)
        return processes + lanes * (LANE_BYTES + self.page_bytes + chunk_bytes)


class Estimate(msgspec.Struct, frozen=True):
    """What a run is expected to take, to be compared with what it took."""

    lanes: int
    chunk_rows: int
    peak_memory_bytes: int


def batch_rows_for(facts: ModelFacts, contract: Contract, *, threads: int = 1) -> int:
    """The batch that `auto` stands for: the fixed one if there is one, else by the model's kind and width.

    `threads` are those that a session of ONNX Runtime has of its own.
    """
    if facts.fixed_batch:
        return facts.fixed_batch
    width = sum(part.tensor.width or len(part.columns) for part in contract.inputs)
    most = max(BATCH_BYTES // max(8 * width, 1), 1)
    wanted = BATCH_ROWS[facts.family] if threads == 1 else BATCH_ROWS_OF_THREADS
    return min(wanted, 1 << (most.bit_length() - 1))


def row_bytes(columns: Iterable[Column], outputs: Iterable[Output]) -> int:
    """Bytes of one row's Arrow columns, by their types' text, with the outputs beside them."""
    read = sum(TEXT_BYTES if "str" in column.type or column.type == "text" else 8 for column in columns)
    return read + sum(8 * (output.tensor.width or 1) for output in outputs)


def fit_lanes(need: Need, *, wanted: int, batch_rows: int, limit_bytes: int | None, in_process: bool) -> Estimate:
    """As many of the wanted lanes as fit into the limit, with chunks of as many times `batch_rows` as is useful.

    Raises MemoryTooSmall (78) where one lane with one batch does not fit.
    """
    room = None if limit_bytes is None else int(limit_bytes / SPARE)
    for lanes in range(wanted, 0, -1):
        rows = _chunk_rows(need, lanes=lanes, batch_rows=batch_rows, room_bytes=room, in_process=in_process)
        peak = need.bytes_for(lanes=lanes, chunk_rows=rows, in_process=in_process)
        if room is None or peak <= room:
            return Estimate(lanes, rows, peak)
    least = int(need.bytes_for(lanes=1, chunk_rows=batch_rows, in_process=in_process) * SPARE) // MIB + 1
    raise MemoryTooSmall(
        f"one worker with {batch_rows} rows that are scored together needs about {least} MiB, "
        f"the limit is {(limit_bytes or 0) // MIB} MiB",
        "--memory-limit or the container's limit",
        f"allow at least {least} MiB, or take a smaller --batch-rows or --deduplicate off",
    )


def _chunk_rows(need: Need, *, lanes: int, batch_rows: int, room_bytes: int | None, in_process: bool) -> int:
    """Rows decoded at once: a whole number of batches, at least one; fewer where memory is short."""
    budget = CHUNK_BYTES
    if room_bytes is not None:
        empty = need.bytes_for(lanes=lanes, chunk_rows=0, in_process=in_process)
        budget = min(budget, max(room_bytes - empty, 0) // (lanes * COPIES_OF_A_CHUNK))
    return max(min(budget // max(need.row_bytes, 1), CHUNK_ROWS) // batch_rows, 1) * batch_rows


def bytes_per_text(shards: Iterable[Shard]) -> int:
    """Raw bytes of a CSV row, the widest shard's mean: text is held as it stands beside the numbers made of it."""
    return max((shard.size_bytes // max(shard.rows, 1) for shard in shards if shard.format == "csv"), default=0)
