"""Tree ensembles of an ONNX model on a kernel of our own, several times as fast as ONNX Runtime runs them."""

from mlserve_cli.session.trees._ensemble import Unsupported
from mlserve_cli.session.trees._predictor import TreesPredictor, open_trees
from mlserve_cli.session.trees._proof import prove_equal

__all__ = ["TreesPredictor", "Unsupported", "open_trees", "prove_equal"]
