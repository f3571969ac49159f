"""The desk that these tests work at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import models
from tests.cli.desk import ROWS, Desk


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith(("MLSERVE_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    desk = Desk(tmp_path, capsys)
    desk.write("rows.csv", ROWS)
    desk.save("linear.onnx", models.linear(3, names=("a", "b", "c")))
    return desk
