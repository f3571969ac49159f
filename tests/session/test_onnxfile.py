"""The described part of an ONNX file against the onnx package's own description of it."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from mlserve_cli.errors import InvalidModel
from mlserve_cli.session._onnxfile import FIELDS, parse
from mlserve_cli.session._support import DTYPES
from tests import models

OURS_TO_ONNX = {
    "Model": onnx.ModelProto,
    "OperatorSetId": onnx.OperatorSetIdProto,
    "StringStringEntry": onnx.StringStringEntryProto,
    "Function": onnx.FunctionProto,
    "Graph": onnx.GraphProto,
    "Node": onnx.NodeProto,
    "Attribute": onnx.AttributeProto,
    "Tensor": onnx.TensorProto,
    "SparseTensor": onnx.SparseTensorProto,
    "ValueInfo": onnx.ValueInfoProto,
    "Type": onnx.TypeProto,
    "TensorType": onnx.TypeProto.Tensor,
    "SequenceType": onnx.TypeProto.Sequence,
    "MapType": onnx.TypeProto.Map,
    "OpaqueType": onnx.TypeProto.Opaque,
    "Shape": onnx.TensorShapeProto,
    "Dimension": onnx.TensorShapeProto.Dimension,
}
WIRE_TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "string": 9, "bytes": 12}
ENUM = 14


@pytest.mark.parametrize("message", sorted(FIELDS))
def test_every_field_has_the_number_and_type_of_onnx_proto(message: str) -> None:
    described: Any = OURS_TO_ONNX[message]
    theirs = {field.name: field for field in described.DESCRIPTOR.fields}
    for name, number, kind in FIELDS[message]:
        assert theirs[name].number == number
        expected = WIRE_TYPES.get(kind.removeprefix("*"), 11)
        assert theirs[name].type == expected or (theirs[name].type == ENUM and kind == "int32")


@pytest.mark.parametrize("name", sorted(models.HONEST))
def test_a_model_written_again_says_what_it_said(name: str) -> None:
    original = models.HONEST[name]()
    again = parse(original.SerializeToString(), where="m.onnx").SerializeToString()
    assert onnx.load_from_string(again) == original


@pytest.mark.parametrize("data", [b"", b"PAR1", b"a,b\n1,2\n", b"\x80\x04K\x01.", b"\x00" * 64, b"\xff" * 64])
def test_what_is_no_onnx_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        parse(data, where="m.onnx")


def test_the_supported_types_are_onnx_types_under_their_numpy_names() -> None:
    names = {str(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in onnx.TensorProto.DataType.values() if kind}
    assert names - {"object"} >= DTYPES - {"string"}
