"""Thresholds of trees that take no row to another leaf when they become ONNX.

Classic ONNX trees hold float32. Rounded to nearest, a threshold may pass a value that lay between the two numbers, and
that row takes another leaf (scores then differ by up to 4e-2, measured on LightGBM). For float32 rows and branches
`x <= t` the largest float32 that is not above t sends every row as t does. For float64 rows ONNX has doubles; where the
model is to take float32 all the same, rounding rows and thresholds alike to nearest can move fewer, so both are tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlserve_cli.errors import InvalidModel
from mlserve_cli.optimize.convert.source import Precision, Rounding

Reals = NDArray[np.float64]
_FLOAT, _DOUBLE, _ML = 1, 11, "ai.onnx.ml"
_AS_TENSORS = (
    "nodes_values",
    "class_weights",
    "target_weights",
    "base_values",
)  # a set has no order
MOST_THRESHOLDS = 1 << 24  # their numbers must be exact in float32


def rounded(thresholds: Reals, how: Rounding) -> Reals:
    """Thresholds of `x <= t` (float64, any shape) as float32 holds them, or as they are."""
    if how == "exact":
        return thresholds
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        if how == "down":
            nearest = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return nearest.astype(np.float64)


def set_thresholds(model: Any, table: Reals, *, precision: Precision) -> None:
    """In an ONNX model whose branches hold numbers of thresholds, put the thresholds: `table[number]`, in place.

    With float64 the trees hold doubles, and the model's inputs become double.
    """
    for node in model.graph.node:
        if is_trees(node):
            _set_on(node, table, precision=precision)
    if precision == "float64":
        for value in model.graph.input:
            if value.type.tensor_type.elem_type == _FLOAT:
                value.type.tensor_type.elem_type = _DOUBLE
        for opset in model.opset_import:
            if opset.domain == _ML:
                opset.version = max(opset.version, 3)


def is_trees(node: Any) -> bool:
    """Whether an ONNX node is a classic tree ensemble."""
    return node.domain == _ML and node.op_type in ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


def round_branches_down(node: Any) -> None:
    """A tree node for float32 rows, in place: its numbers as float32, thresholds so that no row changes its leaf."""
    attributes = _classic(node, rounding="down")
    modes = set(attributes["nodes_modes"].strings)
    if not modes <= {b"BRANCH_LEQ", b"LEAF"}:
        raise InvalidModel(f"its branches are {sorted(modes)}, where <= was expected")


def _set_on(node: Any, table: Reals, *, precision: Precision) -> None:
    attributes = _classic(node)
    modes = np.array(attributes["nodes_modes"].strings, dtype=object)
    values = np.array(attributes["nodes_values"].floats, dtype=np.float64)
    ordered = modes == b"BRANCH_LEQ"
    if not np.all(ordered | (modes == b"LEAF") | (modes == b"BRANCH_EQ")):
        raise InvalidModel(f"its branches are {sorted(set(modes.tolist()))}, where <= was expected")
    values[ordered] = table[values[ordered].astype(np.int64)]
    if precision == "float32":
        attributes["nodes_values"].floats[:] = values.tolist()
        return
    for name in [name for name in _AS_TENSORS if name in attributes]:
        whole = values if name == "nodes_values" else np.array(attributes[name].floats, dtype=np.float64)
        _replace(node, attributes[name], whole)


def _classic(node: Any, *, rounding: Rounding = "exact") -> dict[str, Any]:
    """The node's attributes by name, with floats where a converter wrote tensors of doubles already.

    A float attribute holds float32, to which it rounds to nearest unless thresholds were rounded before.
    """
    from onnx import helper, numpy_helper

    for attribute in [one for one in node.attribute if one.name.removesuffix("_as_tensor") in _AS_TENSORS]:
        if attribute.name.endswith("_as_tensor"):
            values = numpy_helper.to_array(attribute.t).astype(np.float64)
            if attribute.name.startswith("nodes_values"):
                values = rounded(values, rounding)
            node.attribute.remove(attribute)
            node.attribute.append(helper.make_attribute(attribute.name.removesuffix("_as_tensor"), values.tolist()))
    return {attribute.name: attribute for attribute in node.attribute}


def _replace(node: Any, attribute: Any, values: Reals) -> None:
    from onnx import helper, numpy_helper

    name = f"{attribute.name}_as_tensor"
    node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, numpy_helper.from_array(values, name)))
