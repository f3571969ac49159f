"""MLflow: the model saved in its ONNX flavour beforehand, then loaded as pyfunc and given one file after the other.

https://mlflow.org/docs/latest/ml/model/python_model/ (pyfunc) and
https://mlflow.org/docs/latest/api_reference/python_api/mlflow.onnx.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import mlflow.onnx
import mlflow.pyfunc
import numpy as np
import onnx
import pandas as pd

from onnx_score import BATCH_ROWS, FEATURES


def main(model: str, rows: str, output: str) -> None:
    """Load, then file by file in batches."""
    saved = Path(f"{model}.mlflow")
    if not saved.exists():  # in the round that does not count
        mlflow.onnx.save_model(onnx.load(model), str(saved))
    loaded = mlflow.pyfunc.load_model(str(saved))
    for path in sorted(Path(rows).glob("*.parquet")):
        frame = pd.read_parquet(path, columns=["id", *FEATURES])
        matrix = np.ascontiguousarray(frame[FEATURES].to_numpy(dtype=np.float32))
        parts = [
            list(loaded.predict(matrix[start : start + BATCH_ROWS]).values())[-1]
            for start in range(0, len(matrix), BATCH_ROWS)
        ]
        scores = np.concatenate(parts).reshape(len(frame), -1)[:, -1]
        pd.DataFrame({"id": frame["id"], "score": scores}).to_parquet(Path(output, path.name))


if __name__ == "__main__":
    main(*sys.argv[1:])
