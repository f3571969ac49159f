"""What every engine here calls in its workers: a session once per process, batches of the size that it is given.

    python onnx_score.py MODEL        # prints the best sizes as JSON: on one thread, on ONNX Runtime's own choice

One thread per session, since each engine scores on as many threads or workers as there are cores.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime as ort

FEATURES = [f"f{number}" for number in range(28)]
SIZES = (512, 1_024, 4_096, 16_384)
SIZES_ROWS, SIZES_ROUNDS = 32_768, 3


def main(model: str) -> None:
    """Find the best sizes."""
    print(json.dumps({"one_thread": _best_size(model, threads=1), "all_threads": _best_size(model, threads=0)}))


def score(model: str, matrix: Any, batch_rows: int, *, threads: int = 1) -> Any:
    """The last class's probability, or the only score: [N] float32."""
    opened = session(model, threads)
    output, name = opened.get_outputs()[-1], opened.get_inputs()[0].name
    parts = [
        opened.run([output.name], {name: matrix[start : start + batch_rows]})[0].reshape(-1, output.shape[1])[:, -1]
        for start in range(0, len(matrix), batch_rows)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


@cache
def session(model: str, threads: int) -> Any:
    """The session of this process; 0 threads are as many as ONNX Runtime likes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def matrix_of(columns: list[Any]) -> Any:
    """Arrow arrays side by side: [N, columns] float32."""
    return np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])


def _best_size(model: str, *, threads: int) -> int:
    """By the quickest of a few rounds."""
    matrix = np.random.default_rng(0).standard_normal((SIZES_ROWS, len(FEATURES)), dtype=np.float32)
    seconds = dict.fromkeys(SIZES, float("inf"))
    for size in SIZES * SIZES_ROUNDS:
        began = time.perf_counter()
        score(model, matrix, size, threads=threads)
        seconds[size] = min(seconds[size], time.perf_counter() - began)
    return min(SIZES, key=lambda size: seconds[size])


if __name__ == "__main__":
    main(*sys.argv[1:])
