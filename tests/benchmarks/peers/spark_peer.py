"""Spark: mapInArrow over partitions, Python workers that are used again, so that each opens the session once.

https://spark.apache.org/docs/latest/api/python/tutorial/sql/arrow_pandas.html
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from onnx_score import FEATURES, matrix_of, score


def main(model: str, rows: str, output: str, batch_rows: str) -> None:
    """Read, map, write."""

    def scored(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            matrix = matrix_of([batch.column(name) for name in FEATURES])
            scores = pa.array(score(model, matrix, int(batch_rows)))
            yield pa.RecordBatch.from_arrays([batch.column("id"), scores], names=["id", "score"])

    if not shutil.which("java"):
        raise SystemExit("Spark needs a Java, and none is on PATH")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    cores = len(os.sched_getaffinity(0))
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
        "spark.python.worker.reuse": "true",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("score")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(rows).select("id", *FEATURES)
    whole = frame.mapInArrow(scored, "id long, score float")
    whole.write.mode("overwrite").option("compression", "zstd").parquet(output)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
