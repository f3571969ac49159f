"""`mlserve drift` and the drift options of `score` at the command line: what is printed, and the exit codes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlserve_cli import ScoreRequest, score
from tests import models
from tests.cli.desk import Desk, Ended
from tests.scoring.runs import IN_MEMORY

ROWS = 200


@pytest.fixture(scope="module")
def scored() -> Iterator[Path]:
    """Runs of three months, in which `a` has moved in the last, scored once for all tests."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        made = Path(name).resolve()
        models.save(models.linear(3, names=("a", "b", "c")), made / "linear.onnx")
        (made / "runs").mkdir()
        for number, shift in enumerate((0.0, 0.0, 3.0), start=1):
            rows = write_month(made, number, shift=shift)
            asked = ScoreRequest(str(made / "linear.onnx"), (rows,), str(made / f"runs/{number:02}"), profile="on")
            score(asked)
        yield made


@pytest.fixture
def months(desk: Desk, scored: Path) -> Desk:
    """A desk where those runs are."""
    return replace(desk, folder=scored)


def write_month(folder: Path, number: int, *, shift: float) -> str:
    random = np.random.default_rng(number)
    lines = [f"{shift + a:.4f},{b:.4f},{c:.4f}" for a, b, c in random.normal(size=(ROWS, 3))]
    path = folder / "data" / f"{number:02}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("a,b,c\n" + "\n".join(lines) + "\n")
    return str(path)


def score_month(desk: Desk, number: int, *, shift: float, out: str, more: tuple[str, ...]) -> Ended:
    rows = write_month(desk.folder, number, shift=shift)
    return desk.run("score", "-m", desk.path("linear.onnx"), "-i", rows, "-o", desk.path(out), "--profile", "on", *more)


def test_two_runs_alike_end_with_0(months: Desk) -> None:
    ended = months.run("drift", months.path("runs/01"), months.path("runs/02"))
    assert ended.code == 0, ended.err
    assert ended.out.startswith("no drift: 200 rows beside 200 of ")
    assert (ended.last["status"], ended.last["passed"], ended.last["now_rows"]) == ("complete", True, ROWS)


def test_a_drift_ends_with_4_and_names_what_moved_most_first(months: Desk) -> None:
    ended = months.run("drift", months.path("runs/01"), months.path("runs/03"))
    assert ended.code == 4
    lines = ended.out.splitlines()
    assert lines[0].startswith("2 of 4 columns drifted: 200 rows beside 200 of ")
    assert lines[1].split() == ["column", "PSI", "noise", "JS", "KS", "mean", "nulls", "drift"]
    assert re.match(r"  a +\d\.\d{3} .*PSI \d\.\d\d over 0\.2, out of range ", lines[2])
    assert lines[3].startswith("  Y ")
    assert (ended.last["status"], ended.last["exit_code"]) == ("failed", 4)
    assert ended.error["type"] == "GateFailed"
    assert ended.error["where"].startswith("a (PSI ")
    assert [column["name"] for column in ended.last["columns"]] == ["a", "Y"]


def test_json_on_request_has_every_column(months: Desk) -> None:
    ended = months.run("drift", months.path("runs/01"), months.path("runs/03"), "--json")
    assert ended.code == 4
    assert len(ended.out.splitlines()) == 1
    assert {column["name"] for column in ended.last["columns"]} == {"a", "b", "c", "Y"}


def test_the_table_s_columns_stand_below_each_other(months: Desk) -> None:
    lines = months.run("drift", months.path("runs/01"), months.path("runs/03")).out.splitlines()[1:6]
    ends = [lines[0].index(word) + len(word) for word in ("PSI", "noise", "JS", "KS")]
    for line in lines[1:]:
        assert all(line[end - 1].isdigit() and line[end] == " " for end in ends), line


def test_history_shows_each_run_and_ends_with_0(months: Desk) -> None:
    ended = months.run("drift", "--history", months.path("runs"))
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "3 runs beside 01"
    assert lines[1].split()[:4] == ["run", "rows", "a", "Y"]
    assert [line.split()[0] for line in lines[2:5]] == ["01", "02", "03"]
    assert "*" not in lines[3]
    assert lines[4].split()[2].endswith("*")
    assert "a" in lines  # its own table
    assert [one["passed"] for one in ended.last["runs"]] == [True, True, False]
    assert ended.last["ranked"][:2] == ["a", "Y"]


def test_a_column_is_followed_over_the_runs(months: Desk) -> None:
    ended = months.run("drift", months.path("runs/02"), "--history", months.path("runs"), "--column", "b")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[2] == "b"
    assert [line.split()[:2] for line in lines[4:7]] == [["01", "200"], ["02", "200"], ["03", "200"]]
    assert [[column["name"] for column in one["columns"]] for one in ended.last["runs"]] == [["b"]] * 3


def test_data_is_profiled_with_a_model_s_options(months: Desk) -> None:
    rows = ("drift", months.path("data/01.csv"), months.path("data/03.csv"))
    scored = months.run(*rows, "--json", "-m", months.path("linear.onnx"))
    plain = months.run(*rows, "--json")
    assert (scored.code, plain.code) == (4, 4)
    assert {column["name"] for column in scored.last["columns"]} == {"a", "b", "c", "Y"}
    assert {column["name"] for column in plain.last["columns"]} == {"a", "b", "c"}
    limited = months.run(*rows, "-m", months.path("linear.onnx"), "--limit", "20")
    assert limited.last["now_rows"] == 20


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("drift",), "name BASE and NOW"),
        (("drift", "runs/01"), "name BASE and NOW"),
        (("drift", "runs/01", "runs/02", "--history", "runs"), "--history stands in place of NOW"),
        (("drift", "runs/01", "runs/02", "--column", "a"), "--column follows a column over runs"),
    ],
)
def test_what_contradicts_itself_is_a_usage_error(
    months: Desk, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], what: str
) -> None:
    monkeypatch.chdir(months.folder)
    ended = months.run(*arguments)
    assert ended.code == 2
    assert what in ended.error["what"]


def test_score_says_what_drifted_and_ends_with_4_on_request(months: Desk) -> None:
    base = ("--drift-profile", months.path("runs/01"))
    ended = score_month(months, 4, shift=3, out="told", more=base)
    assert ended.code == 0
    assert re.search(
        r"^  drift     2 of 4 columns drifted from .*runs/01\n            a: PSI \d", ended.out, re.MULTILINE
    )
    assert [column["name"] for column in ended.last["drift"]["drifted"]] == ["a", "Y"]
    assert "error" not in ended.last

    failed = score_month(months, 4, shift=3, out="failed", more=(*base, "--fail-on-drift"))
    assert (failed.code, failed.last["exit_code"], failed.error["type"]) == (4, 4, "GateFailed")
    assert Path(failed.last["manifest"]).is_file()

    quiet = score_month(months, 5, shift=0, out="quiet", more=(*base, "--fail-on-drift"))
    assert quiet.code == 0
    assert "  drift     none in 4 columns, beside " in quiet.out
    assert quiet.last["drift"] == {"passed": True, "base": months.path("runs/01"), "drifted_columns": 0, "drifted": []}


def test_a_stream_is_judged_too(months: Desk) -> None:
    rows = ("-i", months.path("data/03.csv"), "-o", "-", "--drift-profile", months.path("runs/01"), "--fail-on-drift")
    ended = months.process("score", "-m", months.path("linear.onnx"), *rows, "--json")
    assert ended.code == 4
    assert len(ended.out.splitlines()) == ROWS + 1
    assert '"GateFailed"' in ended.err.splitlines()[-1]
