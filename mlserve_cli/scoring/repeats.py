"""Whether rows with the same features are scored once: a look at the first rows says if that pays, a proof if it may.

Decided before the plan is frozen, by the rows and the model alone and never by the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from mlserve_cli import features
from mlserve_cli.contract import ModelFacts
from mlserve_cli.errors import InvalidModel, MlserveError, shown
from mlserve_cli.planning import LEAST_GAIN, LEAST_INFERENCE_S, Plan, Task, bytes_per_text, row_bytes, row_costs
from mlserve_cli.planning import window_rows_for as window_rows_for_bytes
from mlserve_cli.scoring.batches import Clock, ScoredRows, score_batches
from mlserve_cli.scoring.distinct import (
    LEAST_BATCH_ROWS,
    Columns,
    Rows,
    columns_by_name,
    count_distinct,
    find_distinct,
    rows_at,
    score_rows,
)
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.rows import first_rows
from mlserve_cli.session import Predictor, TreesPredictor

LOOK_ROWS = 4_096
HOPELESS_SHARE = 0.95  # of distinct rows among so few: among 16 times as many there is hardly half of them again
PROOF_ROWS = 8_192
ODD_ROWS = (17, 31)  # as the end of a task has them
KEY_BYTES = 96  # of a row in a window: its hash, its place, its values side by side


class Window(msgspec.Struct, frozen=True):
    """Rows among which repeats are scored once, 0 where each row is scored by itself; and why."""

    rows: int
    reason: str


class _Refused(Exception):
    """Why the rows cannot be scored once."""


def choose_window(plan: Plan, request: ScoreRequest, *, facts: ModelFacts, predictor: Predictor) -> Window:
    """The window of a plan that has none yet.

    Raises InvalidModel (78) where it was asked for and a row's score depends on the rows beside it.
    """
    if request.split or request.canary is not None:
        return Window(0, "each model of a split scores rows of its own")
    if request.deduplicate == "off":
        return Window(0, "that was asked for")
    window = Window(window_rows_of(plan), "that was asked for")
    if request.deduplicate == "auto":
        try:
            window = _promised(plan, facts, predictor, rows=window.rows)
        except MlserveError:  # the rows are at fault, and the task that has them says so, with all that it knows
            return Window(0, "the first rows cannot be read")
        if not window.rows:
            return window
    try:
        _prove(msgspec.structs.replace(plan, deduplicate_rows=window.rows), facts, predictor)
    except _Refused as reason:
        if request.deduplicate == "on":
            raise InvalidModel(
                f"rows with the same features cannot be scored once: {reason}",
                shown(plan.model.path, limit=400),
                "leave --deduplicate out: each row is scored by itself then",
            ) from reason
        return Window(0, str(reason))
    return window


def provable_window(plan: Plan, *, facts: ModelFacts, predictor: Predictor) -> int:
    """The window that the plan has, or 0 where its model's scores of a row depend on the rows beside it."""
    try:
        _prove(plan, facts, predictor)
    except (_Refused, MlserveError):
        return 0
    return plan.deduplicate_rows


def distinct_share(plan: Plan) -> float:
    """Of a window's rows at the head of the first shard and of a middle one; of fewer where few have their like."""
    first, *others = _sampled(plan)
    share = _distinct_share(plan, first, rows=LOOK_ROWS, count=count_distinct)
    if share > HOPELESS_SHARE:
        return share
    rows = window_rows_of(plan)
    return float(np.mean([_distinct_share(plan, task, rows=rows, count=_count_of_many) for task in (first, *others)]))


def window_rows_of(plan: Plan) -> int:
    """The window that a plan with these batches would have."""
    used = {*map(plan.contract.file_column, plan.contract.columns), *plan.output.carried}
    columns = [column for shard in plan.inputs[:1] for column in shard.columns if column.name in used]
    size = row_bytes(columns, plan.contract.outputs) + KEY_BYTES + bytes_per_text(plan.inputs[:1])
    return window_rows_for_bytes(batch_rows=plan.batch_rows, row_bytes=size)


def _promised(plan: Plan, facts: ModelFacts, predictor: Predictor, *, rows: int) -> Window:
    """The window where it pays by the rule of `planning`, over the first rows of the first shard and a middle one."""
    text = bytes_per_text(plan.inputs[:1])
    costs = row_costs(facts, plan.contract, kernel_trees=_trees_of(predictor), csv_bytes=text)
    if costs.gain(0.0) < LEAST_GAIN:
        return Window(0, "inference costs less than a look for repeats")
    if plan.rows * costs.inference_ns < LEAST_INFERENCE_S * 1e9:
        return Window(0, "the rows are few")
    share = distinct_share(plan)
    told = f"{share:.1%} of the first rows are distinct"
    return Window(rows if costs.gain(share) >= LEAST_GAIN else 0, told)


def _trees_of(predictor: Predictor) -> int:
    nodes = predictor.nodes if isinstance(predictor, TreesPredictor) else ()
    return sum(len(node.ensemble.roots) for node in nodes)


def _sampled(plan: Plan) -> tuple[Task, ...]:
    """Tasks that begin with their shard, so that a compressed one need not be read up to them."""
    begins = [task for task in plan.tasks if task.start_row == 0 and task.rows]
    return tuple({task.id: task for task in (begins[0], begins[len(begins) // 2])}.values())


def _distinct_share(plan: Plan, task: Task, *, rows: int, count: Callable[[Columns, Rows], int]) -> float:
    chunk = first_rows(plan, task, rows=rows)
    good = np.flatnonzero(~chunk.bad)
    return count(columns_by_name(chunk), good) / len(good) if len(good) else 1.0


def _count_of_many(columns: Columns, rows: Rows) -> int:
    return len(find_distinct(columns, rows).first)


def _prove(plan: Plan, facts: ModelFacts, predictor: Predictor) -> None:
    """Scores of the first rows are the same to the bit, each by itself, once for all, and in batches of any size."""
    if facts.precision == "int8-dynamic":
        raise _Refused("a dynamically quantised model rounds a row by what stands beside it")
    task = next((task for task in plan.tasks if task.rows), None)
    if task is None:
        return
    rows = min(max(PROOF_ROWS, 2 * plan.batch_rows), plan.deduplicate_rows)
    chunk = first_rows(plan, task, rows=rows)
    plain = _scored(chunk, plan, predictor, batch_rows=plan.batch_rows)
    _compare(score_rows(chunk, plan=plan, predictor=predictor, clock=Clock())[0], plain)
    few = rows_at(chunk, plain.kept[: plan.batch_rows])
    whole = _scored(few, plan, predictor, batch_rows=plan.batch_rows)
    for size in _sizes(few.rows):
        part = _scored(rows_at(few, np.arange(size)), plan, predictor, batch_rows=size)
        _compare(
            part, ScoredRows({name: values[:size] for name, values in whole.outputs.items()}, part.kept, part.faults)
        )


def _sizes(rows: int) -> list[int]:
    """Those of batches that a window's end may have, up to so many rows."""
    powers = [LEAST_BATCH_ROWS << shift for shift in range(max(rows.bit_length() - LEAST_BATCH_ROWS.bit_length(), 0))]
    return sorted({size for size in (*powers, *ODD_ROWS) if size < rows})


def _scored(chunk: features.Features, plan: Plan, predictor: Predictor, *, batch_rows: int) -> ScoredRows:
    return score_batches(chunk, contract=plan.contract, predictor=predictor, batch_rows=batch_rows, clock=Clock())


def _compare(found: ScoredRows, expected: ScoredRows) -> None:
    same = np.array_equal(found.kept, expected.kept) and all(
        _bits(found.outputs[name]) == _bits(values) for name, values in expected.outputs.items()
    )
    if not same:
        raise _Refused("a row's score depends on the rows beside it")


def _bits(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> object:
    return values.tolist() if values.dtype.kind == "O" else values.tobytes()
