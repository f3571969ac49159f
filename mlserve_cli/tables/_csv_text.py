"""Tables as CSV text: a null is nothing, an empty text is "", quotes stand where they must and are doubled inside.

Made by whole columns: every column becomes text, the columns are joined to lines, and the lines' buffer is the file.
Vectors become JSON lists. What `Dialect()` reads back is what was written, to the byte.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mlserve_cli.contract import compute as pc
from mlserve_cli.errors import DataError, shown

SLICE_ROWS = 1 << 16  # rows made text at once
SPECIAL = r"[\",\r\n\x{feff}]|^$"  # a byte order mark that is text must not open the file


def header_text(names: list[str]) -> bytes:
    """The header line; an empty name is quoted, so that one column without a name is no blank line."""
    return ",".join(_quoted(pa.array(names, pa.large_string())).to_pylist()).encode() + b"\n"


def csv_text(table: pa.Table) -> memoryview:
    """The lines of `table`."""
    columns = [_field(_whole(column), name) for name, column in zip(table.column_names, table.columns, strict=True)]
    lines = pc.binary_join_element_wise(*columns, _text(","), null_handling="replace", null_replacement="")
    text = _bytes_of(pc.binary_join_element_wise(lines, _text("\n"), _text("")))
    if np.any(np.frombuffer(text, np.uint8) == 0):
        raise DataError("a text holds a NUL, which CSV cannot carry", hint="write Parquet, or leave the column out")
    return text


def _field(array: pa.Array, name: str) -> pa.Array:
    """A column as it stands between delimiters (large_string)."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _field(array.dictionary_decode(), name)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _quoted(_json_lists(array, name))
    try:
        text = array.cast(pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DataError(
            f"column {shown(name)} holds {kind}, which CSV cannot carry", hint="write Parquet, or leave the column out"
        ) from error
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return _quoted(text) if is_text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else text


def _quoted(text: pa.Array) -> pa.Array:
    """`text` (large_string) with quotes around what needs them."""
    if not _has_special(text):
        return text
    special = pc.match_substring_regex(text, SPECIAL)
    doubled = pc.replace_substring(text, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text("")), text)


def _has_special(text: pa.Array) -> bool:
    """A cheap look before the regular expression: is there such a byte, or an empty text, anywhere?"""
    data = np.frombuffer(_bytes_of(text), np.uint8)
    return any(bool(np.any(data == byte)) for byte in b'",\r\n\xef') or bool(
        pc.any(pc.equal(pc.binary_length(text), 0)).as_py()
    )


def _json_lists(array: pa.Array, name: str) -> pa.Array:
    """Lists of numbers, texts or lists as JSON text: [0.1,0.2]; a null element is null."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    offsets = array.offsets.cast(pa.int32())
    start = offsets[0].as_py()
    values = array.values.slice(start, offsets[-1].as_py() - start)
    elements = _json_elements(values, name).fill_null("null").cast(pa.string())
    lists = pa.ListArray.from_arrays(pc.subtract(offsets, offsets[0]), elements)
    joined = pc.binary_join(lists, ",").cast(pa.large_string())
    text = pc.binary_join_element_wise(_text("["), joined, _text("]"), _text(""))
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.large_string()))


def _json_elements(values: pa.Array, name: str) -> pa.Array:
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _json_lists(values, name)
    if pa.types.is_floating(kind):
        text = values.cast(pa.string())
        for spelled, json in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            text = pc.if_else(pc.equal(text, spelled), json, text)
        return text
    text = _field(values, name) if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) else values
    if text is values:
        for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            text = pc.replace_substring(text, plain, escaped)
        quote = pa.scalar('"', kind)
        text = pc.binary_join_element_wise(quote, text, quote, pa.scalar("", kind))
    return text


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """One array for a column."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _bytes_of(text: pa.Array) -> memoryview:
    """The bytes of all texts of an array (large_string) without nulls between, one after another."""
    _, offsets, data = text.buffers()
    if not len(text) or data is None:
        return memoryview(b"")
    bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
