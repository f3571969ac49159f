"""Customers whose outcome is known to follow two numbers, and two models of which one knows both of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import ModelProto, TensorProto, helper

from mlserve_cli import scoring
from mlserve_cli.scoring import ScoreRequest
from tests.cli.desk import Desk
from tests.models import model_of, save, tensor

TRUE_WEIGHTS = (1.2, -0.8)


def logistic(weights: Sequence[float], *, names: str = "a,b") -> ModelProto:
    """p = sigmoid(a·w1 + b·w2), one output `score`."""
    constants = {
        "W": np.array(weights, np.float32).reshape(2, 1),
        "B": np.zeros(1, np.float32),
    }
    nodes = [helper.make_node("Gemm", ["X", "W", "B"], ["Z"]), helper.make_node("Sigmoid", ["Z"], ["score"])]
    return model_of(
        nodes,
        [tensor("X", TensorProto.FLOAT, [None, 2])],
        [tensor("score", TensorProto.FLOAT, [None, 1])],
        constants=constants,
        metadata={"feature_names": names} if names else None,
    )


def customers(rows: int, seed: int, *, first: int = 0) -> pa.Table:
    """`id`, the features `a` and `b`, and `came`, 0 or 1, as likely as the true weights say."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=(2, rows))
    came = draw.random(rows) < 1 / (1 + np.exp(-(TRUE_WEIGHTS[0] * a + TRUE_WEIGHTS[1] * b)))
    return pa.table({"id": np.arange(first, first + rows), "a": a, "b": b, "came": came.astype(np.int8)})


def write(folder: Path, table: pa.Table, name: str = "rows.parquet") -> str:
    """The customers without what came, as a file to score."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.drop_columns(["came"]), folder / name)
    return str(folder / name)


def came(folder: Path, table: pa.Table, name: str = "came.parquet") -> str:
    """What came, as a file of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.select(["id", "came"]), folder / name)
    return str(folder / name)


def models(folder: Path) -> tuple[str, str]:
    """The one in use, which does not know `b`, and the one that knows both."""
    folder.mkdir(parents=True, exist_ok=True)
    old, new = folder / "old.onnx", folder / "new.onnx"
    save(logistic((0.9, 0.0)), old)
    save(logistic(TRUE_WEIGHTS), new)
    return str(old), str(new)


def at(premises: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in a folder that holds `registry` and, in `before`, what it was; as it was then, and with what came."""
    shutil.rmtree(premises / "registry")
    shutil.copytree(premises / "before", premises / "registry")
    here = replace(desk, folder=premises)
    monkeypatch.chdir(premises)
    monkeypatch.setenv("MLSERVE_REGISTRY", here.path("registry"))
    came(premises, customers(1_000, 2))
    return here


def scored(model: str, rows: str, out: Path, **more: object) -> str:
    """A run's folder."""
    request = {"model": model, "inputs": (rows,), "output": str(out), "id_column": "id", "workers": 1, **more}
    scoring.score(ScoreRequest(**request))  # type: ignore[arg-type]
    return str(out)
