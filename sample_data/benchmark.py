"""Data and models of the benchmarks, from nothing but a seed: shards of 28 numbers and an id, models of five kinds.

The target is a sum of products, waves and thresholds of the features, so that trees grow as they do on real tables.
What stands at the output already is kept: a second call with more rows or models makes only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 28
FEATURES = tuple(f"f{number}" for number in range(28))
ROW_GROUP_ROWS = 131_072
TRAINING_ROWS = 200_000
TRAINING_SHARD = 1 << 20  # no shard that is written has this number, so no row is scored that was trained on

Matrix: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.int64]


def write_rows(output: Path, *, rows: int, shards: int) -> Path:
    """OUTPUT/rows-N-S/part-00000.parquet and on: zstd, row groups of 128k; memory does not grow with the rows."""
    folder = output / f"rows-{rows}-{shards}"
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.draft")
    draft.mkdir(parents=True, exist_ok=True)
    edges = [rows * shard // shards for shard in range(shards + 1)]
    for shard in range(shards):
        _write_shard(draft / f"part-{shard:05}.parquet", shard, start=edges[shard], stop=edges[shard + 1])
    return draft.rename(folder)


def write_models(output: Path, names: Sequence[str]) -> Iterator[Path]:
    """OUTPUT/models/NAME.onnx for each name; needs the training libraries of the models that are not there yet."""
    folder = output / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / f"{name}.onnx"
        if not path.exists():
            import benchmark_models  # here, because rows alone need no training library

            draft = path.with_suffix(".draft")
            draft.write_bytes(benchmark_models.train(name, folder=folder).SerializeToString())
            draft.rename(path)
        yield path


def training_data() -> tuple[Matrix, Labels]:
    """Rows and their labels, half of them 1: [N, 28] float32 and [N] int64."""
    rows = _matrix(TRAINING_SHARD, 0, rows=TRAINING_ROWS)
    clean = _target(rows)
    noise = np.random.default_rng(SEED).normal(size=len(rows))
    return rows, (clean + noise > np.median(clean)).astype(np.int64)


def _write_shard(path: Path, shard: int, *, start: int, stop: int) -> None:
    schema = pa.schema([("id", pa.int64()), *((name, pa.float32()) for name in FEATURES)])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number, first in enumerate(range(start, stop, ROW_GROUP_ROWS)):
            rows = _matrix(shard, number, rows=min(ROW_GROUP_ROWS, stop - first))
            ids = np.arange(first, first + len(rows))
            columns = [pa.array(ids), *(pa.array(np.ascontiguousarray(column)) for column in rows.T)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP_ROWS)


def _matrix(shard: int, chunk: int, *, rows: int) -> Matrix:
    """Independent normal numbers, the same for the same shard and chunk."""
    random = np.random.default_rng([SEED, shard, chunk])
    return random.standard_normal((rows, len(FEATURES)), dtype=np.float32)


def _target(x: Matrix) -> npt.NDArray[np.float64]:
    """What the label comes from, before noise."""
    crossed = x[:, 0] * x[:, 1] - x[:, 4] * (x[:, 5] > 0) + 0.5 * x[:, 6] * x[:, 7] * x[:, 8]
    curved = np.sin(2 * x[:, 2]) + x[:, 3] ** 2 + 0.3 * np.abs(x[:, 9:14]).sum(axis=1)
    return np.asarray(crossed + curved + 0.2 * x[:, 14:].sum(axis=1), dtype=np.float64)
