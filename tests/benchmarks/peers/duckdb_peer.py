"""DuckDB: a vectorised Python function over Arrow, given rows as arrays; no order kept, a file per thread.

https://duckdb.org/docs/stable/clients/python/function (type='arrow') and
https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads (preserve_insertion_order, PER_THREAD_OUTPUT).

Its threads call the function at once, with 2,048 rows each, which is DuckDB's own vector. To take rows out as Arrow
and score them between two of its batches was measured too, and was slower.
"""

from __future__ import annotations

import sys
from typing import Any

import duckdb
import pyarrow as pa

from onnx_score import FEATURES, score


def main(model: str, rows: str, output: str, batch_rows: str) -> None:
    """One statement."""

    def scored(rows: Any) -> Any:
        whole = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        matrix = whole.flatten().to_numpy(zero_copy_only=False)
        return pa.array(score(model, matrix.reshape(len(rows), len(FEATURES)), int(batch_rows)))

    database = duckdb.connect()
    database.execute("SET preserve_insertion_order = false")
    database.create_function("score", scored, [f"FLOAT[{len(FEATURES)}]"], "FLOAT", type="arrow")
    query = f"SELECT id, score([{', '.join(FEATURES)}]) AS score FROM read_parquet('{rows}/*.parquet')"
    options = "FORMAT parquet, COMPRESSION zstd, PER_THREAD_OUTPUT true, OVERWRITE_OR_IGNORE true"
    database.execute(f"COPY ({query}) TO '{output}' ({options})")


if __name__ == "__main__":
    main(*sys.argv[1:])
