"""Input columns that go to the output beside the predictions: one type for all shards, without loss, or a refusal."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pyarrow as pa

from mlserve_cli import tables
from mlserve_cli.errors import TypeMismatch
from mlserve_cli.tables import Shard

# Integers of these bits or fewer have their own place in a float of the other size.
EXACT_BITS = {16: 11, 32: 24, 64: 53}


def common_schema(shards: Sequence[Shard], columns: Sequence[str]) -> pa.Schema:
    """The carried columns' schema; columns of a CSV and Hive keys are text, whatever stands in them.

    Raises TypeMismatch (65) where two shards' types have no common one that loses nothing.
    """
    found: dict[str, pa.DataType] = dict.fromkeys(columns, pa.null())
    for shard in shards if columns else ():
        own = _types(shard)
        for name in columns:
            kind = own.get(name, pa.string())
            wider = _wider(found[name], kind)
            if wider is None:
                raise TypeMismatch(shard.name, name, str(kind), f"{found[name]}, as the shards before it")
            found[name] = wider
    return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in found.items()])


def encode_schema(schema: pa.Schema) -> str:
    """A schema as text: Arrow's IPC form in base64, since a nested type has no name that reads back."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def decode_schema(text: str) -> pa.Schema:
    """The schema that encode_schema wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _types(shard: Shard) -> dict[str, pa.DataType]:
    if shard.format == "csv":
        return {}
    schema = tables.part_schema(shard.os_path)
    return {name: _plain(kind) for name, kind in zip(schema.names, schema.types, strict=True)}


def _plain(kind: pa.DataType) -> pa.DataType:
    """Dictionary codes depend on the file; what they stand for does not."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds every value of both exactly, or None."""
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for wide, narrow in ((one, other), (other, one)):
        if _holds(wide, narrow):
            return wide
    if pa.types.is_signed_integer(one) or pa.types.is_signed_integer(other):  # int8 with uint8, …
        bits = max(
            one.bit_width if pa.types.is_integer(one) else 65, other.bit_width if pa.types.is_integer(other) else 65
        )
        return {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}.get(bits)
    return None


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    types = pa.types
    if types.is_floating(wide):
        if types.is_floating(narrow):
            return bool(wide.bit_width > narrow.bit_width)
        return bool(types.is_integer(narrow) and narrow.bit_width <= EXACT_BITS[wide.bit_width])
    if types.is_integer(wide) and types.is_integer(narrow):
        signs_fit = types.is_signed_integer(wide) or types.is_unsigned_integer(narrow)
        return bool(signs_fit and wide.bit_width > narrow.bit_width)
    return bool(types.is_large_string(wide) and types.is_string(narrow))
