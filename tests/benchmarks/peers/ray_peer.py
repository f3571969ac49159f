"""Ray Data: a pool of actors that each open the session once, a process per core.

https://docs.ray.io/en/latest/data/batch_inference.html
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import ray

from onnx_score import FEATURES, score

BATCH_ROWS = 65_536


class Scorer:
    """An actor."""

    def __init__(self, model: str) -> None:
        self.model = model

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Columns in, columns out."""
        matrix = np.column_stack([batch[name] for name in FEATURES])
        return {"id": batch["id"], "score": score(self.model, matrix)}


def main(model: str, rows: str, output: str) -> None:
    """Read, score, write."""
    cores = len(os.sched_getaffinity(0))
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
    data = ray.data.read_parquet(rows, columns=["id", *FEATURES])
    scored = data.map_batches(
        Scorer,
        fn_constructor_args=(model,),
        batch_size=BATCH_ROWS,
        compute=ray.data.ActorPoolStrategy(size=cores),
        num_cpus=0.5,  # a whole core for each would leave none to read with
    )
    scored.write_parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
