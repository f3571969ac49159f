"""Steps that take from a graph what its outputs do not need. Each changes the model that it is given, and says what."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlserve_cli.contract import TensorSpec
from mlserve_cli.session import cut_zipmaps

_MULTIPLIES = {"MatMul", "Gemm", "Conv", "ConvTranspose"}


def without_outputs(data: bytes, outputs: Sequence[TensorSpec], *, where: str) -> tuple[bytes, int]:
    """The model with these outputs alone, a ZipMap's own tensor among them; and how many went."""
    from mlserve_cli.optimize.methods import parse_model

    wanted = {spec.name: spec for spec in outputs}
    before = len(parse_model(data).graph.output)
    model = parse_model(cut_zipmaps(data, wanted=wanted, where=where))
    for value in [value for value in model.graph.output if value.name not in wanted]:
        model.graph.output.remove(value)
    for value in model.graph.output:
        if not value.HasField("type"):  # what a ZipMap wrapped had none of its own
            _declare(value, wanted[value.name])
    return model.SerializeToString(), before - len(model.graph.output)


def drop_dead(model: Any) -> tuple[int, int]:
    """Take out nodes, and constants, that no output needs; how many of each."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    alive: list[Any] = []
    for node in reversed(graph.node):  # in a valid model makers stand before readers
        if needed.intersection(node.output):
            alive.append(node)
            needed.update(node.input)
            needed.update(_names_inside(node))
    nodes = len(graph.node) - len(alive)
    graph.ClearField("node")
    graph.node.extend(reversed(alive))
    constants = [tensor for tensor in graph.initializer if tensor.name not in needed]
    for tensor in constants:
        graph.initializer.remove(tensor)
    for sparse in [one for one in graph.sparse_initializer if one.values.name not in needed]:
        graph.sparse_initializer.remove(sparse)
    names = {name for node in graph.node for name in node.output}
    for value in [value for value in graph.value_info if value.name not in names]:
        graph.value_info.remove(value)
    return nodes, len(constants)


def drop_inputs(model: Any) -> tuple[str, ...]:
    """Take out the inputs that nothing reads; one always stays, or nobody would know how many rows there are."""
    graph = model.graph
    read = {name for node in graph.node for name in (*node.input, *_names_inside(node))}
    read |= {value.name for value in graph.output}
    constants = {tensor.name for tensor in graph.initializer}
    unread = [value for value in graph.input if value.name not in read and value.name not in constants]
    if len(unread) == sum(value.name not in constants for value in graph.input):
        unread = unread[1:]
    for value in unread:
        graph.input.remove(value)
    return tuple(value.name for value in unread)


def drop_default_keys(model: Any) -> int:
    """Take out the keys of label encoders that stand for what any unknown key stands for; how many."""
    total = 0
    for node in model.graph.node:
        if node.domain != "ai.onnx.ml" or node.op_type != "LabelEncoder":
            continue
        named = {attribute.name: attribute for attribute in node.attribute}
        for keys, values, default, usual in _ENCODINGS:
            if keys in named and values in named:
                total += _drop_keys(named[keys], named[values], named.get(default), usual)
    return total


def _declare(value: Any, spec: TensorSpec) -> None:
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    value.type.CopyFrom(helper.make_tensor_type_proto(element, [None, *spec.shape[1:]]))


_KEYS = (("keys_strings", "strings"), ("keys_int64s", "ints"))
_VALUES = (
    ("values_strings", "default_string", b"_Unused"),
    ("values_int64s", "default_int64", -1),
)
_ENCODINGS = [(keys, values, default, usual) for keys, _ in _KEYS for values, default, usual in _VALUES]


def _drop_keys(keys: Any, values: Any, default: Any, usual: Any) -> int:
    field = "strings" if values.strings else "ints"
    meant = usual if default is None else default.s if field == "strings" else default.i
    pairs_of = "strings" if keys.strings else "ints"
    old_keys, old_values = list(getattr(keys, pairs_of)), list(getattr(values, field))
    kept = [place for place, value in enumerate(old_values) if value != meant]
    if len(set(old_keys)) < len(old_keys) or not kept or len(kept) == len(old_values):
        return 0
    keys.ClearField(pairs_of)
    values.ClearField(field)
    getattr(keys, pairs_of).extend([old_keys[place] for place in kept])
    getattr(values, field).extend([old_values[place] for place in kept])
    return len(old_values) - len(kept)


def folded(data: bytes) -> bytes:
    """The model with its constant parts computed, by ONNX Runtime's own basic optimisations, still standard ONNX."""
    import onnxruntime as ort  # after our session, which switches its telemetry off

    with tempfile.TemporaryDirectory(prefix="mlserve-") as folder:
        target = Path(folder) / "model.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return target.read_bytes()


def set_small_to_zero(model: Any, share: float) -> tuple[int, int]:
    """Set the `share` of each weight matrix that is smallest to zero; how many weights, of how many."""
    from onnx import numpy_helper

    weights = {name for node in model.graph.node if node.op_type in _MULTIPLIES for name in node.input}
    zeroed = total = 0
    for tensor in model.graph.initializer:
        if tensor.name not in weights or len(tensor.dims) < 2 or tensor.data_type not in (1, 10, 11):
            continue
        values = np.array(numpy_helper.to_array(tensor))
        count = int(values.size * share)
        smallest = np.argpartition(np.abs(values), max(count - 1, 0), axis=None)[:count]
        values.reshape(-1)[smallest] = 0
        zeroed, total = zeroed + count, total + values.size
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return zeroed, total


def _names_inside(node: Any) -> set[str]:
    """What the node's subgraphs read; names of their own do no harm."""
    found: set[str] = set()
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            found |= {value.name for value in graph.output}
            for inner in graph.node:
                found.update(inner.input)
                found |= _names_inside(inner)
    return found
