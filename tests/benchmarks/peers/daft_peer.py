"""Daft: a batch function over columns, the session once per process.

https://docs.daft.ai/en/stable/custom-code/cls/ (a class is set up once per worker, a batch method takes whole columns).

Without max_concurrency Daft calls the function on the threads that decode, two at once on two cores, which suits a
model that lets go of the GIL; with it, rows go to processes and back: measured twice the time and twice the memory.
"""

from __future__ import annotations

import sys
from typing import Any

import daft
from daft import DataType

from onnx_score import FEATURES, matrix_of, score


@daft.cls()
class Scorer:
    """Holds the model's path; the session is opened once."""

    def __init__(self, model: str, batch_rows: int) -> None:
        self.model, self.batch_rows = model, batch_rows

    @daft.method.batch(return_dtype=DataType.float32())
    def score(self, *columns: Any) -> Any:
        """Whole columns at once."""
        return score(self.model, matrix_of([column.to_arrow() for column in columns]), self.batch_rows)


def main(model: str, rows: str, output: str, batch_rows: str) -> None:
    """Read, score, write."""
    frame = daft.read_parquet(f"{rows}/*.parquet")
    scorer = Scorer(model, int(batch_rows))
    scored = frame.with_column("score", scorer.score(*[daft.col(name) for name in FEATURES]))
    scored.select("id", "score").write_parquet(output, compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])
