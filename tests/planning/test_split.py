"""Splitting: every row of every shard in one task, in order, by a rule that knows nothing of the machine."""

from __future__ import annotations

import inspect
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli.planning import Task, split
from mlserve_cli.planning.split import PIECES_PER_ROW_GROUP, TASK_ROWS
from mlserve_cli.tables import Shard
from tests.planning.plans import shard_of

ROWS = st.one_of(st.integers(0, 50), st.integers(0, 3_000_000))
FAMILIES = st.sampled_from(sorted(TASK_ROWS))
BATCHES = st.sampled_from([1, 7, 512, 4_096, 1_000_000])


@st.composite
def shards(draw: st.DrawFn) -> tuple[Shard, ...]:
    return tuple(
        shard_of(draw(st.lists(ROWS, max_size=12)), index=index, form=draw(st.sampled_from(["parquet", "csv"])))
        for index in range(draw(st.integers(0, 5)))
    )


def rows_of(tasks: tuple[Task, ...], shard: int) -> list[tuple[int, int]]:
    return [(task.start_row, task.stop_row) for task in tasks if task.shard == shard]


@given(files=shards(), family=FAMILIES, batch_rows=BATCHES)
@settings(max_examples=50)
def test_every_row_of_every_shard_is_in_one_task(files: tuple[Shard, ...], family: str, batch_rows: int) -> None:
    tasks = split(files, family=family, batch_rows=batch_rows)
    for file in files:
        ranges = rows_of(tasks, file.index)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == file.rows
        assert all(before[1] == after[0] for before, after in pairwise(ranges))
        assert all(start < stop for start, stop in ranges) or (file.rows == 0 and len(ranges) == 1)


@given(files=shards(), family=FAMILIES, batch_rows=BATCHES)
@settings(max_examples=50)
def test_ids_and_names_follow_the_input_s_order(files: tuple[Shard, ...], family: str, batch_rows: int) -> None:
    tasks = split(files, family=family, batch_rows=batch_rows)
    assert [task.id for task in tasks] == list(range(len(tasks)))
    assert [task.stem for task in tasks] == sorted({task.stem for task in tasks})
    assert [(task.shard, task.start_row) for task in tasks] == sorted((task.shard, task.start_row) for task in tasks)


@given(files=shards(), family=FAMILIES, batch_rows=BATCHES, limit=st.one_of(st.integers(0, 99), ROWS))
@settings(max_examples=50)
def test_a_limit_is_a_prefix_of_all_rows(files: tuple[Shard, ...], family: str, batch_rows: int, limit: int) -> None:
    whole = split(files, family=family, batch_rows=batch_rows)
    tasks = split(files, family=family, batch_rows=batch_rows, limit=limit)
    assert sum(task.rows for task in tasks) == min(limit, sum(file.rows for file in files))
    starts = [(task.shard, task.start_row) for task in whole if task.rows]
    assert [(task.shard, task.start_row) for task in tasks] == starts[: len(tasks)]
    assert all(task.rows for task in tasks)


@given(rows=st.integers(1, 100_000_000), family=FAMILIES, batch_rows=BATCHES)
def test_one_giant_row_group_is_cut_into_even_whole_batches(rows: int, family: str, batch_rows: int) -> None:
    tasks = split([shard_of([rows])], family=family, batch_rows=batch_rows)
    assert len(tasks) <= PIECES_PER_ROW_GROUP
    assert all(task.rows % batch_rows == 0 for task in tasks[:-1])
    assert len({task.rows for task in tasks[:-1]}) <= 1
    if rows > 2 * max(TASK_ROWS[family], batch_rows):
        assert len(tasks) > 1


@given(files=shards(), family=FAMILIES, batch_rows=BATCHES)
@settings(max_examples=50)
def test_a_task_begins_where_a_block_does_or_inside_a_giant_one(
    files: tuple[Shard, ...], family: str, batch_rows: int
) -> None:
    target = max(TASK_ROWS[family], batch_rows)
    for file in files:
        ends = [0]
        for block in file.blocks:
            ends.append(ends[-1] + block.rows)
        for start, stop in rows_of(split(files, family=family, batch_rows=batch_rows), file.index):
            inside = [a for a, b in pairwise(ends) if a < start < b or a < stop < b]
            assert start == stop or file.format == "parquet" or not inside
            assert len(inside) <= 1
            assert stop - start <= 2 * target or stop - start <= max(block.rows for block in file.blocks)


def test_nothing_of_the_machine_is_asked_for() -> None:
    assert set(inspect.signature(split).parameters) == {"shards", "family", "batch_rows", "limit"}


def test_ten_thousand_small_row_groups_are_gathered() -> None:
    tasks = split([shard_of([10] * 10_000)], family="trees", batch_rows=4_096)
    assert len(tasks) == 1
