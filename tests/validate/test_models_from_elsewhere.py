"""Models that other people's wheels carry: each is valid, or refused with its reasons; none ends us or hangs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from mlserve_cli.validation import validate

pytestmark = pytest.mark.slow  # a process for each model

ORT = sorted(Path(str(files("onnxruntime"))).rglob("*.onnx"))
# Every twentieth of the small ones; the large ones (light_*) are minutes of picture networks.
ONNX = [path for path in sorted(Path(str(files("onnx"))).rglob("*.onnx")) if "light" not in path.parts]


def test_there_are_models_to_try() -> None:
    assert len(ORT) >= 3
    assert len(ONNX) >= 100


@pytest.mark.parametrize("path", ORT + ONNX[::20], ids=lambda path: path.parent.name + "/" + path.name)
def test_a_model_from_elsewhere_is_valid_or_refused_with_reasons(path: Path) -> None:
    report = validate(str(path))
    errors = [one for one in report.findings if one.severity == "error"]
    assert report.valid == (errors == [])
    assert report.exit_code == (0 if report.valid else 78)
    assert all(one.what for one in report.findings)
    assert {one.check for one in report.findings} >= {"package", "signature", "checker"}
    if report.valid:
        assert any(one.check == "runtime" and one.severity == "ok" for one in report.findings)


def test_some_of_them_are_valid_and_some_are_not() -> None:
    valid, old = (next(path for path in ORT + ONNX if name in str(path)) for name in ("sigmoid", "test_AvgPool1d/"))
    assert validate(str(valid)).valid
    refused = validate(str(old))
    assert "AveragePool" in next(one.what for one in refused.findings if one.severity == "error")
