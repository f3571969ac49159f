"""Ray Data: a pool of actors that each open the session once, a process per core.

https://docs.ray.io/en/latest/data/batch_inference.html and https://docs.ray.io/en/latest/data/performance-tips.html

Its Parquet reader packs files into read tasks of up to 128 MiB whatever override_num_blocks says; a million rows
would be one of them, and one actor would do all the work. So blocks are made a quarter of a core's share.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.data import DataContext

from onnx_score import FEATURES, score

BLOCKS_PER_CORE = 4
LEAST_BLOCK_BYTES = 1 << 20


class Scorer:
    """An actor."""

    def __init__(self, model: str, batch_rows: int) -> None:
        self.model, self.batch_rows = model, batch_rows

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Columns in, columns out."""
        matrix = np.column_stack([batch[name] for name in FEATURES])
        return {"id": batch["id"], "score": score(self.model, matrix, self.batch_rows)}


def main(model: str, rows: str, output: str, batch_rows: str) -> None:
    """Read, score, write."""
    cores = len(os.sched_getaffinity(0))
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
    size = sum(path.stat().st_size for path in Path(rows).glob("*.parquet"))
    DataContext.get_current().target_max_block_size = max(size // (BLOCKS_PER_CORE * cores), LEAST_BLOCK_BYTES)
    data = ray.data.read_parquet(rows, columns=["id", *FEATURES])
    scored = data.map_batches(
        Scorer,
        fn_constructor_args=(model, int(batch_rows)),
        batch_size=None,  # a block at a time, which copies nothing
        compute=ray.data.ActorPoolStrategy(size=cores),
        num_cpus=0.5,  # a whole core for each would leave none to read with
    )
    scored.write_parquet(output, compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])
