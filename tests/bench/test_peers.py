"""`nox -s peers`: an engine has figures only where all its scores are right, and ratios come from those alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks import goals, page
from tests.benchmarks.figures import Peer, Peers
from tests.benchmarks.same_scores import disagreement

IDS, SCORES = (3, 1, 2, 4), (0.3, 0.1, 0.2, 0.4)


def written(folder: Path, ids: tuple[int, ...] = IDS, scores: tuple[float, ...] = SCORES) -> Path:
    """Two files, as engines write them, and one that is hidden."""
    folder.mkdir()
    table = pa.table({"id": pa.array(ids, pa.int64()), "score": pa.array(np.array(scores, np.float32))})
    pq.write_table(table.slice(0, 2), folder / "b.parquet")
    pq.write_table(table.slice(2), folder / "a.parquet")
    pq.write_table(table, folder / ".c.parquet")
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return written(tmp_path / "rows", (1, 2, 3, 4))


def test_rows_in_another_order_are_the_same_rows(rows: Path, tmp_path: Path) -> None:
    expected = written(tmp_path / "expected", (1, 2, 3, 4), (0.1, 0.2, 0.3, 0.4))
    assert disagreement(written(tmp_path / "found"), expected, rows=rows) == (0.0, "")


@pytest.mark.parametrize(
    ("ids", "scores", "trouble"),
    [
        (IDS[:3], SCORES[:3], "it wrote 3 rows, not 4"),
        ((3, 1, 2, 2), SCORES, "1 of the input's ids are missing"),
        (IDS, (0.3, 0.1, 0.2, 0.5), "its scores differ by up to 0.1"),
        (IDS, (0.3, 0.1, 0.2, float("nan")), "its scores differ by up to nan"),
    ],
)
def test_what_an_engine_loses_or_changes_is_said(
    ids: tuple[int, ...], scores: tuple[float, ...], trouble: str, rows: Path, tmp_path: Path
) -> None:
    expected = written(tmp_path / "expected")
    assert disagreement(written(tmp_path / "found", ids, scores), expected, rows=rows)[1] == trouble


MEASURED = Peers(
    measured_at="",
    rows=4,
    rounds=2,
    cpu="",
    cores=2,
    peers=(
        Peer("mlserve, plain", "1", "xgb", (0.5, 0.5), 50),
        Peer("mlserve", "1", "xgb", (2.0, 2.0), 100),
        Peer("wrong", "1", "xgb", (0.1, 0.1), 10, trouble="its scores differ"),
        Peer("quick", "1", "xgb", (3.0, 3.0), 400),
        Peer("small", "1", "xgb", (8.0, 8.0), 90),
    ),
)


def test_mlserve_is_compared_with_the_nearest_engine_that_gave_the_right_scores() -> None:
    assert list(goals.peers_lines(MEASURED)) == [
        "seconds: at least 1.50 times mlserve's (quick on xgb comes nearest)",
        "memory: at least 0.90 times mlserve's (small on xgb comes nearest)",
    ]


def test_the_table_begins_with_mlserve_and_says_what_was_wrong() -> None:
    lines = [line for line in page.peers_table(MEASURED) if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["mlserve 1", "mlserve, plain 1"]
    assert "| wrong 1 | its scores differ |" in lines
