"""`mlserve bench` as a command: its table, its JSON, its files, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from mlserve_cli import BenchResult
from tests import models
from tests.cli.conftest import desk
from tests.cli.desk import MLSERVE, TREE, Desk, environment

pytestmark = pytest.mark.slow  # real processes, many of them

__all__ = ["desk"]  # the fixture
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def temporary(desk: Desk) -> Path:
    """A folder for what is temporary, which nothing else uses."""
    folder = desk.folder / "temporary"
    folder.mkdir()
    return folder


def basics(desk: Desk) -> list[str]:
    return ["bench", "-m", desk.path("linear.onnx"), "-i", desk.path("rows.csv"), "--rounds", "1"]


def test_the_command_shows_a_table_writes_json_and_a_picture_and_leaves_nothing_else(
    desk: Desk, temporary: Path
) -> None:
    files = ["--results", desk.path("found.json"), "--picture", desk.path("found.svg")]

    ended = desk.process(*basics(desk), *files, "--id-column", "id", env={"TMPDIR": str(temporary)}, timeout_s=180)

    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    heads = next(line for line in lines if "seconds" in line)
    assert heads.split() == ["seconds", "inner", "rows/s", "MiB", "batch", "×", "script", "of", "limit"]
    for name in ("mlserve", "script", "decode", "compute", "back to back"):
        assert any(line.startswith(f" {name} ") for line in lines), name
    assert max(len(line) for line in lines[:-1] if not line.startswith(desk.path(""))) <= 80
    found = msgspec.json.decode(Path(desk.path("found.json")).read_bytes(), type=BenchResult)
    assert [len(one.seconds) for one in found.models[0].contenders] == [1] * 5
    picture = ET.parse(desk.path("found.svg")).getroot()
    kinds = [bar.get("class") for bar in picture.iter(f"{SVG}rect")]
    assert kinds == ["mlserve", "peer", "limit", "limit", "limit"]
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in desk.folder.iterdir()) == [
        "found.json", "found.svg", "linear.onnx", "rows.csv", "temporary",
    ]  # fmt: skip


def test_the_json_line_has_the_medians_and_the_ratios(desk: Desk) -> None:
    ended = desk.run(*basics(desk), "--json", "--against", "script")

    facts = json.loads(ended.out)
    assert (facts["status"], facts["exit_code"], facts["rounds"]) == ("measured", 0, 1)
    (model,) = facts["models"]
    assert (model["rows"], set(model["contenders"])) == (3, {"mlserve", "script"})
    ours, script = model["contenders"]["mlserve"], model["contenders"]["script"]
    assert ours["times_as_fast_as_script"] == pytest.approx(script["seconds"] / ours["seconds"], abs=1e-4)
    assert script["times_as_fast_as_script"] == 1
    assert ours["share_of_limit"] is None


def test_what_score_needs_to_read_the_data_is_passed_on(desk: Desk) -> None:
    """Without any one of these options the rows could not be read, or their features not be found."""
    rows = "id;'the a';b;c;ü\nx1;1;'2';NA;.\nx2; 4;5;6;.\nx3;7;8;9;.\n"
    desk.write("rows.text", rows.encode("latin-1"))
    desk.save("model.onnx", models.linear(3))
    asked = ["-m", desk.path("model.onnx"), "-i", desk.path("rows.text"), "--rounds", "1", "--against", "none"]
    data = ["--input-format", "csv", "--delimiter", ";", "--encoding", "latin-1", "--quote", "'", "--null-value", "NA"]
    names = ["--features", "a,b,c", "--rename", "the a=a", "--id-column", "id", "--passthrough", "ü"]
    values = ["--schema-mode", "coerce", "--nulls", "nan", "--nan-scores", "allow"]
    machine = ["--workers", "1", "--threads-per-worker", "2", "--batch-rows", "2", "--memory-limit", "2GiB"]
    more = ["--predictor", "onnxruntime", "--deduplicate", "off", "--max-field-bytes", "1KiB", "--limit", "2"]

    ended = desk.run("bench", *asked, *data, *names, *values, *machine, *more)

    assert ended.code == 0, ended.err
    (model,) = ended.last["models"]
    assert model["rows"] == 2
    assert model["contenders"]["mlserve"]["batch_rows"] == 2


def test_rows_without_a_header_are_passed_on(desk: Desk) -> None:
    desk.write("rows.csv", "1,2,3\n4,5,6\n")

    ended = desk.run(*basics(desk), "--no-header", "--features", "#1,#2,#3")

    assert ended.code == 0, ended.err
    assert {one["difference"] for one in ended.last["models"][0]["contenders"].values()} <= {None, 0.0}


def test_labels_are_left_out_where_they_are_not_wanted(desk: Desk) -> None:
    desk.save("classes.onnx", models.classifier(3))
    asked = ["bench", "-m", desk.path("classes.onnx"), "-i", desk.path("rows.csv"), "--features", "a,b,c"]

    ended = desk.run(*asked, "--rounds", "1", "--no-labels")

    assert ended.code == 0, ended.err
    assert all("trouble" not in one for one in ended.last["models"][0]["contenders"].values())


def test_several_models_are_measured_on_the_same_data(desk: Desk) -> None:
    desk.save("other.onnx", models.mlp(3))

    ended = desk.run(*basics(desk), "-m", desk.path("other.onnx"), "--features", "a,b,c", "--against", "none")

    assert [Path(model["model"]).name for model in ended.last["models"]] == ["linear.onnx", "other.onnx"]


def test_what_is_being_measured_is_said_unless_nobody_wants_to_know(desk: Desk) -> None:
    said = desk.run(*basics(desk), "--against", "none").err
    assert "the round that does not count" in said
    assert "round 1 of 1" in said
    assert desk.run(*basics(desk), "--against", "none", "--no-progress").err == ""
    quiet = desk.run(*basics(desk), "--against", "none", "--quiet")
    assert (quiet.err, len(quiet.out.splitlines())) == ("", 1)


def test_files_that_could_not_be_written_are_refused_before_anything_is_measured(desk: Desk) -> None:
    for option in ("--results", "--picture"):
        ended = desk.run(*basics(desk), option, desk.path("nowhere/found"))
        assert (ended.code, ended.err.startswith("error: the output's folder does not exist")) == (73, True)


def test_against_what_is_not_known_is_usage(desk: Desk) -> None:
    assert desk.run(*basics(desk), "--against", "spark").code == 2


def test_polars_is_named_where_it_is_missing(desk: Desk, tmp_path: Path) -> None:
    """With all that is installed here but polars."""
    installed = tmp_path / "installed"
    installed.mkdir()
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            if not path.name.startswith(("polars", "_polars")) and not (installed / path.name).exists():
                (installed / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-S", *MLSERVE[1:], *basics(desk)],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=f"{TREE}{os.pathsep}{installed}"),
        check=False,
    )

    assert done.returncode == 69, done.stderr
    assert "polars is not installed" in done.stderr
    assert "pip install 'mlserve-cli[bench]'" in done.stderr


def test_a_signal_ends_what_was_started_and_leaves_nothing(desk: Desk, temporary: Path) -> None:
    command = [*MLSERVE, *basics(desk), "--rounds", "1000"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment(TMPDIR=str(temporary))
    ) as process:
        assert process.stderr is not None
        while b"round 1 of 1000" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.2)

        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 143
    assert list(temporary.iterdir()) == []
    assert not _still_running(str(temporary))


def _still_running(text: str) -> list[str]:
    """Processes whose command line names that."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found
