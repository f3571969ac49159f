"""MLflow: a model saved in its ONNX flavour, loaded as pyfunc and given one file after the other.

    python mlflow_peer.py save MODEL FOLDER                   # beforehand: neither timed nor watched
    python mlflow_peer.py FOLDER ROWS OUTPUT BATCH_ROWS

https://mlflow.org/docs/latest/ml/model/python_model/ (pyfunc) and
https://mlflow.org/docs/latest/api_reference/python_api/mlflow.onnx.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd

from onnx_score import FEATURES


def main(saved: str, rows: str, output: str, batch_rows: str) -> None:
    """Load, then file by file in batches."""
    loaded, size = mlflow.pyfunc.load_model(saved), int(batch_rows)
    for path in sorted(Path(rows).glob("*.parquet")):
        frame = pd.read_parquet(path, columns=["id", *FEATURES])
        matrix = np.ascontiguousarray(frame[FEATURES].to_numpy(dtype=np.float32))
        parts = [
            list(loaded.predict(matrix[start : start + size]).values())[-1] for start in range(0, len(matrix), size)
        ]
        scores = np.concatenate(parts).reshape(len(frame), -1)[:, -1]
        scored = pd.DataFrame({"id": frame["id"], "score": scores})
        scored.to_parquet(Path(output, path.name), index=False, compression="zstd")


def save(model: str, folder: str) -> None:
    """As a team would have done it after training; threads are ONNX Runtime's own choice, as MLflow leaves it."""
    import mlflow.onnx
    import onnx

    mlflow.onnx.save_model(onnx.load(model), folder)


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
