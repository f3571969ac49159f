"""What a data scientist would write to score files: polars and ONNX Runtime as they come, one file after the other.

    python script.py WORK.json

`mlserve bench` runs it beside mlserve. WORK.json names the model, the batch, the folder to write to, each file with
how many of its rows are wanted and what its folder says, and which columns are which input and output.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl

work = json.loads(Path(sys.argv[1]).read_text())
session = ort.InferenceSession(work["model"], providers=["CPUExecutionProvider"])
batch = work["batch_rows"]
started = time.perf_counter()


def read(path: str, rows: int) -> pl.DataFrame:
    """The columns that are needed, of one file."""
    if work["format"] == "parquet":
        return pl.read_parquet(path, columns=work["columns"], n_rows=rows)
    types = {name: getattr(pl, kind) for name, kind in work["types"].items()}
    return pl.read_csv(path, columns=work["columns"], n_rows=rows, schema_overrides=types, **work["csv"])


def tensor(frame: pl.DataFrame, spec: dict[str, Any]) -> Any:
    """One input of the model: a matrix of its columns."""
    kind = getattr(pl, spec["type"])
    wanted = [pl.col(name).cast(pl.Array(kind, spec["width"]) if spec["width"] else kind) for name in spec["columns"]]
    filled = frame.select(wanted).with_columns(pl.col(name).fill_null(value) for name, value in spec["fill"].items())
    return filled.to_numpy(order="c").reshape(frame.height, *spec["shape"])


def columns_of(spec: dict[str, Any], values: Any) -> dict[str, Any]:
    """One output of the model under the names of its columns."""
    flat = values.reshape(len(values), -1)
    if len(spec["columns"]) == flat.shape[1]:
        return dict(zip(spec["columns"], flat.T, strict=True))
    return {spec["columns"][0]: flat}


names = [spec["name"] for spec in work["outputs"]]
for number, (path, rows, constants) in enumerate(work["files"]):
    frame = read(path, rows).with_columns(pl.lit(value).alias(name) for name, value in constants.items())
    tensors = {spec["name"]: tensor(frame, spec) for spec in work["inputs"]}
    parts = [
        session.run(names, {name: values[start : start + batch] for name, values in tensors.items()})
        for start in range(0, frame.height, batch)
    ]
    scores: dict[str, Any] = {name: frame[name] for name in work["carried"]}
    for spec, pieces in zip(work["outputs"], zip(*parts, strict=True), strict=True):
        scores |= columns_of(spec, np.concatenate(pieces))
    pl.DataFrame(scores).write_parquet(f"{work['output']}/{number:05}.parquet")

print(json.dumps({"seconds": time.perf_counter() - started}))
