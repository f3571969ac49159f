"""One line takes a model file of each library to a registered version that scores every row as its library does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.desk import Desk
from tests.convert.sources import FLIGHTS, TRAINERS, flights, trained

pytestmark = pytest.mark.convert
GATE = 1e-5


@pytest.mark.parametrize("name", TRAINERS)
def test_a_converted_model_scores_every_row_as_its_library_does(name: str, desk: Desk, tmp_path: Path) -> None:
    source = trained(name, tmp_path)
    place = ("--name", "late", "--registry", desk.path("models"))
    made = desk.process(
        "model", "convert", str(source.file), "--data", str(FLIGHTS), *source.options, *place, "--json", timeout_s=240
    )
    assert made.code == 0, made.err + made.out
    assert made.last["gates"][0]["rows"] == flights().num_rows
    assert made.last["gates"][0]["figures"].get("rows_in_other_leaf", 0) == 0

    for predictor in ("auto", "onnxruntime"):
        out = desk.path(f"out-{predictor}")
        model = ("-m", "late:1", "--registry", desk.path("models"), "--predictor", predictor)
        ended = desk.process("score", *model, "-i", str(FLIGHTS), "-o", out, "--id-column", "flight_id", timeout_s=120)
        assert ended.code == 0, ended.err + ended.out
        scores = pq.read_table(Path(out, "data")).sort_by("flight_id")
        assert scores["flight_id"].equals(flights()["flight_id"])
        for column, expected in source.expected.items():
            scale = 1.0 if column.startswith("probability") else np.abs(expected).max()
            assert np.abs(scores[column].to_numpy() - expected).max() <= GATE * scale


def test_a_converted_model_is_the_same_package_each_time(desk: Desk, tmp_path: Path) -> None:
    source = trained("lightgbm", tmp_path)
    command = ("model", "convert", str(source.file), "--data", str(FLIGHTS), "--name", "late", "--json")
    first, second = (desk.process(*command, "--registry", desk.path("models"), timeout_s=120) for _ in range(2))
    assert (first.last["version"], second.last["version"], second.last["already"]) == (1, 1, True)
