"""Dask: a local cluster with a process per core, a partition per file, the session once per worker.

https://docs.dask.org/en/stable/best-practices.html (processes for work that holds the GIL, few large tasks) and
https://docs.dask.org/en/stable/dataframe-parquet.html (only the columns that are needed).
"""

from __future__ import annotations

import os
import sys
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster

from onnx_score import FEATURES, score


def main(model: str, rows: str, output: str) -> None:
    """Read, map over partitions, write."""

    def scored(part: Any) -> Any:
        matrix = part[FEATURES].to_numpy(dtype=np.float32)
        return pd.DataFrame({"id": part["id"], "score": score(model, np.ascontiguousarray(matrix))})

    cores = len(os.sched_getaffinity(0))
    with LocalCluster(n_workers=cores, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        frame = dd.read_parquet(f"{rows}/*.parquet", columns=["id", *FEATURES])
        meta = {"id": "int64", "score": "float32"}
        frame.map_partitions(scored, meta=meta).to_parquet(output, write_index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
