"""Faults: what is wrong with which row, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract._arrow import empty_table, int64_array, text_array

FAULT_SCHEMA = pa.schema(
    [("row", pa.int64()), ("column", pa.string()), ("reason", pa.string()), ("value", pa.string())]
)


class Faults(msgspec.Struct, frozen=True):
    """A table of FAULT_SCHEMA; `row` is counted from the start of the chunk, and a row may stand more than once.

    Within one row the order of appearance is the order in which the faults were found: the first is what a person is
    told. Reasons are short fixed phrases ("not a number", "null", "too few fields"), since the manifest counts by them.
    """

    table: pa.Table

    @classmethod
    def none(cls) -> Self:
        """No fault at all."""
        return cls(_NO_FAULTS)

    @classmethod
    def at(cls, rows: NDArray[np.int64], *, column: str, reason: str, values: pa.Array | str = "") -> Self:
        """One fault for each of `rows` (int64, shape [n]); `values` are what stood there: strings, or one for all."""
        count = len(rows)
        texts = _repeated(values, count) if isinstance(values, str) else values.cast(pa.string())
        columns = [int64_array(rows), _repeated(column, count), _repeated(reason, count), texts]
        return cls(pa.table(columns, schema=FAULT_SCHEMA))

    @classmethod
    def together(cls, several: Sequence[Faults]) -> Self:
        """All of them, in the order given."""
        tables = [one.table for one in several if len(one)]
        return cls(pa.concat_tables(tables) if tables else _NO_FAULTS)

    def moved_to(self, places: NDArray[np.int64]) -> Faults:
        """The same faults with row i standing at places[i] (int64, ascending): back from kept rows to the chunk's."""
        return Faults(self.table.set_column(0, FAULT_SCHEMA.field("row"), int64_array(places[self.row_of_each])))

    @property
    def row_of_each(self) -> NDArray[np.int64]:
        """The row of each fault, int64, shape [len(self)]."""
        rows = self.table["row"].combine_chunks()  # not to_numpy(), which imports pandas where that is installed
        return np.frombuffer(rows.buffers()[1], np.int64, len(rows), rows.offset * 8) if len(rows) else _NO_ROWS

    @property
    def rows(self) -> NDArray[np.int64]:
        """The bad rows, each once, ascending."""
        return np.unique(self.row_of_each) if len(self) else _NO_ROWS  # unique() imports numpy.ma

    def __len__(self) -> int:
        return int(self.table.num_rows)


_NO_FAULTS = empty_table(FAULT_SCHEMA)
_NO_ROWS = np.zeros(0, np.int64)


def _repeated(text: str, count: int) -> pa.Array:
    return pa.repeat(text_array([text])[0], count)
