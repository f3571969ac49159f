"""Daft: a batch function over columns, the session once per worker.

https://docs.daft.ai/en/stable/custom-code/cls/ (a class is set up once per worker, a batch method takes whole columns).
"""

from __future__ import annotations

import os
import sys
from typing import Any

import daft
from daft import DataType

from onnx_score import FEATURES, matrix_of, score


@daft.cls(max_concurrency=len(os.sched_getaffinity(0)))
class Scorer:
    """Holds the model's path; the session is opened once by each process."""

    def __init__(self, model: str) -> None:
        self.model = model

    @daft.method.batch(return_dtype=DataType.float32())
    def score(self, *columns: Any) -> Any:
        """Whole columns at once."""
        return score(self.model, matrix_of([column.to_arrow() for column in columns]))


def main(model: str, rows: str, output: str) -> None:
    """Read, score, write."""
    frame = daft.read_parquet(f"{rows}/*.parquet")
    scorer = Scorer(model)
    scored = frame.with_column("score", scorer.score(*[daft.col(name) for name in FEATURES]))
    scored.select("id", "score").write_parquet(output, compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])
