"""Whether what an engine wrote is right: every row of the input once, with the score that mlserve gives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

TOLERANCE = 1e-5
Ids = NDArray[np.int64]
Scores = NDArray[np.float64]


def disagreement(written: Path, expected: Path, *, rows: Path) -> tuple[float | None, str]:
    """The largest difference of a score, and what is wrong, "" where nothing is; ids are compared with the input's."""
    ids, scores = _scores(written)
    wanted = np.sort(np.concatenate([pq.read_table(path, columns=["id"])["id"].to_numpy() for path in _files(rows)]))
    if len(ids) != len(wanted):
        return None, f"it wrote {len(ids):,} rows, not {len(wanted):,}"
    if not np.array_equal(ids, wanted):
        return None, f"{len(np.setdiff1d(wanted, ids)):,} of the input's ids are missing"
    largest = float(np.abs(scores - _scores(expected)[1]).max(initial=0.0))
    return largest, "" if largest <= TOLERANCE else f"its scores differ by up to {largest:.2g}"


def _scores(output: Path) -> tuple[Ids, Scores]:
    """Ids and the last score of every row, in the order of the ids: engines keep no order of their own."""
    tables = [pq.ParquetFile(path).read() for path in _files(output)]
    if not tables:
        return np.empty(0, np.int64), np.empty(0)
    floats = [name for name in tables[0].column_names if pa.types.is_floating(tables[0].schema.field(name).type)]
    whole = pa.concat_tables([table.select(["id", floats[-1]]) for table in tables if table.num_rows])
    ids = whole["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    return ids[order], np.asarray(whole[floats[-1]].to_numpy(), dtype=np.float64)[order]


def _files(folder: Path) -> list[Path]:
    """What is hidden is half-done or bookkeeping."""
    found = sorted(folder.rglob("*.parquet"))
    return [path for path in found if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)]
