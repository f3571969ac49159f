"""Every format behind one fixture: what does not depend on the format is tested on all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mlserve_cli.tables import Shard
from tests.tables.files import look, write_table

ShardOf = Callable[[pa.Table], Shard]


@pytest.fixture(params=["parquet", "csv", "csv.gz", "csv.zst", "tsv"])
def shard_of(request: pytest.FixtureRequest, tmp_path: Path) -> ShardOf:
    """Writes a table of texts as a file of one format and looks into it."""

    def make(table: pa.Table) -> Shard:
        return look(write_table(tmp_path / f"t.{request.param}", table))

    return make
