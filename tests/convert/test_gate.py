"""What stands between a conversion and the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.desk import Desk, Ended
from tests.convert.sources import FLIGHTS, NUMBERS, trained

pytestmark = pytest.mark.convert


def convert(desk: Desk, file: Path | str, *options: str, data: Path = FLIGHTS) -> Ended:
    place = ("--name", "late", "--registry", desk.path("models"), "--json")
    return desk.process("model", "convert", str(file), "--data", str(data), *options, *place, timeout_s=120)


def nothing_was_made(desk: Desk) -> bool:
    return not Path(desk.path("models"), "late").exists()


def test_a_conversion_that_scores_otherwise_is_stopped_by_the_gate(desk: Desk, tmp_path: Path) -> None:
    """Doubles so near to each other that a float32 model cannot tell them apart; one of doubles can."""
    import lightgbm

    column = 1000 + np.arange(2_000) * 1e-6
    params = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1, "max_bin": 5_000}
    data = lightgbm.Dataset(column[:, None], label=np.arange(2_000) % 9 < 4, feature_name=["x"])
    lightgbm.train(params, data, num_boost_round=20).save_model(tmp_path / "gbm.txt")
    pq.write_table(pa.table({"x": column}), tmp_path / "rows.parquet")
    ended = convert(desk, tmp_path / "gbm.txt", "--precision", "float32", data=tmp_path / "rows.parquet")
    assert (ended.code, "largest difference" in ended.error["what"]) == (4, True)
    assert "rows in other leaf" in ended.error["where"]
    assert nothing_was_made(desk)
    assert convert(desk, tmp_path / "gbm.txt", data=tmp_path / "rows.parquet").code == 0


def test_a_gate_that_nothing_can_pass_stops_everything(desk: Desk, tmp_path: Path) -> None:
    ended = convert(desk, trained("xgboost", tmp_path).file, "--max-difference", "0")
    assert (ended.code, ended.error["type"]) == (4, "GateFailed")
    assert nothing_was_made(desk)


def test_thresholds_between_two_float32_numbers_move_no_row(desk: Desk, tmp_path: Path) -> None:
    """Rows of neighbouring float32 numbers: LightGBM's thresholds lie between them, and to nearest is too far."""
    import lightgbm

    start = np.float32(1000)
    column = start + np.arange(4_000, dtype=np.float32) * np.spacing(start)
    params = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1, "max_bin": 5_000}
    labels = np.arange(4_000) % 7 < 3
    data = lightgbm.Dataset(column.astype(np.float64)[:, None], label=labels, feature_name=["x"])
    lightgbm.train(params, data, num_boost_round=20).save_model(tmp_path / "gbm.txt")
    pq.write_table(pa.table({"x": column}), tmp_path / "rows.parquet")
    ended = convert(desk, tmp_path / "gbm.txt", data=tmp_path / "rows.parquet")
    assert ended.code == 0, ended.out + ended.err
    figures = ended.last["gates"][0]["figures"]
    assert ended.last["precision"] == "float32"
    assert figures["rows_in_other_leaf"] == 0
    assert figures["rows_in_other_leaf_if_rounded"] > 0


def test_doubles_that_float32_does_not_hold_are_said(desk: Desk, tmp_path: Path) -> None:
    ended = convert(desk, trained("lightgbm", tmp_path).file)
    assert ended.last["precision"] == "float64"
    assert any("do not fit float32" in note for note in ended.last["notes"])


def test_a_model_that_names_no_columns_asks_for_them(desk: Desk, tmp_path: Path) -> None:
    ended = convert(desk, trained("torchscript", tmp_path).file)
    assert ended.code == 2
    assert "--features" in ended.error["hint"]


def test_weights_alone_are_no_model(desk: Desk, tmp_path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(8, 1).state_dict(), tmp_path / "weights.pt")
    ended = convert(desk, tmp_path / "weights.pt", "--allow-pickle", "--features", ",".join(NUMBERS))
    assert (ended.code, "not a module" in ended.error["what"]) == (78, True)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "torch.export", "scikit-learn pipeline"])
def test_a_file_that_was_cut_off_is_refused(name: str, desk: Desk, tmp_path: Path) -> None:
    source = trained(name, tmp_path)
    whole = source.file.read_bytes()
    source.file.write_bytes(whole[: len(whole) // 2])
    ended = convert(desk, source.file, *source.options)
    assert (ended.code, ended.error["type"]) == (78, "InvalidModel"), ended.out + ended.err
    assert nothing_was_made(desk)
