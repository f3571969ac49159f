"""Whether a contender did the work: as many rows as mlserve, in its order, and the same scores within 1e-5.

What is quick and wrong is reported, and compared with nothing.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.benchmark.contenders import Bout, Contender
from mlserve_cli.contract import Contract
from mlserve_cli.scoring.distance import distances

TOLERANCE = 1e-5


def disagreement(contender: Contender, bout: Bout) -> tuple[float | None, str]:
    """The largest difference of any score from mlserve's own, and what is wrong with it, "" where nothing is.

    What a limit computes is that of the first rows; one that only decodes has no scores.
    """
    if contender.kind == "limit" and not contender.predictor:
        return None, ""
    columns = score_columns(bout.plan.contract)
    expected = _read(bout.folder / "expected" / "data", columns)
    if contender.kind == "limit":
        found = _read_file(bout.folder / "limits" / "sample.parquet", columns)
        expected = expected.slice(0, found.num_rows)
    else:
        place = "run/data" if contender.kind == "mlserve" else "."
        found = _read(contender.output / place, columns)
    if found.num_rows != expected.num_rows:
        return None, f"it wrote {found.num_rows:,} rows, not {expected.num_rows:,}"
    largest = max((float(distances(found[name], expected[name]).max(initial=0.0)) for name in columns), default=0.0)
    wrong = not largest <= TOLERANCE
    return largest, f"its scores differ from mlserve's by up to {largest:.2g}" if wrong else ""


def score_columns(contract: Contract) -> list[str]:
    """The columns that hold scores; labels follow from them."""
    return [name for output in contract.outputs if output.role != "label" for name in output.columns]


def _read(folder: Path, columns: list[str]) -> pa.Table:
    """All files of a folder, in the order of their names, which is that of the rows."""
    tables = [_read_file(path, columns) for path in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables(tables) if tables else pa.table({name: pa.nulls(0) for name in columns})


def _read_file(path: Path, columns: list[str]) -> pa.Table:
    with pq.ParquetFile(path) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        return file.read(columns=present)
