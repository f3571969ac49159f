"""One line takes a model file of each library to a registered version that scores every row as its library does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.desk import Desk
from tests.convert.sources import FLIGHTS, TEXTS, TRAINERS, categories, flights, trained

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


def test_a_category_that_is_missing_or_was_never_seen_scores_as_in_lightgbm(desk: Desk, tmp_path: Path) -> None:
    import lightgbm

    source = trained("lightgbm categories", tmp_path)
    made = desk.process(
        "model", "convert", str(source.file), "--data", str(FLIGHTS), "-o", desk.path("late"), timeout_s=120
    )
    assert made.code == 0, made.err + made.out
    rows = categories()[:4]
    rows.insert(0, "id", range(4))
    rows.astype(dict.fromkeys(TEXTS, str)).assign(
        carrier=["UA", "", "??", "UA"], origin=["EWR", "EWR", "", "Nowhere"]
    ).to_csv(desk.path("rows.csv"), index=False)

    asked = ("-m", desk.path("late"), "-i", desk.path("rows.csv"), "-o", desk.path("out"), "--id-column", "id")
    ended = desk.process("score", *asked, timeout_s=120)

    assert ended.code == 0, ended.err + ended.out
    for name, values in (("carrier", ["UA", None, None, "UA"]), ("origin", ["EWR", "EWR", None, None])):
        rows[name] = type(rows[name])(values, index=rows.index).astype(rows[name].dtype)
    expected = lightgbm.Booster(model_file=str(source.file)).predict(rows.drop(columns="id"))
    assert np.abs(pq.read_table(Path(desk.path("out"), "data"))["probability_1"].to_numpy() - expected).max() <= GATE


def test_a_converted_model_is_the_same_package_each_time(desk: Desk, tmp_path: Path) -> None:
    source = trained("lightgbm", tmp_path)
    command = ("model", "convert", str(source.file), "--data", str(FLIGHTS), "--name", "late", "--json")
    first, second = (desk.process(*command, "--registry", desk.path("models"), timeout_s=120) for _ in range(2))
    assert (first.last["version"], second.last["version"], second.last["already"]) == (1, 1, True)
