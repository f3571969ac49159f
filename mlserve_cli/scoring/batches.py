"""Batches: the rows of a chunk go through the model at the plan's own offsets, bad ones holding their place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli import features
from mlserve_cli.contract import Contract, Faults
from mlserve_cli.errors import DataError
from mlserve_cli.manifest import Latencies, Stages
from mlserve_cli.manifest.records import BUCKETS_PER_DOUBLING
from mlserve_cli.scoring.bad_rows import failing_rows
from mlserve_cli.session import Predictor, RowsFailed

Outputs = dict[str, NDArray[np.generic]]
Range = tuple[int, int]
T = TypeVar("T")
Mapper = Callable[[Callable[[Range], "_Batch"], Iterable[Range]], Iterable["_Batch"]]


class Clock(msgspec.Struct):
    """Seconds by stage and batch latencies, as they add up while a task runs."""

    seconds: dict[str, float] = {}
    latencies: dict[int, int] = {}

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_batch(self, *, fill_s: float, predict_s: float) -> None:
        """Add one batch to the stages and to the histogram."""
        self.add("features", fill_s)
        self.add("inference", predict_s)
        bucket = math.floor(BUCKETS_PER_DOUBLING * math.log2(max(predict_s * 1e6, 1.0)))
        self.latencies[bucket] = self.latencies.get(bucket, 0) + 1

    @property
    def result(self) -> tuple[Stages, Latencies]:
        """Both, as the record keeps them."""
        stages = {
            f"{stage}_s": round(self.seconds.get(stage, 0.0), 6)
            for stage in ("read", "features", "inference", "write", "profile")
        }
        return Stages(**stages), Latencies({str(bucket): count for bucket, count in sorted(self.latencies.items())})


class _Batch(msgspec.Struct, frozen=True):
    """What came out of one batch: outputs of its good rows, and the rows on which the model failed."""

    outputs: Outputs | None
    good: NDArray[np.int64]
    failed: NDArray[np.int64]
    message: str
    fill_s: float
    predict_s: float


class ScoredRows(msgspec.Struct, frozen=True):
    """Outputs of the chunk's `kept` rows (int64, positions in the chunk), and what is wrong with the others.

    `table` is what is written of them where several models made them, None where the contract says it.
    """

    outputs: Outputs
    kept: NDArray[np.int64]
    faults: Faults
    table: pa.Table | None = None


def score_batches(
    chunk: features.Features,
    *,
    contract: Contract,
    predictor: Predictor,
    batch_rows: int,
    clock: Clock,
    mapper: Mapper = map,
) -> ScoredRows:
    """Score a chunk's rows; its bad ones hold their place and get no score.

    Raises DataError (65) where a batch fails as a whole though each of its rows passes.
    """
    buffers: features.Buffers | None = {} if mapper is map else None  # threads must not fill the same memory
    ranges = [(start, min(start + batch_rows, chunk.rows)) for start in range(0, chunk.rows, batch_rows)]
    batches = list(mapper(lambda span: _score_batch(chunk, span, predictor, buffers), ranges))
    for batch in batches:
        clock.add_batch(fill_s=batch.fill_s, predict_s=batch.predict_s)
    kept = np.concatenate([np.empty(0, np.int64), *(batch.good for batch in batches)])
    outputs = _joined([batch.outputs for batch in batches if batch.outputs is not None])
    failed = [
        Faults.at(batch.failed, column="", reason="the model fails on this row", values=batch.message)
        for batch in batches
        if len(batch.failed)
    ]
    return _without_non_finite(ScoredRows(outputs, kept, Faults.together([chunk.faults, *failed])), contract)


def _score_batch(
    chunk: features.Features, span: Range, predictor: Predictor, buffers: features.Buffers | None
) -> _Batch:
    start, stop = span
    held = chunk.bad[start:stop]
    good = np.flatnonzero(~held)
    none = np.empty(0, np.int64)
    if len(good) == 0:
        return _Batch(None, none, none, "", 0.0, 0.0)
    began = time.perf_counter()
    tensors = features.batch_tensors(chunk, start, stop, held=held, buffers=buffers)
    filled = time.perf_counter()
    try:
        outputs = predictor.predict(tensors)
    except RowsFailed as failure:
        return _rescued(chunk, held, span, predictor, message=failure.detail)
    done = time.perf_counter()
    if len(good) < stop - start:
        outputs = {name: values[good] for name, values in outputs.items()}
    return _Batch(outputs, good + start, none, "", filled - began, done - filled)


def _rescued(
    chunk: features.Features, held: NDArray[np.bool_], span: Range, predictor: Predictor, *, message: str
) -> _Batch:
    """A batch on which the model failed: the rows to blame found and held, the rest scored in its place."""
    start, stop = span
    began = time.perf_counter()
    tensors = features.batch_tensors(chunk, start, stop, held=held)
    failed = failing_rows(tensors, predictor, suspects=np.flatnonzero(~held))
    held = held.copy()
    held[failed] = True
    good = np.flatnonzero(~held)
    outputs: Outputs | None = None
    if len(good):
        try:
            outputs = predictor.predict(features.batch_tensors(chunk, start, stop, held=held))
        except RowsFailed as failure:
            raise DataError(
                f"the model fails on a batch though it takes each of its rows alone: {failure}",
                f"a batch of {stop - start} rows",
                "try another --batch-rows, and look at the model",
            ) from failure
        outputs = {name: values[good] for name, values in outputs.items()}
    return _Batch(outputs, good + start, failed + start, message, 0.0, time.perf_counter() - began)


def _without_non_finite(scored: ScoredRows, contract: Contract) -> ScoredRows:
    """Rows whose score is NaN or infinite become bad rows, unless they are meant."""
    found = features.bad_scores(contract, scored.outputs) if len(scored.kept) else Faults.none()
    if len(found) == 0:
        return scored
    fine = np.ones(len(scored.kept), np.bool_)
    fine[found.rows] = False
    outputs = {name: values[fine] for name, values in scored.outputs.items()}
    return ScoredRows(outputs, scored.kept[fine], Faults.together([scored.faults, found.moved_to(scored.kept)]))


def _joined(parts: list[Outputs]) -> Outputs:
    if len(parts) <= 1:
        return parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
