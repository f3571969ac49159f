"""A model package folder: `model.onnx`, `package.toml`, `golden.parquet`; and ONNX Runtime run on it by hand."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import polars as pl

import shards

GOLDEN_ROWS = 64
TOLERANCE = 1e-5
_ROW_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(string)": np.object_}


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says of its model."""

    name: str
    description: str
    model: onnx.ModelProto
    inputs: Mapping[str, tuple[str, ...]]  # tensor: the columns that feed it, in order
    output: str
    output_columns: tuple[str, ...]  # of the probabilities; the last is that of being late
    provenance: Mapping[str, str]
    fill: Mapping[str, str | int] = field(default_factory=dict)
    threshold: float = 0.5
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """All input columns."""
        return [column for columns in self.inputs.values() for column in columns]

    def measured(self, *, threshold: float, metrics: Mapping[str, float]) -> "Package":
        """The same package with what measuring its model gave."""
        return replace(self, threshold=threshold, metrics=metrics)


def write(package: Package, *, folder: Path, golden: pl.DataFrame) -> None:
    """Write the three files; the digests in package.toml are those of the files as they stand on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(package.model, full_check=True)
    (folder / "model.onnx").write_bytes(package.model.SerializeToString(deterministic=True))
    shards.WRITERS["parquet"](folder / "golden.parquet", iter([golden]))
    digests = {name: _digest(folder / name) for name in ("model.onnx", "golden.parquet")}
    (folder / "package.toml").write_text(_to_toml(package, digests=digests), encoding="utf-8")


def golden_rows(sample: pl.DataFrame, *, package: Package, expected: pl.DataFrame) -> pl.DataFrame:
    """Every n-th row of the sample: all months, and nulls as the data has them."""
    wanted = expected.rename({name: f"expected_{name}" for name in package.output_columns})
    rows = pl.concat([sample.select(package.columns), wanted], how="horizontal")
    golden = rows.gather_every(sample.height // GOLDEN_ROWS).head(GOLDEN_ROWS)
    assert any(golden.null_count().row(0)), "golden rows without a null prove nothing of nulls"
    return golden


def score_by_hand(folder: Path, rows: pl.DataFrame, *, package: Package) -> npt.NDArray[np.float64]:
    """The written model's scores by ONNX Runtime in one batch, [N, output columns]."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    feeds = {
        tensor.name: _tensor(rows, package.inputs[tensor.name], dtype=_ROW_TYPES[tensor.type], fill=package.fill)
        for tensor in session.get_inputs()
    }
    (scores,) = session.run([package.output], feeds)
    if isinstance(scores, list):  # a ZipMap gives one dictionary per row
        scores = [list(row.values()) for row in scores]
    return np.asarray(scores, dtype=np.float64)


def _tensor(
    rows: pl.DataFrame, columns: tuple[str, ...], *, dtype: type[np.generic], fill: Mapping[str, str | int]
) -> npt.NDArray[np.generic]:
    filled = rows.select(pl.col(column).fill_null(fill.get(column, np.nan)) for column in columns)
    return filled.to_numpy().astype(dtype)


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _to_toml(package: Package, *, digests: Mapping[str, str]) -> str:
    """Strings, numbers and lists of JSON are TOML too."""
    blocks = [
        {"format": 1, "name": package.name, "version": "1", "description": package.description, "license": "CC0-1.0"},
        ("[contract]", {"nulls": "nan", "threshold": package.threshold}),
        *(("[[contract.inputs]]", {"tensor": name, "columns": names}) for name, names in package.inputs.items()),
        *([("[contract.fill]", package.fill)] if package.fill else []),
        (
            "[[contract.outputs]]",
            {"tensor": package.output, "role": "probability", "columns": package.output_columns},
        ),
        ("[golden]", {"file": "golden.parquet", "tolerance": TOLERANCE}),
        ("[provenance]", package.provenance),
        ("[metrics]", package.metrics),
        ("[digests]", {f'"{name}"': digest for name, digest in digests.items()}),
    ]
    return "\n".join(_block(block) for block in blocks)


def _block(block: object) -> str:
    heading, values = block if isinstance(block, tuple) else ("", block)
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([*filter(None, [heading]), *lines, ""])
