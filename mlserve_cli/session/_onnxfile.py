"""An ONNX file as a protobuf message, without the onnx package: that costs 70 ms and is no dependency.

Only the fields that something here reads are described; protobuf keeps all others as unknown fields, so a message
that is written again says what it said before. Field numbers are onnx.proto's (a test compares them with it). Edition
2023 rather than its proto2: both keep apart what is absent from what is 0 (a dimension of 0 is not a free one), but
proto2 hands out bytes for a name that is not UTF-8, and this one refuses the file.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from mlserve_cli.errors import InvalidModel, shown

# message -> (field, number, type); "*" marks a repeated field, a capital letter another message
FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Model": (
        ("ir_version", 1, "int64"),
        ("producer_name", 2, "string"),
        ("producer_version", 3, "string"),
        ("graph", 7, "Graph"),
        ("opset_import", 8, "*OperatorSetId"),
        ("metadata_props", 14, "*StringStringEntry"),
        ("functions", 25, "*Function"),
    ),
    "OperatorSetId": (("domain", 1, "string"), ("version", 2, "int64")),
    "StringStringEntry": (("key", 1, "string"), ("value", 2, "string")),
    "Function": (("name", 1, "string"), ("node", 7, "*Node"), ("domain", 10, "string")),
    "Graph": (
        ("node", 1, "*Node"),
        ("name", 2, "string"),
        ("initializer", 5, "*Tensor"),
        ("input", 11, "*ValueInfo"),
        ("output", 12, "*ValueInfo"),
        ("value_info", 13, "*ValueInfo"),
        ("sparse_initializer", 15, "*SparseTensor"),
    ),
    "Node": (
        ("input", 1, "*string"),
        ("output", 2, "*string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "*Attribute"),
        ("domain", 7, "string"),
    ),
    "Attribute": (
        ("name", 1, "string"),
        ("i", 3, "int64"),
        ("s", 4, "bytes"),
        ("t", 5, "Tensor"),
        ("g", 6, "Graph"),
        ("floats", 7, "*float"),
        ("ints", 8, "*int64"),
        ("strings", 9, "*bytes"),
        ("tensors", 10, "*Tensor"),
        ("graphs", 11, "*Graph"),
        ("sparse_tensor", 22, "SparseTensor"),
        ("sparse_tensors", 23, "*SparseTensor"),
    ),
    "Tensor": (
        ("dims", 1, "*int64"),
        ("data_type", 2, "int32"),
        ("float_data", 4, "*float"),
        ("int32_data", 5, "*int32"),
        ("string_data", 6, "*bytes"),
        ("int64_data", 7, "*int64"),
        ("name", 8, "string"),
        ("raw_data", 9, "bytes"),
        ("double_data", 10, "*double"),
        ("external_data", 13, "*StringStringEntry"),
        ("data_location", 14, "int32"),
    ),
    "SparseTensor": (("values", 1, "Tensor"), ("indices", 2, "Tensor")),
    "ValueInfo": (("name", 1, "string"), ("type", 2, "Type")),
    "Type": (
        ("tensor_type", 1, "TensorType"),
        ("sequence_type", 4, "SequenceType"),
        ("map_type", 5, "MapType"),
        ("opaque_type", 7, "OpaqueType"),
        ("sparse_tensor_type", 8, "TensorType"),
        ("optional_type", 9, "SequenceType"),
    ),
    "TensorType": (("elem_type", 1, "int32"), ("shape", 2, "Shape")),
    "SequenceType": (("elem_type", 1, "Type"),),
    "MapType": (("key_type", 1, "int32"), ("value_type", 2, "Type")),
    "OpaqueType": (("domain", 1, "string"), ("name", 2, "string")),
    "Shape": (("dim", 1, "*Dimension"),),
    "Dimension": (("dim_value", 1, "int64"), ("dim_param", 2, "string")),
}


def parse(data: bytes, *, where: str) -> Any:
    """The model in `data`, a dynamic Model message; `where` names the file for errors. InvalidModel if it is none."""
    model = _MODEL()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise InvalidModel("this is not an ONNX model, or a truncated one", shown(where, limit=400), _HINT) from error
    if not (model.HasField("graph") and model.ir_version and model.opset_import and model.graph.output):
        raise InvalidModel("this is not an ONNX model", shown(where, limit=400), _HINT)
    return model


_HINT = "export the model to ONNX again, or fetch it again"
_SCALARS = {"double": 1, "float": 2, "int64": 3, "int32": 5, "string": 9, "bytes": 12}  # FieldDescriptorProto.Type
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = "mlserve_cli.onnx"  # not "onnx": where that package is imported too, its descriptors stand beside ours


def _message_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="mlserve_cli/onnx.proto", package=_PACKAGE, syntax="editions")
    file.edition = descriptor_pb2.EDITION_2023
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = described.field.add(name=name, number=number)
            field.label = _REPEATED if kind.startswith("*") else _OPTIONAL
            plain = kind.removeprefix("*")
            field.type = _SCALARS.get(plain, _MESSAGE)
            if field.type == _MESSAGE:
                field.type_name = f".{_PACKAGE}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
    return found


_MODEL = _message_class()
