"""Makes a quantised version of a model, and lets it stand only where it was proved harmless and faster.

Quantise, score held-out rows in the batches of a run, judge; take out the most harmful nodes until the gates hold;
then measure the speed beside the parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mlserve_cli import tables
from mlserve_cli.contract import Nulls, Scalar
from mlserve_cli.errors import DataError, UsageError
from mlserve_cli.optimize.exclude import Attempt, search
from mlserve_cli.optimize.gate import Gate
from mlserve_cli.optimize.made import Child, Made, Place, make
from mlserve_cli.optimize.measure import SPEED_S, batch_difference, speed_ratio
from mlserve_cli.optimize.methods import Settings, prepare
from mlserve_cli.optimize.parent import Parent, open_parent
from mlserve_cli.optimize.rows import Rows, rows_for
from mlserve_cli.optimize.trial import Bench, Limits
from mlserve_cli.registry import GateResult
from mlserve_cli.tables import Dialect

CALIBRATION_ROWS = 2_000
GATE_ROWS = 50_000
SEARCH_S = 120.0
FLOAT_NOISE = 1e-6  # by so much float32 scores move with the batch too, where another kernel adds in another order


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """Which rows decide. `data` calibrates; `holdout` is held out, and where it is not given, rows of `data` are."""

    data: tuple[str, ...]
    holdout: tuple[str, ...] = ()
    labels: str = ""
    features: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    nulls: Nulls | None = None
    threshold: float | None = None
    calibration_rows: int = CALIBRATION_ROWS
    gate_rows: int = GATE_ROWS
    dialect: Dialect = tables.Dialect()
    input_format: Literal["parquet", "csv"] | None = None


@dataclass(frozen=True, slots=True)
class QuantizeRequest:
    """What `mlserve model quantize` is asked for. `search_s` bounds the search for nodes to exclude; 0: no search.

    `speed_s` is how long speed is measured.
    """

    model: str
    rows: RowsRequest
    settings: Settings
    limits: Limits = field(default_factory=Limits)
    allow_slower: bool = False
    search_s: float = SEARCH_S
    speed_s: float = SPEED_S


def quantize(request: QuantizeRequest, place: Place) -> Made:
    """A quantised version of a model, at `place`.

    Raises GateFailed (4) where a gate said no, ExtraMissing (69) where a library is not installed, InvalidModel (78)
    where there is nothing to quantise.
    """
    place.check()
    parent = open_for(request.model, request.rows, registry=place.registry)
    prepared = prepare(parent.data, request.settings)
    calibration, held_out = read_rows(parent, request.rows, calibrate=request.settings.mode == "static")
    bench = Bench.of(parent, held_out, request.limits)
    attempt = search(prepared, request.settings, bench, calibration=calibration, seconds=request.search_s)
    moved = batch_difference(attempt.predictor, held_out, parent.contract, batch_rows=parent.batch_rows)
    least = None if request.allow_slower else 1.0
    speed = judged_speed(parent, attempt, held_out, least=least, moved=moved, seconds=request.speed_s)
    return make(parent, _child(parent, attempt, request, speed, moved, held_out), place)


def open_for(model: str, rows: RowsRequest, *, registry: str | None) -> Parent:
    """The parent, bound to the columns of the rows."""
    return open_parent(
        model,
        registry=registry,
        features=rows.features,
        rename=rows.rename,
        nulls=rows.nulls,
        threshold=rows.threshold,
    )


def read_rows(parent: Parent, request: RowsRequest, *, calibrate: bool) -> tuple[Rows | None, Rows]:
    """Rows to calibrate with, where that is wanted, and held-out ones: never the same."""
    if not request.data and (calibrate or not request.holdout):
        raise UsageError("there are no rows to judge by", "--data", "name files of rows like those that are scored")

    def read(paths: tuple[str, ...], limit: int, labels: str) -> Rows:
        return rows_for(
            paths,
            parent.contract,
            limit=limit,
            labels=labels,
            dialect=request.dialect,
            input_format=request.input_format,
        )

    if request.holdout:
        held_out = read(request.holdout, request.gate_rows, request.labels)
        return (read(request.data, request.calibration_rows, "") if calibrate else None), held_out
    if not calibrate:
        return None, read(request.data, request.gate_rows, request.labels)
    together = read(request.data, request.gate_rows + request.calibration_rows, request.labels)
    if len(together) < 2:
        raise DataError("one row cannot both calibrate and judge", "--data", "give it more rows, or --holdout")
    # half of a small file each, so that neither side is left with a handful
    share = min(request.calibration_rows, len(together) // 2)
    steps = np.arange(len(together) + 1, dtype=np.int64) * share // len(together)
    calibrates = steps[1:] > steps[:-1]
    return together.where(calibrates), together.where(~calibrates)


def judged_speed(
    parent: Parent, attempt: Attempt, rows: Rows, *, least: float | None, moved: float, seconds: float = SPEED_S
) -> GateResult:
    """Speed and size beside the parent; `least` None lets it be slower. `moved`: by how much a batch moves a score."""
    figures = speed_ratio(parent.predictor, attempt.predictor, rows, batch_rows=parent.batch_rows, seconds=seconds)
    figures |= {"size_ratio": len(attempt.data) / len(parent.data), "size_bytes": float(len(attempt.data))}
    figures |= {"batch_difference": moved}
    gate = Gate("speed", least={} if least is None else {"speed_ratio": least})
    return gate.judge(figures, rows=len(rows))


def _child(
    parent: Parent, attempt: Attempt, request: QuantizeRequest, speed: GateResult, moved: float, rows: Rows
) -> Child:
    parameters: dict[str, Scalar] = {**request.settings.parameters}
    if attempt.excluded:
        parameters["excluded"] = ",".join(one.node for one in attempt.excluded)
    steps = tuple(
        f"{one.node} ({one.operator}) left as it was"
        + (f": alone it moves scores by {one.mean_difference:.3g}" if one.mean_difference is not None else "")
        for one in attempt.excluded
    )
    return Child(
        operation="quantize",
        data=attempt.data,
        predictor=attempt.predictor,
        contract=parent.contract,
        declared=parent.declared,
        parameters=parameters,
        gates=(*attempt.gates, speed),
        steps=steps,
        notes=(*_notes(speed, moved), *rows_notes(rows)),
        tolerance=2 * moved,  # its golden rows may stand in other batches than they were scored in
    )


def _notes(speed: GateResult, moved: float) -> list[str]:
    notes = []
    if moved > FLOAT_NOISE:
        notes.append(f"a row's score moves by up to {moved:.3g} with its batch: keep --batch-rows the same")
    if speed.figures["speed_ratio"] < 1:
        notes.append(
            f"no faster than its parent on this machine: {speed.figures['rows_per_s']:,.0f} rows/s "
            f"against {speed.figures['parent_rows_per_s']:,.0f}"
        )
    return notes


def rows_notes(rows: Rows) -> list[str]:
    """What a person should know of the rows that were judged by."""
    return (
        [f"{rows.left_out} rows cannot be fed, or have no label, and were left out, the first: {rows.fault}"]
        if rows.left_out
        else []
    )
