"""Random shards for the laws: rows good and bad, in Parquet and CSV, and a model that minds its batch."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from tests.models import FLOAT, INT64, mlp, quantized, tensor

COLUMNS = ("a", "b", "c", "d")
FEATURES = ("a,b,c,d",)
REASONS = {
    "null": "null",
    "text": "not a number",
    "short": "too few fields",
    "long": "too many fields",
    "fails": "the model fails on this row",
}
IN_TEXT_ONLY = {"text": "null", "short": "null", "long": "fails"}  # what stands in a Parquet shard instead


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: its name, its format and the kind of each row."""

    name: str
    format: str
    rows: tuple[str, ...]
    row_group_rows: int

    def expected(self) -> list[tuple[str, int, str | None]]:
        """File, row and reason (None for a good one) of every row."""
        return [(self.name, row, REASONS.get(kind)) for row, kind in enumerate(self.rows)]

    def write(self, folder: Path) -> None:
        cells = [_cells(self.name, row, kind) for row, kind in enumerate(self.rows)]
        if self.format == "parquet":
            columns = list(zip(*cells, strict=True)) or [()] * 5
            kinds = (pa.string(), *[pa.float64()] * 4)
            arrays = [pa.array([None if c == "" else c for c in column], kind)
                      for column, kind in zip(columns, kinds, strict=True)]  # fmt: skip
            table = pa.table(arrays, names=["id", *COLUMNS])
            pq.write_table(table, folder / self.name, row_group_size=self.row_group_rows)
            return
        lines = ["id," + ",".join(COLUMNS), *(",".join(map(str, row)) for row in cells)]
        data = "".join(f"{line}\n" for line in lines).encode()
        (folder / self.name).write_bytes(gzip.compress(data, mtime=0) if self.format == "csv.gz" else data)


@cache
def moody() -> ModelProto:
    """A dynamically quantised network, whose score of a row depends on its batch, and which fails where d is over 3."""
    return _failing(quantized("dynamic"))


@cache
def steady() -> ModelProto:
    """A network whose score of a row depends on that row alone, and which fails where d is over 3."""
    return _failing(mlp())


def _failing(model: ModelProto) -> ModelProto:
    graph = model.graph
    for place, value in (("column", np.array([3], np.int64)), ("zeros", np.zeros(4, np.float32))):
        graph.initializer.append(numpy_helper.from_array(value, place))
    graph.node.extend(
        [
            helper.make_node("Gather", ["X", "column"], ["d"], axis=1),
            helper.make_node("Cast", ["d"], ["place"], to=INT64),
            helper.make_node("Gather", ["zeros", "place"], ["nothing"], axis=0),
            helper.make_node("Add", ["score", "nothing"], ["moody"]),
        ]
    )
    del graph.output[:]
    graph.output.append(tensor("moody", FLOAT, [None, 1]))
    return model


ROW_KINDS = st.sampled_from(["good"] * 12 + list(REASONS))


@st.composite
def shards(draw: st.DrawFn, *, kinds: st.SearchStrategy[str] = ROW_KINDS) -> tuple[Shard, ...]:
    """One to four shards of 0 to 40 rows each, in the order in which a run reads them."""
    found = []
    for place in range(draw(st.integers(1, 4))):
        form = draw(st.sampled_from(["parquet", "csv", "csv.gz"]))
        rows = tuple(draw(st.lists(kinds, max_size=40)))
        if form == "parquet":
            rows = tuple(IN_TEXT_ONLY.get(kind, kind) for kind in rows)
        found.append(Shard(f"s{place}.{form}", form, rows, draw(st.integers(1, 9))))
    return tuple(found)


def _cells(name: str, row: int, kind: str) -> list[object]:
    """The row's cells, the id first; `""` is a null."""
    numbers = [round(float(np.sin(len(name) + row * 5 + place * 2)) * (1 + row % 7), 3) for place in range(3)]
    cells: list[object] = [f"{name}-{row}", *numbers, float(row % 4)]
    if kind == "null":
        cells[1] = ""
    if kind == "text":
        cells[2] = "x"
    if kind == "fails":
        cells[4] = 9.0
    return {"short": cells[:-1], "long": [*cells, "more"]}.get(kind, cells)
