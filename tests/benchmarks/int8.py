"""The network in static and in dynamic INT8 beside FP32 on this processor: how fast each is, and what it costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli import ScoreRequest, bench, score
from mlserve_cli.benchmark import ModelResult
from mlserve_cli.benchmark.picture import label
from tests.benchmarks.figures import Int8

OTHER_BATCH_ROWS = 4_096
HALF = 0.5


def measure(models: Path, rows: Path, *, rounds: int) -> Iterator[Int8]:
    """One report for each INT8 model in the folder; whole processes take turns with FP32 within each round."""
    requests = {
        name: ScoreRequest(str(models / f"{name}.onnx"), (str(rows),), "", id_column="id")
        for name in ("mlp", "mlp-int8-static", "mlp-int8-dynamic")
    }
    found = {label(model): model for model in bench(*requests.values(), rounds=rounds, against=()).models}
    scores = {name: _scores(request) for name, request in requests.items()}
    plain, plain_rate = scores["mlp"]
    for name in list(requests)[1:]:
        values, rate = scores[name]
        others, _ = _scores(replace(requests[name], batch_rows=OTHER_BATCH_ROWS))
        apart = np.abs(values - plain)
        yield Int8(
            name=name,
            rows=len(values),
            seconds=_seconds(found[name]),
            fp32_seconds=_seconds(found["mlp"]),
            inference_rows_per_s=rate,
            fp32_inference_rows_per_s=plain_rate,
            largest_difference=float(apart.max()),
            mean_difference=float(apart.mean()),
            label_flips=float(((values >= HALF) != (plain >= HALF)).mean()),
            moved_by_batch=float(np.abs(values - others).max()),
        )


def _scores(request: ScoreRequest) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Every score in the rows' order, and rows a second of one thread in the model alone, by the manifest."""
    with tempfile.TemporaryDirectory() as folder:
        result = score(replace(request, output=f"{folder}/run"))
        parts = [pq.read_table(path, columns=["score"]) for path in sorted((result.output / "data").iterdir())]
        values = pa.concat_tables(parts)["score"].to_numpy().astype(np.float64)
        return values, result.manifest.throughput.stage_rows_per_s["inference"]


def _seconds(model: ModelResult) -> float:
    ours = model.contender("mlserve")
    assert ours is not None, model
    return median(ours.seconds)
