"""How long a run will take: its first rows are read and scored, and what they took is carried over to the rest."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlserve_cli.errors import MlserveError
from mlserve_cli.planning import Plan, PlannedRival, Task
from mlserve_cli.scoring.batches import Clock
from mlserve_cli.scoring.distinct import score_rows
from mlserve_cli.scoring.layout import Layout, columns_read
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.rows import first_rows
from mlserve_cli.session import Predictor
from mlserve_cli.tables import goes_group_by_group

SAMPLE_BATCHES = 16
SAMPLES = 2
# Measured as whole processes: starting workers and loading the libraries in each; per task: open, fsync, link twice.
WORKERS_START_S = 0.4
TASK_S = 0.03
# Writing and digesting beside reading and scoring, as a share of them (measured on the sample models).
WRITE_SHARE = 0.12


def expected_seconds(
    plan: Plan, layout: Layout, *, predictor: Predictor, rivals: Mapping[str, Predictor] | None = None
) -> float:
    """Seconds of the whole run on this machine, by the speed of its first rows; no rows take the start alone.

    `rivals` are sessions of the plan's other models, by their names in it; what has none is left out.
    """
    row_s = _of_all_models(plan, layout, predictor, rivals or {})
    scoring_s = plan.rows * row_s * (1 + WRITE_SHARE)
    lanes = min(layout.lanes * layout.threads_per_worker, usable_cores())
    start_s = 0.0 if layout.in_process else WORKERS_START_S
    return start_s + (scoring_s + TASK_S * len(plan.tasks)) / lanes


def sampling_is_cheap(plan: Plan) -> bool:
    """Whether first rows may be read beside the workers: of a wide row group they take as long, and hold as much, as
    all its rows do."""
    return not any(goes_group_by_group(columns_read(plan), shard) for shard in plan.inputs[:1])


def _of_all_models(plan: Plan, layout: Layout, predictor: Predictor, rivals: Mapping[str, Predictor]) -> float:
    """Seconds of a row: the champion's and every challenger's, or each arm's for its share of the rows."""
    own = _seconds_per_row(plan.of_champion, layout, predictor)
    if plan.split is not None:
        several = [own, *(_of_rival(plan, rival, layout, rivals) for rival in plan.split.rivals)]
        return sum(percent * each / 100 for percent, each in zip(plan.split.percents, several, strict=True))
    takes_part = () if layout.alone else plan.challengers
    return own + sum(_of_rival(plan, rival, layout, rivals) for rival in takes_part)


def _of_rival(plan: Plan, rival: PlannedRival, layout: Layout, rivals: Mapping[str, Predictor]) -> float:
    if rival.name not in rivals:
        return 0.0
    try:
        return _seconds_per_row(plan.of(rival), layout, rivals[rival.name])
    except MlserveError:  # the task that has these rows says what is wrong with them, or with a challenger
        return 0.0


def _seconds_per_row(plan: Plan, layout: Layout, predictor: Predictor) -> float:
    """The first batches of the first task that has rows, read and scored; the quicker of two goes.

    In seconds of this thread's processor, which the workers that start meanwhile do not lengthen; waiting for the disk
    is left out with that, so a cold file takes longer than this says.
    """
    task = next((task for task in plan.tasks if task.rows), None)
    if task is None:
        return 0.0
    rows = min(max(SAMPLE_BATCHES * plan.batch_rows, plan.deduplicate_rows), layout.chunk_rows, task.rows)
    return min(_sample_s(plan, task, rows, predictor) for _ in range(SAMPLES)) / rows


def _sample_s(plan: Plan, task: Task, rows: int, predictor: Predictor) -> float:
    began_s = time.thread_time()
    score_rows(first_rows(plan, task, rows=rows), plan=plan, predictor=predictor, clock=Clock())
    return time.thread_time() - began_s
