"""Splits shards into tasks, by a rule that knows the model and the shards but never the machine.

The number of workers must not show in the output (law 3), so it must not show here either: the same files and the same
model give the same tasks on a laptop and on a server.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mlserve_cli.planning.plan import Task
from mlserve_cli.tables import Shard

# About a second or two of work each, on one thread of the machine on which this was first measured: small enough that
# the last tasks end together, large enough that opening a file and publishing a part do not show.
TASK_ROWS = {"trees": 131_072, "network": 262_144, "other": 131_072, "linear": 524_288}
# A row group is decoded from its first row by each task that begins inside it, so it is never cut into more than this.
PIECES_PER_ROW_GROUP = 16


def split(shards: Sequence[Shard], *, family: str, batch_rows: int, limit: int | None = None) -> tuple[Task, ...]:
    """The tasks of a run: every row of every shard once, in order; the first `limit` rows only, where one is given."""
    target = max(TASK_ROWS.get(family, TASK_ROWS["other"]) // batch_rows, 1) * batch_rows
    tasks: list[Task] = []
    left = limit
    for shard in shards:
        for number, (start, stop) in enumerate(_ranges(shard, target_rows=target, batch_rows=batch_rows)):
            if left is not None:
                stop = min(stop, start + left)
                left -= stop - start
            if stop > start or (
                number == 0 and limit is None
            ):  # an empty shard has one empty task: it is accounted for
                tasks.append(Task(len(tasks), shard.index, number, start, stop))
    return tuple(tasks)


def _ranges(shard: Shard, *, target_rows: int, batch_rows: int) -> Iterator[tuple[int, int]]:
    """Row ranges of one shard: whole blocks gathered up to the target, larger blocks cut into even pieces."""
    start = row = 0
    for block in shard.blocks:
        if block.rows > 2 * target_rows and shard.format == "parquet":
            if row > start:
                yield start, row
            yield from _pieces(row, row + block.rows, target_rows=target_rows, batch_rows=batch_rows)
            start = row = row + block.rows
            continue
        if row > start and row - start + block.rows > target_rows:
            yield start, row
            start = row
        row += block.rows
    if row > start or row == 0:
        yield start, row


def _pieces(start: int, stop: int, *, target_rows: int, batch_rows: int) -> Iterator[tuple[int, int]]:
    count = min(math.ceil((stop - start) / target_rows), PIECES_PER_ROW_GROUP)
    size = math.ceil((stop - start) / count / batch_rows) * batch_rows
    for first in range(start, stop, size):
        yield first, min(first + size, stop)
