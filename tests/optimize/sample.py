"""The sample models, and what a run makes of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.scoring import ScoreRequest, score

SAMPLE = Path(__file__).parents[2] / "sample_data"
MODELS, FLIGHTS = SAMPLE / "models", SAMPLE / "flights"
BRIEFLY_S = 0.1  # for speed that is told and not judged


def predictions(model: str | Path, output: Path) -> pa.Table:
    """All sample flights scored with a model, whose golden rows are proved first."""
    score(ScoreRequest(model=str(model), inputs=(str(FLIGHTS),), output=str(output)))
    return pa.concat_tables([pq.read_table(part) for part in sorted((output / "data").iterdir())])
