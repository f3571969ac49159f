"""What an ONNX file says of itself, read without running it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from mlserve_cli.contract import ModelFacts, TensorSpec
from mlserve_cli.errors import Forbidden, InputMissing, InvalidModel, IOFailed, shown
from mlserve_cli.session._classes import find_classes, find_labels
from mlserve_cli.session._onnxfile import parse

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
}


def read_facts(path: str) -> ModelFacts:
    """The facts of the model at `path`; InvalidModel where it is no ONNX model, and nothing else is judged here."""
    return facts_of(read_model(path), where=path)


def facts_of(data: bytes, *, where: str) -> ModelFacts:
    """The facts of a model that may lie in no file yet."""
    return _facts(parse(data, where=where), data)


def read_model(path: str) -> bytes:
    """The bytes of the model file."""
    where = shown(path, limit=400)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputMissing("the model does not exist", where) from error
    except PermissionError as error:
        raise Forbidden("the model may not be read", where) from error
    except IsADirectoryError as error:
        raise InvalidModel("the model is a folder, not an ONNX file", where) from error
    except OSError as error:
        raise IOFailed(f"the model cannot be read: {error.strerror}", where) from error


def _facts(model: Any, data: bytes) -> ModelFacts:
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}  # up to IR 3 these stood among the inputs too
    inputs = tuple(_spec(value) for value in graph.input if value.name not in constants)
    classes = find_classes(graph)
    operators = Counter(_operator_name(node) for node in walk_nodes(model))
    tensors = tuple(walk_tensors(model))
    fixed = {spec.shape[0] for spec in inputs if spec.shape}
    return ModelFacts(
        inputs=inputs,
        outputs=tuple(_spec(value) for value in graph.output),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        opsets={one.domain or "ai.onnx": one.version for one in model.opset_import},
        operators=dict(sorted(operators.items())),
        precision=_precision(operators, tensors, inputs),
        family=_family(operators),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        classes=classes,
        labels=find_labels(graph, classes),
        zipmaps={node.output[0]: node.input[0] for node in graph.node if is_zipmap(node)},
        external_files=tuple(sorted({name for tensor in tensors for name in _locations(tensor)})),
        fixed_batch=max((size for size in fixed if size is not None), default=None),
    )


def is_zipmap(node: Any) -> bool:
    """Whether the node turns a probability tensor into a list of dicts."""
    return bool(node.op_type == "ZipMap" and node.domain == "ai.onnx.ml" and node.input and node.output)


def walk_nodes(model: Any) -> Iterator[Any]:
    """Every node, in subgraphs and in functions too."""
    graphs = [model.graph]
    loose = [node for function in model.functions for node in function.node]
    while graphs or loose:
        for node in [*loose, *(graphs.pop().node if graphs else ())]:
            yield node
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += attribute.graphs
        loose = []


def walk_tensors(model: Any) -> Iterator[Any]:
    """Every constant tensor: of the graph, its subgraphs, and the attributes of all nodes."""
    yield from _graph_tensors(model.graph)
    for node in walk_nodes(model):
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else []
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            yield from _sparse_tensors([*sparse, *attribute.sparse_tensors])
            for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _graph_tensors(graph)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    yield from _sparse_tensors(graph.sparse_initializer)


def _sparse_tensors(tensors: Any) -> Iterator[Any]:
    for tensor in tensors:
        yield tensor.values
        yield tensor.indices


def _locations(tensor: Any) -> list[str]:
    external = [entry.value for entry in tensor.external_data if entry.key == "location"]
    return external or (["(no location)"] if tensor.data_location == 1 else [])


def _spec(value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return TensorSpec(value.name, _type_name(value.type), ())
    return TensorSpec(value.name, DTYPES.get(tensor.elem_type, f"type {tensor.elem_type}"), _shape(tensor))


def _shape(tensor: Any) -> tuple[int | None, ...]:
    """An output may leave its whole shape open: then (None,), one value a row until a run shows more."""
    if not tensor.HasField("shape"):
        return (None,)
    return tuple(_dimension(dim) for dim in tensor.shape.dim)


def _dimension(dim: Any) -> int | None:
    # exporters write 0 and -1 where they mean a free dimension
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _type_name(kind: Any) -> str:
    """What a person is told of a type that is no plain tensor."""
    if kind.HasField("tensor_type"):
        return DTYPES.get(kind.tensor_type.elem_type, f"type {kind.tensor_type.elem_type}")
    if kind.HasField("sequence_type"):
        return f"sequence({_type_name(kind.sequence_type.elem_type)})"
    if kind.HasField("map_type"):
        return f"map({DTYPES.get(kind.map_type.key_type, '?')}, {_type_name(kind.map_type.value_type)})"
    if kind.HasField("optional_type"):
        return f"optional({_type_name(kind.optional_type.elem_type)})"
    return "sparse tensor" if kind.HasField("sparse_tensor_type") else "opaque"


def _operator_name(node: Any) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


_DYNAMIC = {"DynamicQuantizeLinear", "com.microsoft.DynamicQuantizeMatMul", "com.microsoft.DynamicQuantizeLSTM"}
_QOPERATORS = {"QLinearMatMul", "QLinearConv", "com.microsoft.QGemm", "com.microsoft.QLinearAdd"}
_FLOATS = {"float16", "float32", "float64", "bfloat16"}


def _precision(operators: Counter[str], tensors: tuple[Any, ...], inputs: tuple[TensorSpec, ...]) -> str:
    """How the model computes, by the one word that people use for it."""
    present = set(operators)
    if present & _DYNAMIC:
        return "int8-dynamic"
    if present & _QOPERATORS:
        return "int8-qoperator"
    if "DequantizeLinear" in present:
        return "int8-qdq"
    weights = {DTYPES.get(tensor.data_type, "") for tensor in tensors if len(tensor.dims) >= 2} & _FLOATS
    weights = weights or {spec.dtype for spec in inputs} & _FLOATS or {"float32"}
    return weights.pop() if len(weights) == 1 else "mixed"


_LINEAR = {"ai.onnx.ml.LinearClassifier", "ai.onnx.ml.LinearRegressor"}
_DENSE = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "com.microsoft.QGemm"} | _DYNAMIC
_LAYERED = {"Conv", "ConvInteger", "QLinearConv", "LSTM", "GRU", "RNN", "com.microsoft.Attention"}


def _family(operators: Counter[str]) -> Literal["trees", "linear", "network", "other"]:
    if any("TreeEnsemble" in name for name in operators):
        return "trees"
    dense = sum(operators[name] for name in _DENSE - {"DynamicQuantizeLinear"})
    if set(operators) & _LAYERED or dense > 1:
        return "network"
    return "linear" if dense or set(operators) & _LINEAR else "other"
