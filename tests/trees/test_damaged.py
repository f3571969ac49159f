"""Machine code reads what a file said: no damaged file may make it read elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import ModelProto

from tests.trees.ensembles import Forest, build, build_v5

pytestmark = pytest.mark.slow  # four hundred damaged files each
ROOT = Path(__file__).parents[2]
MODELS = {
    "regressor": build(Forest(), seed=1),
    "deep classifier": build(Forest(kind="classifier", targets=3, trees=2, depth=9, grid=False), seed=2),
    "version 5": build_v5(seed=3, targets=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_flipped_bit_is_never_a_crash(name: str, tmp_path: Path) -> None:
    model: ModelProto = MODELS[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    done = subprocess.run(
        [sys.executable, "-m", "tests.trees.flip_bits", str(path), "400"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    refused, scored = map(int, done.stdout.split())
    assert refused + scored == 400
    assert min(refused, scored) > 10
