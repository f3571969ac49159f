"""`mlserve evaluate` as a command: what it prints, how it ends, what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mlserve_cli.contract import decode_sealed
from mlserve_cli.monitoring.evaluation import Evaluation
from tests import models
from tests.cli.desk import Desk, environment


@pytest.fixture
def judged(desk: Desk) -> Desk:
    """A run of 40 rows by a classifier, and what came of 30 of them."""
    rows = [f"x{row},{row % 7 - 3},{row % 5 - 2},{row % 3 - 1}" for row in range(40)]
    desk.write("rows.csv", "\n".join(["id,a,b,c", *rows]))
    desk.save("linear.onnx", models.classifier(3))
    assert desk.score("--features", "a,b,c", "--id-column", "id").code == 0
    desk.write("told.csv", "\n".join(["id;came;area", *(f"x{row};{row % 2};{'NE'[row % 2]}" for row in range(30))]))
    return desk


def evaluate(desk: Desk, *arguments: str) -> list[str]:
    return ["evaluate", desk.path("out"), "--labels", desk.path("told.csv"), "--delimiter", ";", *arguments]


def test_it_shows_tables_and_ends_with_one_line_of_json(judged: Desk) -> None:
    ended = judged.run(*evaluate(judged, "--label", "came", "--on", "id", "--by", "area", "--by", "a"))

    assert ended.code == 0, ended.err
    assert "evaluated: 30 of 40 rows have a label (75.0%)" in ended.out
    for heading in ("auc", "log_loss", "mean score", "area=N", "a=-3", "off by", "slope"):
        assert heading in ended.out
    assert ended.last["labelled"] == 30
    assert ended.last["join"]["matched"] + ended.last["join"]["unlabelled"] == 40
    assert max(map(len, ended.out.splitlines()[:-1])) <= 80


def test_several_runs_are_shown_over_time(judged: Desk) -> None:
    assert judged.score("--features", "a,b,c", "--id-column", "id", out="runs/later").code == 73
    os.mkdir(judged.path("runs"))
    for name, first in (("one", 0), ("two", 15)):
        judged.write("rows.csv", "\n".join(["id,a,b,c", *(f"x{first + row},{row},1,2" for row in range(15))]))
        assert judged.score("--features", "a,b,c", "--id-column", "id", out=f"runs/{name}").code == 0
    arguments = evaluate(judged, "--label", "came")
    arguments[1] = judged.path("runs")

    ended = judged.run(*arguments)

    assert ended.code == 0, ended.err
    assert "30 of 30 rows of 2 runs have a label" in ended.out
    assert ended.out.index(" one ") < ended.out.index(" two ") < ended.out.index("steady")
    assert (ended.last["runs"], ended.last["judged"]) == (2, "all runs together")


def test_a_limit_that_does_not_hold_ends_with_4_and_every_figure(judged: Desk) -> None:
    wanted = ("--label", "came", "--fail-under", "auc=0.999", "--fail-over", "log_loss=99", "-o", judged.path("e.json"))

    ended = judged.run(*evaluate(judged, *wanted))

    assert ended.code == 4
    assert ended.last["exit_code"] == 4
    assert ended.error["type"] == "GateFailed"
    assert "FAILS" in ended.out
    assert "holds" in ended.out
    content = (judged.folder / "e.json").read_bytes()
    assert not decode_sealed(content, Evaluation, where="e.json").passed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--label", "came", "--fail-under", "acu=0.5"), 2),
        (("--label", "came", "--fail-under", "auc"), 2),
        (("--label", "came", "--fail-under", "auc=much"), 2),
        (("--label", "came", "--confidence", "0.2"), 2),
        (("--label", "came", "--bins", "1"), 2),
        (("--label", "came", "--on", "=id"), 2),
        (("--label", "came", "--rank-by", "beauty"), 2),
        (("--label", "came", "--as-of", "2026-01-01"), 2),
        ((), 2),
        (("--label", "gone"), 65),
        (("--label", "area"), 65),
        (("--label", "came", "--on", "id=area"), 65),
        (("--label", "came", "--labels", "nowhere.csv"), 66),
        (("--label", "came", "-o", "nowhere/e.json"), 73),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(judged: Desk, arguments: tuple[str, ...], code: int) -> None:
    ended = judged.run(*evaluate(judged, *arguments))

    assert (ended.code, ended.last["exit_code"]) == (code, code)
    assert ended.error["what"]
    assert ended.error["hint"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "option",
    [
        ("--on", "id=id"),
        ("--label", "area"),
        ("--label-time", "known", "--as-of", "2026-01-02"),
        ("--labels-keep", "first"),
        ("--positive", "0"),
        ("--positive", "<1"),
        ("--task", "regression"),
        ("--score", "probability_0"),
        ("--at", "0.1"),
        ("--by", "c"),
        ("--by", "c", "--rank-by", "log_loss"),
        ("--confidence", "0.5"),
        ("--bins", "3"),
        ("--fail-under", "auc=1"),
        ("--fail-over", "auc=0"),
        ("--fail-under", "auc=0.55", "--judge", "interval"),
        ("--null-value", "0"),
        ("--encoding", "utf-16"),
        ("--label", "area", "--quote", ""),
        ("--delimiter", ","),
        ("--input-format", "parquet"),
    ],
    ids=" ".join,
)
def test_no_option_is_without_effect(judged: Desk, option: tuple[str, ...]) -> None:
    rows = [f'x{row},{row % 2},"{row % 3 // 2}",2026-01-0{row % 3 + 1}' for row in range(30)]
    judged.write("told.csv", "\n".join(["id,came,area,known", *rows, 'x0,1,"1",2026-01-03']))
    usual = ("--delimiter", ",", "--label", "came", "--labels-keep", "last")
    without = option[:2] if option[2:3] in (("--judge",), ("--rank-by",), ("--quote",)) else ()
    base = ["evaluate", judged.path("out"), "--labels", judged.path("told.csv"), *usual]
    if option[0] == "--on":
        base += ["--on", "id=came"]
    if option == ("--delimiter", ","):
        base[base.index(",") : base.index(",") + 1] = [";"]

    one, other = (judged.run(*base, *more, "-o", judged.path("e.json")) for more in (without, option))

    assert (one.code, one.out, one.err) != (other.code, other.out, other.err)


def test_the_library_that_is_missing_is_named_with_its_extra(judged: Desk) -> None:
    arguments = evaluate(judged, "--label", "came")

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['sklearn'] = None; from mlserve_cli.cli import main; main()",
            *arguments,
        ],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )

    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert done.returncode == 69
    assert error["what"] == "scikit-learn is not installed"
    assert "mlserve-cli[evaluate]" in error["hint"]


@pytest.mark.parametrize("place", ["out/e.json", "out/data/e.json", "link/e.json"])
def test_a_run_stays_as_it_is_committed(judged: Desk, place: str) -> None:
    (judged.folder / "link").symlink_to("out")

    ended = judged.run(*evaluate(judged, "--label", "came", "-o", judged.path(place)))
    profiled = judged.run("profile", judged.path("rows.csv"), "-o", judged.path(place))

    assert [(one.code, "inside the run" in one.error["what"]) for one in (ended, profiled)] == [(2, True)] * 2
    assert judged.run("verify", judged.path("out")).code == 0


def test_a_manifest_of_another_program_makes_no_run_of_a_folder(judged: Desk) -> None:
    judged.write("site/manifest.json", '{"name": "a web page", "format": 1}')

    assert judged.run(*evaluate(judged, "--label", "came", "-o", judged.path("site/e.json"))).code == 0
