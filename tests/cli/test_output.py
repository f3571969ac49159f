"""What is printed where, whoever listens: the last line of standard output is the result, and nothing follows it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import dishonest
from tests.cli.desk import MLSERVE, ROWS, Desk, Ended, environment

ALSO_FAILING = {
    "usage": (2, "mlserve score"),
    "bad row": (65, "mlserve score -m linear.onnx -i bad.csv -o out"),
    "no input": (66, "mlserve score -m linear.onnx -i gone.csv -o out"),
    "not a model": (78, "mlserve score -m rows.csv -i rows.csv -o out"),
    "no run": (66, "mlserve verify gone"),
    "nothing there": (66, "mlserve inspect gone"),
}
SUCCEEDING = {
    "in one process": (0, "mlserve score -m linear.onnx -i rows.csv -o out"),
    "on two workers": (0, "mlserve score -m linear.onnx -i rows.csv -i more.csv -o out --workers 2"),
    "previewed": (0, "mlserve score -m linear.onnx -i rows.csv -o out --dry-run"),
}


@pytest.fixture
def furnished(desk: Desk) -> Desk:
    desk.write("bad.csv", "a,b,c\n1,2,x\n")
    desk.write("more.csv", "a,b,c\n1,2,3\n")
    return desk


@pytest.mark.parametrize("name", [*SUCCEEDING, *ALSO_FAILING])
def test_with_both_streams_in_one_pipe_the_last_line_is_the_result(name: str, furnished: Desk) -> None:
    code, command = {**SUCCEEDING, **ALSO_FAILING}[name]

    ended = furnished.shell(f"{command} 2>&1 | cat")

    assert ended.code == code
    assert ended.last["exit_code"] == code
    assert ended.last["status"] == ("failed" if code else "dry run" if name == "previewed" else "complete")
    if code:
        assert set(ended.error) == {"type", "what", "where", "hint"}
        assert all(ended.error[part] for part in ("type", "what", "hint"))
    assert "Traceback" not in ended.out


@pytest.mark.parametrize(("sent", "workers"), [(signal.SIGTERM, "2"), (signal.SIGINT, "2"), (signal.SIGHUP, "1")])
def test_a_signal_too_ends_with_the_result(sent: signal.Signals, workers: str, desk: Desk) -> None:
    desk.save("slow.onnx", dishonest.slow(steps_per_unit=20_000))
    for name in ("one.csv", "two.csv"):
        desk.write(name, "x\n" + "0.2\n" * 140)
    inputs = ("-i", desk.path("one.csv"), "-i", desk.path("two.csv"), "--features", "x", "--batch-rows", "1")
    command = [*MLSERVE, "score", "-m", desk.path("slow.onnx"), *inputs, "-o", desk.path("out"), "--workers", workers]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    until = time.monotonic() + 20
    while not list(desk.folder.glob(".out.mlserve-*/**/*.draft")) and time.monotonic() < until:  # a part is being made
        time.sleep(0.01)

    process.send_signal(sent)
    out, _ = process.communicate(timeout=20)

    ended = Ended(process.returncode, out, "")
    assert ended.code == 128 + sent == ended.last["exit_code"]
    assert ended.last["status"] == "interrupted"
    assert "--resume" in ended.error["hint"]
    assert "Traceback" not in out


def test_json_is_one_line_and_nothing_else(desk: Desk) -> None:
    for arguments in (
        [*desk.basics, "-o", desk.path("out")],
        ["verify", desk.path("out")],
        ["replay", desk.path("out")],
    ):
        ended = desk.run(*arguments, "--json")
        assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1), arguments
        assert ended.last["exit_code"] == 0
    for target in ("out", "rows.csv", "linear.onnx"):
        ended = desk.run("inspect", desk.path(target), "--json")
        assert (ended.code, ended.out.count("\n")) == (0, 1)


def test_quiet_leaves_errors_and_the_json_line(desk: Desk) -> None:
    desk.write("more/skipped.txt", "")
    desk.write("more/rows.csv", ROWS)

    fine = desk.score("--quiet", "-i", desk.path("more"))
    failed = desk.score("--quiet")

    assert (fine.code, fine.err, fine.out.count("\n")) == (0, "", 1), fine
    assert (failed.code, failed.out.count("\n")) == (73, 1)
    assert failed.err.startswith("error: ")


def test_a_trace_is_shown_only_where_it_is_asked_for(desk: Desk) -> None:
    desk.write("rows.csv", "a,b,c\n1,2,x\n")
    assert "Traceback" not in "".join(str(desk.score()))
    for verbose in (desk.score("--verbose"), desk.score("--verbose", "--workers", "2", "--task-timeout", "20")):
        assert verbose.code == 65
        assert "Traceback" in verbose.err
        assert "Traceback" not in verbose.out


HOSTILE = "\x1b[31mred\x07<b>\r\nerror: all is well"


def test_nothing_of_others_reaches_the_terminal_unescaped(desk: Desk) -> None:
    name = HOSTILE.replace("/", "")
    wild = desk.write(name + ".csv", "a,b,c\n1,2,\x1b]0;title\x07\n")
    quoted = '"' + HOSTILE.replace("\r\n", "\n") + '"'
    header = desk.write("header.csv", f"{quoted},b,c\n1,2,3\n")
    out = desk.path("out")
    runs = [
        desk.run("score", "-m", desk.path("linear.onnx"), "-i", wild, "-o", out),
        desk.run("score", "-m", desk.path("linear.onnx"), "-i", header, "-o", out),
        desk.run("score", "-m", desk.path("linear.onnx"), "-i", header, "-o", out, "--features", f"{HOSTILE},b,c"),
        desk.run("score", "-m", HOSTILE, "-i", header, "-o", out),
        desk.score("--rename", HOSTILE),
        desk.score("--id-column", HOSTILE),
        desk.score("--delimiter", HOSTILE),
        desk.score("--encoding", HOSTILE),
        desk.score("--limit", HOSTILE),
        desk.score("--max-errors", HOSTILE),
        desk.score("--config", desk.write("options.toml", f"{json.dumps(HOSTILE)} = 1")),
        desk.run("score", HOSTILE),
        desk.run(HOSTILE),
        desk.run("verify", HOSTILE),
        desk.run("inspect", header),
        desk.run("inspect", wild, "--delimiter", "\t"),
        desk.score("--verbose", "--features", HOSTILE),
    ]
    for ended in runs:
        assert not any(mark in ended.out + ended.err for mark in "\x1b\x07\r"), ended
        assert "\nerror: all is well" not in ended.out + ended.err


def test_a_relative_output_under_airflow_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "nightly")

    ended = desk.run(*desk.basics, "-o", "out")

    assert (ended.code, ended.error["where"]) == (2, "--output out")
    assert "absolute" in ended.error["hint"]
    assert desk.score().code == 0
    assert desk.run(*desk.basics, "-o", "-").code == 0


# Standard output as the data's


def test_rows_are_piped_through(desk: Desk) -> None:
    ended = desk.shell("cat rows.csv | mlserve score -m linear.onnx -i - -o - > scored.csv")

    assert ended == Ended(0, "", "")
    assert Path(desk.path("scored.csv")).read_text().startswith("source_file,source_row,Y\n-,0,")
    assert Path(desk.path("scored.csv")).read_text().count("\n") == 4


def test_a_stream_carries_the_data_alone_and_errors_go_elsewhere(desk: Desk) -> None:
    desk.write("bad.csv", "a,b,c\n1,2,3\n1,2,x\n")
    for more in ("--on-error quarantine", "--limit none", "--json"):
        ended = desk.shell(f"mlserve score -m linear.onnx -i bad.csv -o - {more} | cat")
        assert ended.code in (2, 65), more
        assert ended.out == ""
        assert ended.err.startswith("error: ")
    assert json.loads(ended.err.splitlines()[-1])["exit_code"] == 65


def test_json_of_a_stream_stands_on_standard_error(desk: Desk) -> None:
    ended = desk.run(*desk.basics, "-o", "-", "--json")

    assert ended.out.startswith("source_file,")
    facts = json.loads(ended.err)
    assert (facts["rows_out"], facts["output"], facts["manifest"]) == (3, "-", None)


def test_a_reader_that_leaves_has_had_enough(desk: Desk) -> None:
    desk.write("rows.csv", "a,b,c\n" + "1,2,3\n" * 50_000)
    ended = desk.shell("mlserve score -m linear.onnx -i rows.csv -o - | head -1")
    assert ended == Ended(0, "source_file,source_row,Y\n", "")


def test_a_full_or_closed_stream_loses_no_data_in_silence(desk: Desk) -> None:
    full = desk.shell("mlserve score -m linear.onnx -i rows.csv -o - > /dev/full")
    closed = desk.shell("mlserve score -m linear.onnx -i rows.csv -o - >&-")

    assert (full.code, closed.code) == (74, 73)
    assert "standard output" in full.err
    assert "standard output is closed" in closed.err


# Places that programs are started in

ODD_PLACES = {
    "no standard output": "mlserve {score} >&-",
    "no standard error": "mlserve {score} 2>&-",
    "no stream at all": "mlserve {score} <&- >&- 2>&-",
    "nobody reads": "mlserve {score} | true",
    "full standard output": "mlserve {score} > /dev/full",
    "full standard error": "mlserve {score} 2> /dev/full",
    "HOME that cannot be written": "HOME=/proc mlserve {score}",
    "TERM dumb": "TERM=dumb NO_COLOR=1 mlserve {score}",
    "ASCII alone": "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 PYTHONIOENCODING=ascii mlserve {score}",
    "nearly no environment": 'env -i PYTHONPATH="$PYTHONPATH" "$PYTHON" -m mlserve_cli {score}',
}


@pytest.mark.parametrize("name", ODD_PLACES)
def test_a_run_minds_its_place_little(name: str, desk: Desk) -> None:
    score = f"score -m {desk.path('linear.onnx')} -i {desk.path('rows.csv')} -o {desk.path('öut')}"

    ended = desk.shell(ODD_PLACES[name].format(score=score))

    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert desk.run("verify", desk.path("öut")).code == 0


def test_a_working_folder_that_is_gone_matters_to_relative_paths_alone(desk: Desk) -> None:
    desk.write("more.csv", "a,b,c\n1,2,3\n")
    inputs = f"-i {desk.path('rows.csv')} -i {desk.path('more.csv')}"
    score = f"score -m {desk.path('linear.onnx')} {inputs} --workers 2"

    gone = "mkdir gone; cd gone; rmdir ../gone"
    absolute = desk.shell(f"{gone}; mlserve {score} -o {desk.path('out')}")
    relative = desk.shell(f"{gone}; mlserve {score} -o other")

    assert absolute.code == 0, absolute.err
    assert relative.code == 73, relative.err
    assert "Traceback" not in relative.err


def test_nothing_is_written_under_home(desk: Desk) -> None:
    home, cache, scratch = (desk.folder / name for name in ("home", "cache", "scratch"))
    for folder in (home, cache, scratch):
        folder.mkdir()
    desk.write("more.csv", "a,b,c\n1,2,3\n")
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(cache), "XDG_CONFIG_HOME": str(home), "TMPDIR": str(scratch)}

    ended = desk.shell(
        "mlserve score -m linear.onnx -i rows.csv -i more.csv -o out --workers 2 && mlserve replay out",
        env=env,
    )

    assert ended.code == 0
    assert [os.listdir(folder) for folder in (home, cache, scratch)] == [[], [], []]


def test_names_that_are_no_text_are_shown_as_escapes(desk: Desk) -> None:
    ended = desk.shell("""mv rows.csv $'r\\xffws.csv'; mlserve score -m linear.onnx -i $'r\\xffws.csv' -o $'o\\xfft'""")

    assert ended.code == 0, ended.err
    assert "\\udcff" in ended.out
