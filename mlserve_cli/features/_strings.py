"""Text columns as the object arrays that ONNX Runtime takes, and numbers as canonical text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc
from mlserve_cli.features._buffers import null_mask, values_of


def printed(array: pa.Array) -> pa.Array:
    """The column as strings: numbers by their shortest exact form, bools as true and false."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string())
    return pc.cast(array, pa.string())


def objects_of(strings: pa.Array) -> NDArray[Any]:
    """The strings as an object array, shape [n]; "" at nulls.

    Only the distinct ones become Python objects, each once: a category column has few.
    """
    encoded = strings.dictionary_encode()
    words = np.array([*encoded.dictionary.to_pylist(), ""], dtype=object)
    codes = values_of(encoded.indices)
    nulls = null_mask(encoded.indices)
    if nulls is not None:
        codes = np.where(nulls, len(words) - 1, codes)
    taken: NDArray[Any] = words[codes]
    return taken
