"""Columns that no tree reads, taken away where they come from: features of an input, categories of a one-hot encoder.

From each tree ensemble the columns that it asks about are followed back, through the operators that leave every column
in its place, to where they begin. What is not understood keeps all its columns, and whatever stands behind it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.int64]  # positions among a tensor's columns, ascending
_LEAF = b"LEAF"
_SAME_COLUMNS = {"Identity", "Cast"}
_BY_COLUMN = {
    "Scaler": ("offset", "scale"),
    "Imputer": ("imputed_value_floats", "imputed_value_int64s"),
}


@dataclass(slots=True)
class Narrowed:
    """What was taken away: the columns that each narrowed input keeps, features in all, and categories."""

    inputs: dict[str, Columns] = field(default_factory=dict)
    categories: int = 0


def narrow_to_trees(model: Any, widths: dict[str, int]) -> Narrowed:
    """Take away, in `model` itself, what its trees never ask about. `widths` has the columns of each input that may be
    narrowed."""
    narrowing = _Narrowing(model, widths)
    by_input: dict[str, list[Any]] = {}
    for node in model.graph.node:
        if node.domain == "ai.onnx.ml" and node.op_type.startswith("TreeEnsemble"):
            by_input.setdefault(node.input[0], []).append(node)
    for name, trees in by_input.items():
        narrowing.narrow_for(name, trees)
    return narrowing.done


class _Narrowing:
    """A model that is changed as one goes back through it."""

    def __init__(self, model: Any, widths: dict[str, int]) -> None:
        self.graph, self.widths, self.done = model.graph, widths, Narrowed()
        self.makers = {name: node for node in self.graph.node for name in node.output if name}
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        for value in self.graph.output:  # a reader that takes everything
            self.readers.setdefault(value.name, []).append(value)

    def narrow_for(self, name: str, trees: list[Any]) -> None:
        """Narrow a tensor that these trees read, where nobody else does, and number their features anew."""
        width = self.width(name)
        if width is None or len(self.readers[name]) != len(trees):
            return
        asked = np.unique(np.concatenate([_features_asked(node) for node in trees]))
        if len(asked) and (asked[0] < 0 or asked[-1] >= width):
            return
        wanted = asked if len(asked) else np.zeros(1, np.int64)
        kept = self.narrow(name, wanted, width, readers=len(trees))
        if len(kept) == width:
            return
        places = np.zeros(width, np.int64)
        places[kept] = np.arange(len(kept))
        for node in trees:
            _renumber(node, places)

    def width(self, name: str) -> int | None:
        """Columns of a tensor whose axes are rows, columns, and ones between; None where it is not known."""
        if name in self.widths:
            return self.widths[name]
        node = self.makers.get(name)
        if node is None:
            return None
        if node.op_type == "OneHotEncoder":
            return len(_categories(node)) if self.width(node.input[0]) == 1 else None
        if node.op_type in _SAME_COLUMNS or node.op_type in _BY_COLUMN:
            return self.width(node.input[0])
        if node.op_type == "Reshape":
            width = self.width(node.input[0])
            return width if width is not None and self._is_flattening(node, width) else None
        if node.op_type == "Concat":
            several = [self.width(one) for one in node.input]
            known = [one for one in several if one is not None]
            return sum(known) if len(known) == len(several) and _attribute(node, "axis").i in (1, 2, -1) else None
        return None

    def narrow(self, name: str, wanted: Columns, width: int, *, readers: int = 1) -> Columns:
        """Take away what is not `wanted`; returns the columns that are left, at least those that were wanted."""
        every = np.arange(width)
        if len(self.readers.get(name, [])) != readers or len(wanted) == width:
            return every
        if name in self.widths:
            self.done.inputs[name] = wanted
            return wanted
        node = self.makers[name]
        if node.op_type == "Concat":
            return self._narrow_concat(node, wanted)
        if node.op_type == "OneHotEncoder":
            return self._narrow_one_hot(node, wanted, every)
        kept = self.narrow(node.input[0], wanted, width)
        if node.op_type == "Reshape":
            self._flatten_to(node, len(kept))
        for key in _BY_COLUMN.get(node.op_type, ()):
            _keep_in_attribute(node, key, kept, width)
        return kept

    def _narrow_concat(self, node: Any, wanted: Columns) -> Columns:
        """Inputs of which nothing is wanted go altogether."""
        kept: list[Columns] = []
        left: list[str] = []
        start = 0
        for name in node.input:
            width = self.width(name) or 0
            here = wanted[(wanted >= start) & (wanted < start + width)] - start
            if len(here):
                kept.append(self.narrow(name, here, width) + start)
                left.append(name)
            start += width
        node.ClearField("input")
        node.input.extend(left)
        return np.concatenate(kept)

    def _narrow_one_hot(self, node: Any, wanted: Columns, every: Columns) -> Columns:
        """Without its column a category is like one that was never seen: zeros everywhere, where zeros are allowed."""
        zeros = _attribute(node, "zeros")
        if zeros is not None and not zeros.i:
            return every
        for key in ("cats_strings", "cats_int64s"):
            _keep_in_attribute(node, key, wanted, len(every))
        self.done.categories += len(every) - len(wanted)
        return wanted

    def _is_flattening(self, node: Any, width: int) -> bool:
        """Whether it only takes out the axes of one between rows and columns."""
        shape = self.constants.get(node.input[1])
        return shape is not None and _int64s(shape) in ([-1, width], [0, width], [0, -1])

    def _flatten_to(self, node: Any, width: int) -> None:
        from onnx import helper

        name = f"{node.output[0]}_shape_{width}"
        self.graph.initializer.append(helper.make_tensor(name, 7, [2], [-1, width]))
        node.input[1] = name


def _features_asked(node: Any) -> Columns:
    """The features that the branches of an ensemble ask about (leaves name one too, which says nothing)."""
    features = np.array(_attribute(node, "nodes_featureids").ints, np.int64)
    modes = _attribute(node, "nodes_modes")
    if modes is not None and modes.strings:
        return features[[mode != _LEAF for mode in modes.strings]]
    return features


def _renumber(node: Any, places: Columns) -> None:
    features = _attribute(node, "nodes_featureids")
    old = np.array(features.ints, np.int64)
    old[(old < 0) | (old >= len(places))] = 0  # of leaves alone
    features.ClearField("ints")
    features.ints.extend(places[old].tolist())


def _keep_in_attribute(node: Any, key: str, kept: Columns, width: int) -> None:
    """The values of the kept columns; one value for all of them stays."""
    found = _attribute(node, key)
    if found is None:
        return
    for kind in ("floats", "ints", "strings"):
        values = list(getattr(found, kind))
        if len(values) == width:
            found.ClearField(kind)
            getattr(found, kind).extend([values[place] for place in kept.tolist()])


def _categories(node: Any) -> list[Any]:
    found = _attribute(node, "cats_strings"), _attribute(node, "cats_int64s")
    return next((list(one.strings) or list(one.ints) for one in found if one is not None), [])


def _attribute(node: Any, name: str) -> Any:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _int64s(tensor: Any) -> list[int]:
    from onnx import numpy_helper

    values: list[int] = numpy_helper.to_array(tensor).astype(np.int64).ravel().tolist()
    return values
