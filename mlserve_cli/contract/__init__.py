"""What the columns and tensors are: the values that every layer above speaks in. No file is read here."""

from mlserve_cli.contract._arrow import empty_table, in_types_of, int64_array, text_array
from mlserve_cli.contract._bind import bind
from mlserve_cli.contract._bind_outputs import check_threshold, rename_outputs, threshold_output
from mlserve_cli.contract._compute import compute
from mlserve_cli.contract._faults import FAULT_SCHEMA, Faults
from mlserve_cli.contract._schema import schema_of
from mlserve_cli.contract._sealed import Sealed, decode_sealed, encode_sealed
from mlserve_cli.contract._values import (
    Contract,
    Declared,
    DeclaredInput,
    DeclaredOutput,
    Input,
    ModelFacts,
    Nulls,
    Output,
    Scalar,
    TensorSpec,
    Value,
    encode_canonical,
    sha256_of,
)

__all__ = [
    "FAULT_SCHEMA",
    "Contract",
    "Declared",
    "DeclaredInput",
    "DeclaredOutput",
    "Faults",
    "Input",
    "ModelFacts",
    "Nulls",
    "Output",
    "Scalar",
    "Sealed",
    "TensorSpec",
    "Value",
    "bind",
    "check_threshold",
    "compute",
    "decode_sealed",
    "empty_table",
    "in_types_of",
    "encode_canonical",
    "encode_sealed",
    "int64_array",
    "rename_outputs",
    "schema_of",
    "sha256_of",
    "text_array",
    "threshold_output",
]
