"""ONNX models that must be refused, each with a word that the refusal says, and models that fail on some rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tests.models import BOOL, FLOAT, INT64, STRING, Array, identity, linear, map_of, model_of, sequence_of, tensor

# Failing on some rows


def logarithm() -> ModelProto:
    """log(X): NaN below zero, -inf at zero."""
    return model_of(
        [helper.make_node("Log", ["X"], ["Y"])], [tensor("X", FLOAT, [None, 1])], [tensor("Y", FLOAT, [None, 1])]
    )


def picky() -> ModelProto:
    """Fails on every batch that holds an X outside 0 … 3: a Gather out of range."""
    nodes = [helper.make_node("Gather", ["table", "X"], ["Y"], axis=0)]
    return model_of(
        nodes,
        [tensor("X", INT64, [None, 1])],
        [tensor("Y", FLOAT, [None, 1])],
        constants={"table": np.arange(4, dtype=np.float32)},
    )


def greedy(*, bytes_per_unit: int = 1 << 30) -> ModelProto:
    """Score X, and X times `bytes_per_unit` of memory: one row of 64 takes a machine down."""
    nodes = [
        helper.make_node("ReduceMax", ["X"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "unit"], ["size"]),
        helper.make_node("Cast", ["size"], ["units"], to=INT64),
        helper.make_node("Add", ["units", "flat"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["block"]),
        helper.make_node("ReduceMax", ["block"], ["zero"], keepdims=0),
        helper.make_node("Add", ["X", "zero"], ["Y"]),
    ]
    constants: dict[str, Array] = {"unit": np.array(bytes_per_unit / 4, np.float32), "flat": np.array([1], np.int64)}
    return model_of(nodes, [tensor("X", FLOAT, [None, 1])], [tensor("Y", FLOAT, [None, 1])], constants=constants)


def slow(*, steps_per_unit: int = 1_000_000) -> ModelProto:
    """Score X, after a loop of X times `steps_per_unit` steps (a million take some seconds)."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sqrt", ["state"], ["next"])],
        "body",
        [tensor("step", INT64, []), tensor("go", BOOL, []), tensor("state", FLOAT, [])],
        [tensor("go_on", BOOL, []), tensor("next", FLOAT, [])],
    )
    nodes = [
        helper.make_node("ReduceMax", ["X"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "unit"], ["size"]),
        helper.make_node("Cast", ["size"], ["count"], to=INT64),
        helper.make_node("Loop", ["count", "yes", "one"], ["root"], body=body),
        helper.make_node("Mul", ["X", "root"], ["Y"]),
    ]
    constants: dict[str, Array] = {
        "unit": np.array(steps_per_unit, np.float32),
        "yes": np.array(True),
        "one": np.array(1, np.float32),
    }
    return model_of(nodes, [tensor("X", FLOAT, [None, 1])], [tensor("Y", FLOAT, [None, 1])], constants=constants)


# Refused


def custom_operator() -> ModelProto:
    """An operator of a library that nobody should load."""
    return model_of(
        [helper.make_node("Mine", ["X"], ["Y"], domain="my.ops")],
        [tensor("X", FLOAT, [None, 1])],
        [tensor("Y", FLOAT, [None, 1])],
        domains=["my.ops"],
    )


def external(location: str = "../secret.bin") -> ModelProto:
    """Weights in another file."""
    model = linear(3)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return model


def of_kind(value_type: Any, *, as_input: bool) -> ModelProto:
    """A model with an input or output that is no plain tensor."""
    odd = helper.make_value_info("odd", value_type)
    plain = tensor("X", FLOAT, [None, 1])
    if as_input:
        node = helper.make_node("SequenceLength", ["odd"], ["Y"])
        return model_of([node], [odd], [tensor("Y", INT64, [])])
    return model_of([helper.make_node("SequenceConstruct", ["X"], ["odd"])], [plain], [odd])


def doubled_rows() -> ModelProto:
    """Declares one row per row and returns two."""
    return model_of(
        [helper.make_node("Concat", ["X", "X"], ["Y"], axis=0)],
        [tensor("X", FLOAT, [None, 1])],
        [tensor("Y", FLOAT, [None, 1])],
    )


def no_rows() -> ModelProto:
    """Declares one row per row and returns none."""
    return model_of(
        [helper.make_node("Slice", ["X", "zero", "zero"], ["Y"])],
        [tensor("X", FLOAT, [None, 1])],
        [tensor("Y", FLOAT, [None, 1])],
        constants={"zero": np.array([0], np.int64)},
    )


def mean_of_batch() -> ModelProto:
    """One number for the whole batch."""
    return model_of(
        [helper.make_node("ReduceMean", ["X"], ["Y"], keepdims=0)],
        [tensor("X", FLOAT, [None, 1])],
        [tensor("Y", FLOAT, [])],
    )


def classes_first() -> ModelProto:
    """[2, N, 2], as multi-output classifiers have it."""
    return model_of(
        [helper.make_node("Unsqueeze", ["X", "first"], ["U"]), helper.make_node("Concat", ["U", "U"], ["Y"], axis=0)],
        [tensor("X", FLOAT, [None, 2])],
        [tensor("Y", FLOAT, [2, None, 2])],
        constants={"first": np.array([0], np.int64)},
    )


_FLOATS = helper.make_tensor_type_proto(FLOAT, None)

# name -> (model, a word that the refusal must say)
REFUSED: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "custom operators": (custom_operator, "my.ops.Mine"),
    "external data above the folder": (external, "../secret.bin"),
    "external data beside the file": (lambda: external("weights.bin"), "weights.bin"),
    "sequence input": (lambda: of_kind(sequence_of(_FLOATS), as_input=True), "sequence(float32)"),
    "sequence output": (lambda: of_kind(sequence_of(_FLOATS), as_input=False), "sequence(float32)"),
    "optional input": (lambda: of_kind(helper.make_optional_type_proto(_FLOATS), as_input=True), "optional(float32)"),
    "map input": (lambda: of_kind(map_of(STRING, FLOAT), as_input=True), "map(string, float32)"),
    "complex numbers": (lambda: identity(TensorProto.COMPLEX64, [None, 1]), "complex64"),
    "scalar output": (mean_of_batch, "scalar"),
    "scalar input": (lambda: identity(FLOAT, []), "scalar"),
    "classes on the first axis": (classes_first, "[2, None, 2]"),
    "an axis besides the rows open": (lambda: identity(FLOAT, [None, None, 2]), "open"),
    "opset too new": (lambda: _with_opset(linear(3), 99), "opset"),
    "IR too new": (lambda: _with_ir(linear(3), 99), "IR version"),
    "two rows for one": (doubled_rows, "rows"),
    "no row for one": (no_rows, "rows"),
}


def _with_opset(model: ModelProto, version: int) -> ModelProto:
    model.opset_import[0].version = version
    return model


def _with_ir(model: ModelProto, version: int) -> ModelProto:
    model.ir_version = version
    return model
