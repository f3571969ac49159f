"""`mlserve tune`: a table for people, one line for machines, a file for `score`, and nothing else left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import dishonest, models
from tests.cli.desk import MLSERVE, Desk, environment

pytestmark = pytest.mark.slow  # real processes, many of them


@pytest.fixture
def costly_desk(desk: Desk) -> Desk:
    """A model whose every call costs some milliseconds, and rows for many calls of the batch that auto takes."""
    desk.save("costly.onnx", dishonest.slow(steps_per_unit=3_000))
    pq.write_table(pa.table({"x": np.ones(131_072, np.float32)}), desk.folder / "rows.parquet")
    return desk


def test_what_it_writes_is_what_score_then_does(costly_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, work = costly_desk, ["-m", costly_desk.path("costly.onnx"), "-i", costly_desk.path("rows.parquet")]
    (desk.folder / "tmp").mkdir()
    desk.write("mlserve.toml", "# ours\nlimit = 5000\n")

    ended = desk.process(
        "tune", *work, "--features", "x", "--deduplicate", "off", "--budget", "6s", "--try-batch-rows", "8192",
        "--write", desk.path("mlserve.toml"),
        env={"TMPDIR": desk.path("tmp")},
    )  # fmt: skip

    assert ended.code == 0, ended.err
    assert ended.last["chosen"]["batch-rows"] == 8_192
    assert ended.last["written"] == desk.path("mlserve.toml")
    assert "chosen    batch-rows 8192" in ended.out
    assert list((desk.folder / "tmp").iterdir()) == []
    monkeypatch.setenv("MLSERVE_CONFIG", desk.path("mlserve.toml"))
    scored = desk.run("score", *work, "--features", "x", "-o", desk.path("out"))
    assert scored.code == 0, scored.err
    assert desk.manifest()["plan"]["batch_rows"] == 8_192
    assert desk.manifest()["run"]["settings"]["batch-rows"] == {"value": "8192", "source": "file"}
    assert desk.manifest()["rows"]["rows_in"] == 5_000


def test_a_signal_ends_it_with_nothing_left(costly_desk: Desk) -> None:
    desk = costly_desk
    (desk.folder / "tmp").mkdir()
    work = ["-m", desk.path("costly.onnx"), "-i", desk.path("rows.parquet"), "--features", "x"]
    command = [*MLSERVE, "tune", *work, "--budget", "1m", "--write", desk.path("mlserve.toml")]
    with subprocess.Popen(
        command, env=environment(TMPDIR=desk.path("tmp")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list((desk.folder / "tmp").iterdir()):  # until a trial is under way
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert json.loads(out)["status"] == "interrupted"
    assert list((desk.folder / "tmp").iterdir()) == []
    assert not (desk.folder / "mlserve.toml").exists()


def test_without_a_file_it_says_which_options_to_give(costly_desk: Desk) -> None:
    desk = costly_desk
    work = ["-m", desk.path("costly.onnx"), "-i", desk.path("rows.parquet"), "--features", "x", "--deduplicate", "off"]
    ended = desk.run("tune", *work, "--budget", "6s", "--try-batch-rows", "8192")
    assert ended.code == 0, ended.err
    assert "--batch-rows 8192" in ended.out
    assert ended.last["written"] is None
    alone = desk.run("tune", *work, "--budget", "1s", "--json")
    assert alone.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--budget", "0"], "no time of at least a second"),
        (["--budget", "soon"], "no time of at least a second"),
        (["--try-batch-rows", "64,x"], "'x'"),
        (["--try-batch-rows", "0"], "0 is too few"),
    ],
)
def test_an_option_that_is_no_such_value_is_refused(arguments: list[str], says: str, desk: Desk) -> None:
    ended = desk.run("tune", "-m", desk.path("linear.onnx"), "-i", desk.path("rows.csv"), *arguments)
    assert ended.code == 2
    assert says in ended.error["what"]


def test_a_broken_configuration_file_is_named(desk: Desk) -> None:
    path = desk.write("mlserve.toml", "workers = = 2")
    ended = desk.run("tune", "-m", desk.path("linear.onnx"), "-i", desk.path("rows.csv"), "--write", path)
    assert ended.code == 78
    assert ended.error["where"] == path
    assert Path(path).read_text() == "workers = = 2"


def test_a_file_that_says_more_than_auto_is_pointed_out_where_auto_is_as_good(desk: Desk) -> None:
    desk.save("fixed.onnx", models.linear(3, names=("a", "b", "c"), batch=4))
    path = desk.write("mlserve.toml", "workers = 1\n")
    ended = desk.run(
        "tune", "-m", desk.path("fixed.onnx"), "-i", desk.path("rows.csv"), "--budget", "1s", "--write", path
    )
    assert ended.code == 0, ended.err
    if ended.last["chosen"] is None:
        assert "still sets workers" in ended.err
        assert Path(path).read_text() == "workers = 1\n"
    else:
        assert ended.last["written"] == path
