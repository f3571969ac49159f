"""Rows of a data path as inputs: spread over all files, the unfit ones left out and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli.errors import DataError, InputMissing, MissingColumn
from mlserve_cli.optimize.parent import open_parent
from mlserve_cli.optimize.quantize import RowsRequest, read_rows
from mlserve_cli.optimize.rows import rows_for, scores_of
from tests import models


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(models.save(models.linear(2, names=("a", "b")), tmp_path / "linear.onnx"))


def write(path: Path, first: int, count: int, **more: object) -> str:
    numbers = np.arange(first, first + count, dtype=np.float32)
    pq.write_table(pa.table({"b": numbers, "a": -numbers, **more}), path)
    return str(path)


def test_a_limit_takes_rows_evenly_from_all_files_in_the_order_of_a_run(tmp_path: Path, model: str) -> None:
    (tmp_path / "day").mkdir()
    for number in range(4):
        write(tmp_path / "day" / f"part-{number}.parquet", 1_000 * number, 1_000)
    contract = open_parent(model).contract

    every = rows_for([str(tmp_path / "day")], contract, limit=10_000)
    some = rows_for([str(tmp_path / "day")], contract, limit=40)

    assert np.array_equal(every.tensors["X"][:, 1], np.arange(4_000))
    assert len(some) == 40
    assert [int((some.tensors["X"][:, 1] // 1_000 == number).sum()) for number in range(4)] == [10] * 4


def test_rows_that_cannot_be_fed_or_have_no_label_are_left_out_and_counted(tmp_path: Path, model: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,late\n1,2,1\n3,,0\nx,4,1\n5,6,\n7,8,0\n")
    contract = open_parent(model).contract

    found = rows_for([str(path)], contract, limit=100, labels="late")

    assert found.tensors["X"].tolist() == [[1, 2], [7, 8]]
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0]
    assert found.left_out == 3
    assert found.fault == "rows.csv, row 1, b: null"


def test_labels_may_be_text_and_booleans(tmp_path: Path, model: str) -> None:
    contract = open_parent(model).contract
    flags = write(tmp_path / "flags.parquet", 0, 2, y=pa.array([True, False]))
    words = write(tmp_path / "words.parquet", 0, 2, y=pa.array(["yes", "no"]))

    as_numbers = rows_for([flags], contract, limit=9, labels="y").labels
    as_text = rows_for([words], contract, limit=9, labels="y").labels

    assert as_numbers is not None
    assert as_numbers.tolist() == [1.0, 0.0]
    assert as_text is not None
    assert as_text.tolist() == ["yes", "no"]


def test_what_is_missing_is_named(tmp_path: Path, model: str) -> None:
    contract = open_parent(model).contract
    path = write(tmp_path / "rows.parquet", 0, 5)
    (tmp_path / "bad.csv").write_text("a,b\nx,y\n")

    with pytest.raises(MissingColumn):
        rows_for([path], contract, limit=5, labels="late")
    with pytest.raises(InputMissing):
        rows_for([str(tmp_path / "none")], contract, limit=5)
    with pytest.raises(DataError, match="no row of it can be fed"):
        rows_for([str(tmp_path / "bad.csv")], contract, limit=5)


def test_rows_that_calibrate_never_judge(tmp_path: Path, model: str) -> None:
    parent = open_parent(model)
    path = write(tmp_path / "rows.parquet", 0, 1_000)

    calibration, held_out = read_rows(parent, RowsRequest((path,), calibration_rows=100), calibrate=True)

    assert calibration is not None
    assert (len(calibration), len(held_out)) == (100, 900)
    assert not set(calibration.tensors["X"][:, 1]) & set(held_out.tensors["X"][:, 1])


def test_scores_do_not_depend_on_how_the_rows_are_cut(tmp_path: Path, model: str) -> None:
    parent = open_parent(model)
    rows = rows_for([write(tmp_path / "rows.parquet", 0, 100)], parent.contract, limit=100)

    whole, cut = (scores_of(parent.predictor, rows, batch_rows=size)["Y"] for size in (100, 7))

    assert np.array_equal(whole, cut)
