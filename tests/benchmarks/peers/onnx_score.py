"""What every engine here calls in its workers: a session once per process, batches that suit a small network.

One thread per session, since each engine has as many workers as there are cores.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime as ort

BATCH_ROWS = 4_096
FEATURES = [f"f{number}" for number in range(28)]


@cache
def session(model: str, threads: int = 1) -> Any:
    """The session of this process."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def score(model: str, matrix: Any, *, threads: int = 1) -> Any:
    """The last class's probability, or the only score: [N] float32."""
    opened = session(model, threads)
    output, name = opened.get_outputs()[-1].name, opened.get_inputs()[0].name
    parts = [
        opened.run([output], {name: matrix[start : start + BATCH_ROWS]})[0].reshape(-1, opened_width(opened))[:, -1]
        for start in range(0, len(matrix), BATCH_ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def opened_width(opened: Any) -> int:
    """Values per row of the last output."""
    return int(opened.get_outputs()[-1].shape[1])


def matrix_of(columns: list[Any]) -> Any:
    """Arrow arrays side by side: [N, columns] float32."""
    return np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
