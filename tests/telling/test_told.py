"""A run is told however it ends, and ends as it would have if nobody were told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlserve_cli import ScoreRequest, Tell, told
from mlserve_cli.errors import LogBroken, MlserveError
from tests.cli.desk import MLSERVE, ROWS, Desk, environment
from tests.faults import running
from tests.telling.files import TELLING, events, lines, metrics, telling
from tests.telling.files import told as score

BAD_ROW = "id,a,b,c\nx1,1,2,\nx2,4,5,6\n"


def test_a_run_that_succeeds_is_told_to_everyone(desk: Desk) -> None:
    ended = score(desk)

    assert ended.code == 0
    assert ended.err == ""
    line = lines(desk, "runs.log")[0]
    assert (line["level"], line["status"], line["exit_code"]) == ("info", "complete", 0)
    assert (line["rows_in"], line["rows_out"], line["model"]["name"]) == (3, 3, "linear")
    assert line["plan"] == ended.last["run_id"]
    assert metrics(desk)["mlserve_last_run_success"] == 1
    assert [event["eventType"] for event in events(desk)] == ["START", "COMPLETE"]
    assert [entry["event"] for entry in lines(desk, "audit.log")] == ["started", "ended"]
    assert desk.run("verify", desk.path("out")).code == 0


def test_all_four_name_the_same_attempt_and_the_same_manifest(desk: Desk) -> None:
    score(desk)

    line, (start, end), entries = lines(desk, "runs.log")[0], events(desk), lines(desk, "audit.log")
    assert {line["run"], start["run"]["runId"], end["run"]["runId"], *(one["run"] for one in entries)} == {line["run"]}
    manifest = desk.manifest()["digest"]
    assert line["manifest"] == entries[1]["manifest"] == manifest
    assert end["run"]["facets"]["mlserve_run"]["manifest"]["digest"] == manifest


def test_a_run_that_fails_is_told_with_its_error_and_its_exit_code(desk: Desk) -> None:
    desk.write("rows.csv", BAD_ROW)

    ended = score(desk)

    assert ended.code == 65
    line = lines(desk, "runs.log")[0]
    assert (line["level"], line["status"], line["exit_code"]) == ("error", "failed", 65)
    assert line["error"] == ended.error
    assert line["model"]["digest"].startswith("sha256:")  # it got as far as a plan
    assert (
        metrics(desk)['mlserve_last_run_info{alias="",error="BadRow",model="linear",status="failed",version=""}'] == 1
    )
    assert [event["eventType"] for event in events(desk)] == ["START", "FAIL"]
    assert events(desk)[1]["run"]["facets"]["errorMessage"]["message"].startswith(ended.error["what"])
    entry = lines(desk, "audit.log")[1]
    assert (entry["status"], entry["exit_code"], entry["error"], entry["manifest"]) == ("failed", 65, "BadRow", "")


def test_a_run_that_fails_before_there_is_a_plan_is_told_too(desk: Desk) -> None:
    ended = score(desk, "-i", desk.path("gone.csv"))

    assert ended.code == 66
    assert lines(desk, "runs.log")[0]["model"]["name"] == desk.path("linear.onnx")
    assert metrics(desk)['mlserve_runs_total{result="failed"}'] == 1
    assert lines(desk, "audit.log")[1]["model"] is None
    assert events(desk)[1]["eventType"] == "FAIL"


def test_rows_in_quarantine_are_a_warning_and_a_complete_event(desk: Desk) -> None:
    desk.write("rows.csv", BAD_ROW)

    ended = score(desk, "--on-error", "quarantine")

    assert ended.code == 3
    line = lines(desk, "runs.log")[0]
    assert (line["level"], line["rows_quarantined"], line["reasons"]) == ("warning", 1, {"null": 1})
    assert metrics(desk)['mlserve_last_run_quarantined_rows{reason="null"}'] == 1
    assert metrics(desk)["mlserve_last_run_success"] == 0
    end = events(desk)[1]
    assert end["eventType"] == "COMPLETE"
    counts = [one["outputFacets"]["outputStatistics"]["rowCount"] for one in end["outputs"]]
    assert counts == [1, 1]


@pytest.mark.faults
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_run_that_a_signal_ends_is_told(number: signal.Signals, code: int, desk: Desk, tmp_path: Path) -> None:
    work = running.make_work(tmp_path / "work", steps=20_000)
    process = running.start(work.score(*telling(desk)))
    running.wait_until(lambda: work.records > 2, process)  # the driver has heard of the first

    process.send_signal(number)
    ended, out, _ = running.finish(process)

    assert ended == code
    assert json.loads(out.splitlines()[-1])["status"] == "interrupted"
    line = lines(desk, "runs.log")[0]
    assert (line["status"], line["exit_code"], line["error"]["type"]) == ("interrupted", code, "Interrupted")
    assert 0 < line["rows_in"] < work.shards * running.ROWS
    assert [event["eventType"] for event in events(desk)] == ["START", "ABORT"]
    assert metrics(desk)['mlserve_runs_total{result="interrupted"}'] == 1
    assert lines(desk, "audit.log")[1]["exit_code"] == code


@pytest.mark.faults
def test_a_run_that_is_killed_outright_leaves_its_beginning(desk: Desk, tmp_path: Path) -> None:
    work = running.make_work(tmp_path / "work", steps=20_000)
    process = running.start(work.score(*telling(desk)))
    running.wait_until(lambda: work.records > 0, process)

    process.kill()
    process.communicate()

    assert [entry["event"] for entry in lines(desk, "audit.log")] == ["started"]
    assert [event["eventType"] for event in events(desk)] == ["START"]
    again = [*work.score(*telling(desk)), "--resume"]
    assert running.run(again)[0] == 0
    findings = desk.run("audit", desk.path("audit.log")).last["findings"]
    assert [one["kind"] for one in findings] == ["never-ended"]


def test_what_cannot_be_told_is_a_warning_and_changes_nothing(desk: Desk) -> None:
    nowhere = {option: desk.path(f"nowhere/{name}") for option, name in TELLING.items() if option != "--audit-log"}

    ended = desk.score(*(word for pair in nowhere.items() for word in pair))

    assert ended.code == 0
    assert desk.run("verify", desk.path("out")).code == 0
    warned = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    assert {line.split()[1].rstrip(":") for line in warned} == set(nowhere)
    assert all("nowhere" in line for line in warned)


def test_a_full_disk_changes_nothing_and_cuts_nothing_off(desk: Desk) -> None:
    before = b"{}\n" * ((64 << 10) // 3 - 60)  # room for a part of a line
    desk.write("runs.log", before)

    ended = desk.shell("ulimit -f 64; mlserve score -m linear.onnx -i rows.csv -o - --log-file runs.log")

    assert ended.code == 0, ended.err
    assert ended.out.startswith("source_file")
    assert "--log-file: cannot append" in ended.err
    assert (desk.folder / "runs.log").read_bytes() == before


def test_no_run_begins_without_its_entry_in_the_audit_log(desk: Desk) -> None:
    ended = desk.score("--audit-log", desk.path("nowhere/audit.log"))

    assert ended.code == 69
    assert not (desk.folder / "out").exists()


def test_an_audit_log_that_may_not_be_written_stops_the_run(desk: Desk) -> None:
    log = desk.write("audit.log", "")
    os.chmod(log, 0o400)
    humbly = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*humbly, *MLSERVE, *desk.basics, "-o", desk.path("out"), "--audit-log", log]

    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)

    assert done.returncode == 69
    assert not (desk.folder / "out").exists()


def test_a_log_whose_last_line_was_changed_is_not_carried_on(desk: Desk) -> None:
    score(desk)
    log = desk.folder / "audit.log"
    log.write_bytes(log.read_bytes().replace(b'"rows_in":3', b'"rows_in":4'))

    ended = score(desk, out="other")

    assert ended.code == LogBroken.exit_code
    assert not (desk.folder / "other").exists()


@pytest.mark.parametrize("broken", [True, False])
def test_no_shard_pays_for_an_audit_log_that_cannot_be_carried_on(broken: bool, desk: Desk) -> None:
    desk.write("inbox/one.csv", ROWS)
    words = ("-m", desk.path("linear.onnx"), "-o", desk.path("runs"), "--once", "--settled", "0", "--workers", "1")
    log = desk.path("audit.log" if broken else "nowhere/audit.log")
    if broken:
        score(desk)
        Path(log).write_bytes(Path(log).read_bytes().replace(b'"rows_in":3', b'"rows_in":4'))
    (desk.folder / "runs").mkdir()

    ended = desk.run("watch", desk.path("inbox"), *words, "--audit-log", log)

    assert ended.code == (LogBroken.exit_code if broken else 69)
    assert [path.name for path in (desk.folder / "inbox").rglob("*") if path.is_file()] == ["one.csv"]
    assert not list((desk.folder / "runs").rglob("manifest.json"))


@pytest.mark.parametrize("option", TELLING)
def test_nothing_is_told_inside_the_output(option: str, desk: Desk) -> None:
    ended = desk.score(option, desk.path("out/told.prom"))

    assert ended.code == 2
    assert option in ended.error["what"]


def test_one_file_cannot_be_two(desk: Desk) -> None:
    (desk.folder / "link").symlink_to(desk.folder)

    ended = desk.score("--log-file", desk.path("x.log"), "--audit-log", desk.path("link/x.log"))

    assert ended.code == 2
    assert "name one file" in ended.error["what"]


def test_without_its_library_the_textfile_is_refused_before_the_run(desk: Desk) -> None:
    first = "import sys; sys.modules['prometheus_client'] = None"
    command = [sys.executable, "-c", f"{first}; from mlserve_cli.cli import main; main()", *desk.basics]
    words = ["-o", desk.path("out"), "--prometheus-file", desk.path("x.prom")]

    done = subprocess.run([*command, *words], capture_output=True, text=True, env=environment(), check=False)

    assert done.returncode == 69
    assert json.loads(done.stdout.splitlines()[-1])["error"]["hint"] == "pip install 'mlserve-cli[prometheus]'"
    assert not (desk.folder / "out").exists()


def test_a_run_to_standard_output_is_told_and_its_rows_are_alone(desk: Desk) -> None:
    words = " ".join(f"{option} {name}" for option, name in TELLING.items())

    ended = desk.shell(f"mlserve score -m linear.onnx -i - -o - {words} < rows.csv")

    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == 4
    start, end = events(desk)
    assert start["outputs"] == end["outputs"] == []
    assert [one["name"] for one in end["inputs"]] == [desk.path("linear.onnx")]
    assert lines(desk, "runs.log")[0]["output"] == "-"


def test_a_log_on_standard_error_is_a_line_among_others(desk: Desk) -> None:
    ended = desk.process(*desk.basics, "-o", desk.path("out"), "--log-file", "/dev/stderr")

    assert ended.code == 0
    assert json.loads(ended.err.splitlines()[-1])["status"] == "complete"
    assert ended.last["status"] == "complete"


def test_an_audit_log_is_a_file_and_nothing_else(desk: Desk) -> None:
    os.mkfifo(desk.path("pipe"))

    ended = desk.score("--audit-log", desk.path("pipe"))

    assert ended.code == 69
    assert not (desk.folder / "out").exists()


def test_resuming_what_is_complete_says_so_and_counts_no_row_twice(desk: Desk) -> None:
    score(desk)

    ended = score(desk, "--resume")

    assert ended.last["already_complete"] is True
    assert [line["already_complete"] for line in lines(desk, "runs.log")] == [False, True]
    assert metrics(desk)['mlserve_rows_total{kind="read"}'] == 3
    assert metrics(desk)['mlserve_runs_total{result="complete"}'] == 2


def test_names_that_are_no_text_are_told_as_escapes(desk: Desk) -> None:
    odd = os.fsencode(desk.folder) + b"/r\xf6ws.csv"
    Path(os.fsdecode(odd)).write_bytes((desk.folder / "rows.csv").read_bytes())

    ended = score(desk, "-i", os.fsdecode(odd))

    assert ended.code == 0, ended.err
    assert lines(desk, "runs.log")[0]["inputs"][1].endswith("/r\\xf6ws.csv")
    assert any(one["name"].endswith("/r\\xf6ws.csv") for one in events(desk)[1]["inputs"])
    assert lines(desk, "audit.log")[0]["inputs"][1].endswith("/r\\xf6ws.csv")


def test_python_users_have_the_same(desk: Desk) -> None:
    tell = Tell(log_file=desk.path("runs.log"), audit_log=desk.path("audit.log"))
    request = ScoreRequest(desk.path("linear.onnx"), (desk.path("rows.csv"),), desk.path("out"), workers=1)

    result = told(request, tell=tell)
    with pytest.raises(MlserveError):
        told(request, tell=tell)

    assert result.exit_code == 0
    assert [line["exit_code"] for line in lines(desk, "runs.log")] == [0, 73]
    assert lines(desk, "runs.log")[0]["audit_head"] == lines(desk, "audit.log")[1]["digest"]
