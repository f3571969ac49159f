"""How many rows at once, how many workers, and what that needs: sums over figures that are known before the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlserve_cli.contract import Contract, ModelFacts, Output
from mlserve_cli.errors import MemoryTooSmall
from mlserve_cli.tables import Column, Shard

MIB = 1 << 20
# Small networks are fastest at 512 to 1,024 rows (1.7 M rows/s against 0.9 M at 65k, measured); trees do not care
# within 7 %; a linear model only wants the cost of a call spread thin.
BATCH_ROWS = {"network": 1_024, "trees": 4_096, "linear": 8_192, "other": 1_024}
BATCH_BYTES = 8 * MIB
CHUNK_BYTES = 16 * MIB
# Measured on the sample models: Python with pyarrow and ONNX Runtime loaded, proportional set size.
PROCESS_BYTES = 110 * MIB
# Arrow columns, typed columns and the output of a chunk stand side by side for a moment.
COPIES_OF_A_CHUNK = 4
# ONNX Runtime holds the file's bytes while it builds, and its own packed form of the weights or trees after.
COPIES_OF_A_MODEL = 3
TEXT_BYTES = 24


@dataclass(frozen=True, slots=True)
class Need:
    """What one worker needs: `fixed_bytes` whatever the chunk, `row_bytes` for each row of a chunk."""

    fixed_bytes: int
    row_bytes: int

    def bytes_for(self, chunk_rows: int) -> int:
        """Peak of one worker with chunks of so many rows."""
        return self.fixed_bytes + COPIES_OF_A_CHUNK * self.row_bytes * chunk_rows


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is expected to take, to be compared with what it took."""

    workers: int
    chunk_rows: int
    peak_memory_bytes: int


def batch_rows_for(facts: ModelFacts, contract: Contract) -> int:
    """The batch that `auto` stands for: the fixed one if there is one, else by the model's kind and width."""
    if facts.fixed_batch:
        return facts.fixed_batch
    width = sum(part.tensor.width or len(part.columns) for part in contract.inputs)
    most = max(BATCH_BYTES // max(8 * width, 1), 1)
    return min(BATCH_ROWS[facts.family], 1 << (most.bit_length() - 1))


def row_bytes(columns: Iterable[Column], outputs: Iterable[Output]) -> int:
    """Bytes of one row's Arrow columns, by their types' text, with the outputs beside them."""
    read = sum(TEXT_BYTES if "str" in column.type or column.type == "text" else 8 for column in columns)
    return read + sum(8 * (output.tensor.width or 1) for output in outputs) + 2 * TEXT_BYTES


def chunk_rows_for(need: Need, *, batch_rows: int, free_bytes: int | None) -> int:
    """Rows decoded at once: a whole number of batches, at least one; fewer where memory is short."""
    budget = CHUNK_BYTES
    if free_bytes is not None:
        budget = min(budget, max(free_bytes - need.fixed_bytes, 0) // COPIES_OF_A_CHUNK)
    return max(budget // max(need.row_bytes, 1) // batch_rows, 1) * batch_rows


def fit_workers(need: Need, *, wanted: int, batch_rows: int, limit_bytes: int | None, in_process: bool) -> Estimate:
    """As many of the wanted workers as fit, with chunks as large as is useful.

    Raises MemoryTooSmall (78) where one worker with one batch does not fit.
    """
    driver = 0 if in_process else PROCESS_BYTES
    for workers in range(wanted, 0, -1):
        free = None if limit_bytes is None else (limit_bytes - driver) // workers
        rows = chunk_rows_for(need, batch_rows=batch_rows, free_bytes=free)
        peak = driver + workers * need.bytes_for(rows)
        if limit_bytes is None or peak <= limit_bytes:
            return Estimate(workers, rows, peak)
    least = driver + need.bytes_for(batch_rows)
    raise MemoryTooSmall(
        f"one worker with one batch of {batch_rows} rows needs about {least // MIB + 1} MiB, "
        f"the limit is {(limit_bytes or 0) // MIB} MiB",
        "--memory-limit or the container's limit",
        f"allow at least {least // MIB + 1} MiB, or take a smaller --batch-rows",
    )


def bytes_per_text(shards: Iterable[Shard]) -> int:
    """Raw bytes of a CSV row, the widest shard's mean: text is held as it stands beside the numbers made of it."""
    return max((shard.size_bytes // max(shard.rows, 1) for shard in shards if shard.format == "csv"), default=0)
