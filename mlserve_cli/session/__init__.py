"""ONNX files: what they say of themselves, what is refused, and ONNX Runtime behind the Predictor seam."""

from mlserve_cli.session._facts import facts_of, read_facts, read_model
from mlserve_cli.session._known import newer_opsets, unknown_operators
from mlserve_cli.session._predictor import (
    OnnxPredictor,
    Predictor,
    Tensors,
    open_model,
    open_predictor,
    settle,
    threads_for,
)
from mlserve_cli.session._runtime import RowsFailed, runtime_version
from mlserve_cli.session._support import check_supported, find_unsupported
from mlserve_cli.session._zipmap import cut_zipmaps
from mlserve_cli.session.trees import TreesPredictor, Unsupported, open_trees, prove_equal

__all__ = [
    "OnnxPredictor",
    "Predictor",
    "RowsFailed",
    "Tensors",
    "TreesPredictor",
    "Unsupported",
    "check_supported",
    "facts_of",
    "find_unsupported",
    "newer_opsets",
    "unknown_operators",
    "cut_zipmaps",
    "open_model",
    "open_predictor",
    "open_trees",
    "prove_equal",
    "read_facts",
    "read_model",
    "runtime_version",
    "settle",
    "threads_for",
]
