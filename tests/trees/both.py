"""A model run by ONNX Runtime and on the kernel, and the one comparison that every test here makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from mlserve_cli.contract import Contract, bind
from mlserve_cli.session import Predictor, TreesPredictor, open_predictor, open_trees, read_facts, settle

Outputs = dict[str, NDArray[Any]]
TOLERANCE = 1e-6


def open_both(path: Path, *, features: int | None = None) -> tuple[TreesPredictor, Predictor, Contract]:
    """The model at `path` on the kernel and on ONNX Runtime. Raises Unsupported where the kernel does not take it."""
    facts = read_facts(str(path))
    named = () if features is None else (",".join(f"f{i}" for i in range(features)),)
    contract = bind(facts, features=named)
    plain = open_predictor(str(path), sha256=facts.sha256, contract=contract, threads=1)
    contract = settle(contract, predictor=plain)
    return open_trees(str(path), sha256=facts.sha256, contract=contract), plain, contract


def open_model(model: ModelProto, folder: Path) -> tuple[TreesPredictor, Predictor, Contract]:
    """The same for a model over the matrix X."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return open_both(path, features=model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)


def assert_alike(found: Outputs, expected: Outputs, *, to_the_bit: bool = False) -> None:
    """The same shapes, types and labels; scores to the bit, or within the tolerance."""
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        ours = found[name]
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        if to_the_bit or theirs.dtype.kind != "f":
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
