"""ONNX files: what they say of themselves, what is refused, and ONNX Runtime behind the Predictor seam."""

from mlserve_cli.session._facts import read_facts
from mlserve_cli.session._predictor import OnnxPredictor, Predictor, Tensors, open_predictor, settle
from mlserve_cli.session._runtime import RowsFailed, runtime_version
from mlserve_cli.session._support import check_supported
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
    "cut_zipmaps",
    "open_predictor",
    "open_trees",
    "prove_equal",
    "read_facts",
    "runtime_version",
    "settle",
]
