"""Small real runs: shards written from columns, requests on them, and what stands at an output afterwards."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import ModelProto

from mlserve_cli import Manifest, RunResult, ScoreRequest, score
from mlserve_cli.contract import encode_sealed
from mlserve_cli.manifest import read_manifest
from tests.models import linear, save

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_data"
ABC = ("a", "b", "c")


def model_file(folder: Path, model: ModelProto | None = None, *, name: str = "model.onnx") -> str:
    """The model as a file; without one a linear model of the columns a, b and c that writes Y."""
    return str(save(linear(3, names=ABC) if model is None else model, folder / name))


def shard(path: Path, columns: Mapping[str, Sequence[object] | pa.Array], *, row_group_rows: int = 4) -> Path:
    """A shard of the format that its ending says, in a folder that is made where it does not stand."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(dict(columns)), path, row_group_size=row_group_rows)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return path


def numbers(rows: int, *, first: int = 0, columns: Sequence[str] = ABC) -> dict[str, list[float]]:
    """Columns of small numbers that float32 holds exactly, different in every row."""
    return {
        name: [(row * 7 + place * 3) % 64 / 16 - 1.5 for row in range(first, first + rows)]
        for place, name in enumerate(columns)
    }


def request(folder: Path, **options: Any) -> ScoreRequest:
    """A run in this process of the folder's model.onnx on its `in`, to its `out`."""
    wanted = {"model": str(folder / "model.onnx"), "inputs": (str(folder / "in"),), "output": str(folder / "out")}
    return ScoreRequest(**{**wanted, "workers": 1, **options})


def run(folder: Path, **options: Any) -> RunResult:
    """Score; see `request`."""
    return score(request(folder, **options))


def scored(result: RunResult) -> pa.Table:
    """All rows of the data files, in the order of their names."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((result.output / "data").iterdir()))


def set_aside(result: RunResult) -> pa.Table:
    """All rows in quarantine, in the order of the files' names."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((result.output / "quarantine").iterdir()))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too, by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def data_bytes(out: Path) -> dict[str, bytes]:
    """What must be the same to the byte: data and quarantine of a run, without its manifest and profile."""
    return {name: content for name, content in contents(out).items() if name not in ("manifest.json", "profile.json")}


def resealed(path: Path, **changes: Any) -> Manifest:
    """Change fields of the manifest at `path` and seal it again, as one who wants to hide something would."""
    manifest = msgspec.structs.replace(read_manifest(path), **changes)
    path.write_bytes(encode_sealed(manifest))
    return manifest
