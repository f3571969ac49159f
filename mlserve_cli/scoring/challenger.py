"""Challengers in a task: they score the chunk that was read for the champion, and nothing that befalls them gets out.

What a challenger makes is held in memory until the champion's part stands, some bytes a row of a task: a part of its
own that is open beside the champion's could fail it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features, storage, tables
from mlserve_cli.contract import int64_array
from mlserve_cli.errors import IOFailed, MlserveError
from mlserve_cli.manifest import RivalRecord
from mlserve_cli.planning import Plan, PlannedRival, Task
from mlserve_cli.scoring.agreement import SAMPLED_PAIRS, Comparison, pair_columns
from mlserve_cli.scoring.batches import Clock, Mapper, ScoredRows
from mlserve_cli.scoring.distinct import score_rows
from mlserve_cli.scoring.golden import check_golden_rows
from mlserve_cli.scoring.predictors import open_planned
from mlserve_cli.scoring.rows import id_schema, metadata_of
from mlserve_cli.scoring.shared_columns import converted_for
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Chunk, Shard

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OpenRival:
    """A challenger as a worker holds it: the plan as if it were alone, and a session, or why there is none."""

    name: str
    plan: Plan
    predictor: Predictor | None
    error: str = ""


@dataclass(slots=True)
class _Beside:
    """What one challenger has made of a task so far."""

    rival: OpenRival
    comparison: Comparison
    error: str
    held: list[pa.Table] = field(default_factory=list)
    rows_failed: int = 0
    clock: Clock = field(default_factory=Clock)


def open_challengers(plan: Plan, predictors: Sequence[Predictor | None]) -> tuple[OpenRival, ...]:
    """Each challenger with a session that has proved itself on its golden rows; `predictors` that are not None do for
    it."""
    return tuple(_open(plan, rival, predictor) for rival, predictor in zip(plan.challengers, predictors, strict=True))


class Challengers:
    """The challengers of one task. No method raises for what is a challenger's own fault."""

    def __init__(self, rivals: Sequence[OpenRival], plan: Plan, task: Task, *, alone: str = "") -> None:
        self._plan = plan
        self._start_row = sum(before.rows for before in plan.tasks[: task.id])
        self._several = [
            _Beside(rival, Comparison(pair_columns(plan.contract, rival.plan.contract)), rival.error or alone)
            for rival in rivals
        ]

    def score(
        self,
        chunk: Chunk,
        converted: features.Features,
        *,
        kept: Rows,
        written: pa.Table,
        shard: Shard,
        mapper: Mapper = map,
    ) -> None:
        """Score a chunk beside the champion, which kept the rows `kept` of it and writes them as `written`."""
        sampled = tables.spread_evenly(self._start_row, converted.rows, wanted=SAMPLED_PAIRS, total=self._plan.rows)
        if len(kept) < converted.rows:
            sampled = sampled[kept]
        self._start_row += converted.rows
        for one in self._several:
            if one.error:
                continue
            with _contained(one):
                self._score_one(one, chunk, converted, kept, written, shard, mapper, sampled)

    def publish(self, staging: storage.Staging, task: Task) -> tuple[RivalRecord, ...]:
        """Their parts, and what the task's record says of them."""
        return tuple(self._publish_one(one, staging, task) for one in self._several)

    def _score_one(
        self,
        one: _Beside,
        chunk: Chunk,
        converted: features.Features,
        kept: Rows,
        written: pa.Table,
        shard: Shard,
        mapper: Mapper,
        sampled: NDArray[np.bool_],
    ) -> None:
        own, predictor = one.rival.plan, one.rival.predictor
        if predictor is None:
            return
        columns = converted_for(own, chunk, beside=self._plan, converted=converted, shard=shard)
        scored, _ = score_rows(columns, plan=own, predictor=predictor, clock=one.clock, mapper=mapper)
        predictions, missing = _beside(scored, kept, own, rows=converted.rows)
        ids = written.select(id_schema(self._plan).names)
        one.held.append(pa.Table.from_arrays([*ids.columns, *predictions.columns], schema=part_schema(self._plan, own)))
        if missing is not None:
            one.rows_failed += int(np.count_nonzero(missing))
            rows = int64_array(np.flatnonzero(~missing))
            written, predictions, sampled = written.take(rows), predictions.take(rows), sampled[~missing]
        one.comparison.add(written, predictions, sampled=sampled)

    def _publish_one(self, one: _Beside, staging: storage.Staging, task: Task) -> RivalRecord:
        part: storage.FileRecord | None = None
        if not one.error:
            with _contained(one):
                part = _write(one, staging, task, self._plan)
        if one.error:
            return RivalRecord(one.rival.name, one.error)
        return RivalRecord(
            name=one.rival.name,
            part=part,
            rows=one.comparison.rows,
            rows_failed=one.rows_failed,
            labelled=one.comparison.labelled,
            agreed=one.comparison.agreed,
            columns=one.comparison.columns,
            inference_s=round(one.clock.seconds.get("inference", 0.0), 6),
        )


def part_schema(plan: Plan, own: Plan) -> pa.Schema:
    """A challenger's part: the champion's ids, then the challenger's own columns, null where it fails on the row."""
    return pa.schema([*id_schema(plan), *features.output_schema(own.contract)])


def _open(plan: Plan, rival: PlannedRival, predictor: Predictor | None) -> OpenRival:
    own = plan.of(rival)
    try:
        predictor = predictor or open_planned(own)
        check_golden_rows(own.model, own.contract, predictor=predictor, batch_rows=own.batch_rows)
    except Exception as error:  # noqa: BLE001  a challenger's trouble is a value, whatever it is
        return OpenRival(rival.name, own, None, _told(error))
    return OpenRival(rival.name, own, predictor)


@contextmanager
def _contained(one: _Beside) -> Iterator[None]:
    """The edge past which nothing of a challenger gets: its first error ends it for this task, what it held goes."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  its edge, as a task has one
        one.error = _told(error)
        one.held.clear()


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, MlserveError) else f"{type(error).__name__}: {error}"


def _beside(scored: ScoredRows, kept: Rows, own: Plan, *, rows: int) -> tuple[pa.Table, NDArray[np.bool_] | None]:
    """The challenger's columns at the champion's rows `kept`, and at which of them it has none; None where it has all.

    `rows` is how many the chunk has, whose positions `kept` are.
    """
    schema = features.output_schema(own.contract)
    if len(scored.kept) == 0:
        nulls = [pa.nulls(len(kept), one.type) for one in schema]
        return pa.Table.from_arrays(nulls, schema=schema), np.ones(len(kept), np.bool_)
    predictions = features.output_table(own.contract, scored.outputs)
    if len(scored.kept) == len(kept) and (len(kept) == rows or np.array_equal(scored.kept, kept)):
        return predictions, None
    places = np.full(rows, -1, np.int64)
    places[scored.kept] = np.arange(len(scored.kept))
    places = places[kept]
    missing = places < 0
    present = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    indices = pa.Array.from_buffers(pa.int64(), len(places), [present, pa.py_buffer(places)])
    return predictions.take(indices), missing if missing.any() else None


def _write(one: _Beside, staging: storage.Staging, task: Task, plan: Plan) -> storage.FileRecord:
    own = one.rival.plan
    path = staging.challenger(one.rival.name) / f"{task.stem}.parquet"
    published = storage.publish(
        path,
        lambda file: tables.write_part(
            file,
            one.held,
            schema=part_schema(plan, own),
            format="parquet",
            row_group_rows=plan.output.row_group_rows,
            metadata=metadata_of(own),
        ),
    )
    if not published.is_new and storage.record_of(path) != published.record:
        raise IOFailed("a file of an earlier attempt is not what the challenger makes now", str(path))
    return published.record
