"""The contract and what it is made from, as frozen values with one byte-exact JSON form.

msgspec structs rather than dataclasses: the same frozen slotted value, and its decoder refuses unknown keys and wrong
types by name, which plans, records, packages and manifests all need.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Role = Literal["probability", "label", "value"]
Nulls = Literal["error", "nan"]
Scalar = str | int | float | bool


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """Base of every value that is written as JSON or TOML."""


class TensorSpec(Value, frozen=True):
    """A model's input or output: numpy dtype name ("float32", "int64", "bool", "string", …) and shape.

    Axis 0 is the batch; None stands for a dimension that is free.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def width(self) -> int | None:
        """Values per row: product of the axes after the first, None where one is free."""
        total = 1
        for size in self.shape[1:]:
            if size is None:
                return None
            total *= size
        return total


class ModelFacts(Value, frozen=True):
    """What an ONNX file says of itself, read without running it.

    `classes` maps an output tensor's name to the class labels of its columns, where the graph names them; `labels`
    names the outputs that hold a class label. `fixed_batch` is the batch dimension where the model fixes one.
    `zipmaps` maps each ZipMap output to the plain probability tensor that it wraps.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sha256: str
    size_bytes: int
    opsets: dict[str, int]
    operators: dict[str, int]
    precision: str
    family: Literal["trees", "linear", "network", "other"]
    producer: str
    metadata: dict[str, str]
    classes: dict[str, tuple[str | int, ...]]
    labels: tuple[str, ...]
    zipmaps: dict[str, str]
    external_files: tuple[str, ...]
    fixed_batch: int | None


class DeclaredInput(Value, frozen=True, omit_defaults=True):
    """One input as a package declares it."""

    tensor: str
    columns: tuple[str, ...]


class DeclaredOutput(Value, frozen=True, omit_defaults=True):
    """One output as a package declares it; `classes` where the graph does not name them itself."""

    tensor: str
    columns: tuple[str, ...]
    role: Role = "value"
    classes: tuple[str | int, ...] = ()


class Declared(Value, frozen=True, omit_defaults=True):
    """The `[contract]` table of a package: what the author says feeds the model and comes out of it."""

    inputs: tuple[DeclaredInput, ...] = ()
    outputs: tuple[DeclaredOutput, ...] = ()
    nulls: Nulls = "error"
    threshold: float | None = None
    fill: dict[str, Scalar] = {}


class Input(Value, frozen=True):
    """One model input and the model columns that feed it, in order.

    One column may feed a tensor of width k alone, as a (fixed-size) list column; else there are `width` columns.
    """

    tensor: TensorSpec
    columns: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        """Whether the single column holds a list per row."""
        width = self.tensor.width
        return len(self.columns) == 1 and len(self.tensor.shape) >= 2 and width != 1


class Output(Value, frozen=True):
    """One model output that is written, and the columns that it becomes.

    As many columns as the tensor is wide, or one: a scalar column for width 1, else a fixed-size list column.
    `classes` are the labels behind the columns of a probability output.
    """

    tensor: TensorSpec
    role: Role
    columns: tuple[str, ...]
    classes: tuple[str | int, ...] = ()


class Contract(Value, frozen=True):
    """Which columns become which tensors and what the outputs are called, bound to one model and one request.

    `rename` maps a model column to the file's name for it. Where `threshold` is set, the column named by `prediction`
    is the second class where its probability reaches it and the first elsewhere (1 and 0 where the classes are not
    known); no label output is asked of the model then.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    nulls: Nulls = "error"
    nan_scores: Literal["bad", "allow"] = "bad"
    schema_mode: Literal["strict", "coerce"] = "strict"
    threshold: float | None = None
    prediction: str = "prediction"
    fill: dict[str, Scalar] = {}
    rename: dict[str, str] = {}

    def file_column(self, model_column: str) -> str:
        """What the shards call a model column."""
        return self.rename.get(model_column, model_column)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every model column once, in the order of the inputs."""
        return tuple(dict.fromkeys(column for part in self.inputs for column in part.columns))

    def dtype_of(self, model_column: str) -> str:
        """The tensor dtype that a model column feeds; a column feeds one dtype only (checked when bound)."""
        return next(part.tensor.dtype for part in self.inputs if model_column in part.columns)


def encode_canonical(value: object) -> bytes:
    """The one byte-exact JSON form of a value: keys sorted, no spaces, UTF-8."""
    return msgspec.json.encode(value, order="sorted")


def sha256_of(value: object) -> str:
    """sha256 over the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()
