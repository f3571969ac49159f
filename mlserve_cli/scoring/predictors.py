"""What runs the model: ONNX Runtime, or for trees the fast kernel where it pays and where it scores alike.

Chosen before the plan is frozen, by the rows and the model alone and never by the machine: the plan names it.
"""

from __future__ import annotations

import os
from typing import Literal

import msgspec
import numpy as np

from mlserve_cli.contract import Contract
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import Plan, PlannedModel
from mlserve_cli.scoring.golden import golden_outputs
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.session import (
    Predictor,
    Unsupported,
    check_supported,
    open_predictor,
    open_trees,
    prove_equal,
    settle,
    threads_for,
)

# Rows times trees from which the kernel saves more than its start costs: LLVM takes 0.3 s in each process, the proof
# 0.1 s, and a tree some 30 ns a row less than with ONNX Runtime.
LEAST_TREE_ROWS = 30_000_000
GOLDEN_TOLERANCE = 1e-6


class Choice(msgspec.Struct, frozen=True):
    """A predictor, its name for the plan, and why it is not another one.

    `threads` are those that a session of ONNX Runtime has of its own.
    """

    name: Literal["onnxruntime", "trees"]
    reason: str
    predictor: Predictor
    threads: int = 1


def open_bound(model: ResolvedModel, contract: Contract) -> tuple[Contract, Predictor]:
    """The contract with every output's true shape, and a session: what cannot be run is refused before any shard is."""
    external = model.package.external_files
    check_supported(model.facts, contract, allowed_external=external)
    predictor = open_predictor(
        model.package.model_path,
        sha256=model.facts.sha256,
        contract=contract,
        threads=threads_for(model.facts.family, size_bytes=model.facts.size_bytes),
        cores=usable_cores(),
        allowed_external=external,
    )
    return settle(contract, predictor=predictor), predictor


def choose_predictor(
    request: ScoreRequest, model: ResolvedModel, contract: Contract, *, plain: Predictor, rows: int, batch_rows: int
) -> Choice:
    """The kernel for trees where enough rows pass through them and it was proved to score as `plain` does.

    Raises InvalidModel (78) where the kernel was asked for and cannot run the model.
    """
    threads = threads_for(model.facts.family, size_bytes=model.facts.size_bytes)
    if request.predictor == "onnxruntime":
        return Choice("onnxruntime", "it was asked for", plain, threads)
    try:
        if model.facts.family != "trees":
            raise Unsupported("the model has no trees")
        least = LEAST_TREE_ROWS / max(rows, 1) if request.predictor == "auto" else 0
        trees = open_trees(
            model.package.model_path,
            sha256=model.facts.sha256,
            contract=contract,
            allowed_external=model.package.external_files,
            least_trees=least,
        )
        prove_equal(trees, plain, contract)
        _prove_on_golden_rows(model.planned(contract), contract, trees=trees, plain=plain, batch_rows=batch_rows)
    except Unsupported as reason:
        if request.predictor == "trees":
            raise InvalidModel(
                f"the kernel for trees cannot run the model: {reason}",
                shown(model.package.model_path, limit=400),
                "leave --predictor out: ONNX Runtime runs it",
            ) from reason
        return Choice("onnxruntime", str(reason), plain, threads)
    return Choice("trees", "it scores as ONNX Runtime does, faster", trees)


def open_planned(plan: Plan) -> Predictor:
    """The plan's predictor on the plan's model: the batches of several threads share it."""
    model = plan.model
    external = frozenset(model.external_files)
    if plan.predictor == "onnxruntime":
        return open_predictor(
            model.model_path,
            sha256=model.sha256,
            contract=plan.contract,
            threads=session_threads(plan),
            cores=usable_cores(),
            allowed_external=external,
        )
    try:
        return open_trees(model.model_path, sha256=model.sha256, contract=plan.contract, allowed_external=external)
    except Unsupported as reason:
        raise InvalidModel(
            f"the plan asks for the kernel for trees, which cannot run here: {reason}",
            shown(model.model_path, limit=400),
            "run it anew with --predictor onnxruntime",
        ) from reason


def session_threads(plan: Plan) -> int:
    """The threads that the plan's session of ONNX Runtime has of its own; a kernel has none."""
    if plan.predictor != "onnxruntime":
        return 1
    try:
        size_bytes = os.path.getsize(plan.model.model_path)
    except OSError:  # it is told where the file is read
        size_bytes = 0
    return threads_for(plan.model.family, size_bytes=size_bytes)


def _prove_on_golden_rows(
    model: PlannedModel, contract: Contract, *, trees: Predictor, plain: Predictor, batch_rows: int
) -> None:
    if model.golden is None:
        return
    ours, theirs = (golden_outputs(model, contract, predictor=each, batch_rows=batch_rows) for each in (trees, plain))
    for name, expected in theirs.outputs.items():
        found = ours.outputs[name]
        alike = (
            np.allclose(found, expected, rtol=0, atol=GOLDEN_TOLERANCE, equal_nan=True)
            if expected.dtype.kind == "f" and found.shape == expected.shape
            else np.array_equal(found, expected)
        )
        if not alike:
            raise Unsupported(f"output {name} differs on the golden rows")
