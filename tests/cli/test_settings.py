"""Command line over environment over file over default; nothing mistyped is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer

from mlserve_cli.cli import parse, run
from mlserve_cli.cli.command import Command, Group, option
from tests.cli.desk import Desk


@pytest.mark.parametrize(
    ("places", "source", "rows"),
    [
        (("default",), "default", 3),
        (("default", "file"), "file", 1),
        (("default", "file", "environment"), "environment", 2),
        (("default", "file", "environment", "command line"), "command line", 3),
    ],
)
def test_the_nearer_word_counts_and_the_manifest_says_which_it_was(
    places: tuple[str, ...], source: str, rows: int, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "environment" in places:
        monkeypatch.setenv("MLSERVE_LIMIT", "2")
        monkeypatch.setenv("MLSERVE_ON_ERROR", "quarantine")
    given = ["--config", desk.write("options.toml", 'limit = 1\non_error = "fail"')] if "file" in places else []
    given += ["--limit", "3", "--on-error", "fail"] if "command line" in places else []

    assert desk.score(*given).code == 0

    manifest = desk.manifest()
    assert manifest["rows"]["rows_in"] == rows
    assert manifest["run"]["settings"]["on-error"]["source"] == source
    assert manifest["run"]["settings"].get("limit", {"source": "default"})["source"] == source


BAD_FILES: dict[str, tuple[str | bytes, str, str]] = {
    "unknown key": ("batch_row = 5", "unknown key batch_row", "did you mean batch-rows?"),
    "key like no other": ("xyzzy = 5", "unknown key xyzzy", "score --help"),
    "the file itself": ('config = "other.toml"', "unknown key config", ""),
    "table": ("[limit]\na = 1", "limit", "limit"),
    "list for one value": ("limit = [1, 2]", "not a list of 2", ""),
    "text for a flag": ('json = "yes"', "true or false", "json"),
    "boolean for a number": ("limit = true", "no boolean", "limit"),
    "boolean for a text": ("model = true", "no boolean", ""),
    "number for a text": ("id-column = 5", "takes a text, not 5", ""),
    "number in a list of texts": ("features = [1]", "takes a text, not 1", ""),
    "date": ("limit = 2026-11-23", "a number or a text", ""),
    "fraction": ("limit = 1.5", "'1.5' is no number of at least 0", ""),
    "negative": ("limit = -1", "'-1' is no number", ""),
    "other choice": ('on-error = "ignore"', "'ignore' is not one of fail, quarantine", ""),
    "not TOML": ("limit", "not a TOML file", ""),
    "not UTF-8": (b"# \xff", "not a TOML file", ""),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_naming_the_key(name: str, desk: Desk) -> None:
    text, what, hint = BAD_FILES[name]

    ended = desk.score("--config", desk.write("options.toml", text))

    assert ended.code == 78
    assert ended.error["type"] == "InvalidConfig"
    assert what in ended.error["what"]
    assert hint in ended.error["hint"]
    assert ended.error["where"].endswith("options.toml")
    assert not Path(desk.path("out")).exists()


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_is_none_is_refused(name: str, desk: Desk) -> None:
    ended = desk.score("--config", desk.path(name))
    assert (ended.code, ended.error["type"]) == (78, "InvalidConfig")


BAD_VARIABLES = {
    "MLSERVE_BATCH_ROW": ("5", "unknown environment variable MLSERVE_BATCH_ROW", "did you mean MLSERVE_BATCH_ROWS?"),
    "MLSERVE_XYZZY": ("5", "unknown environment variable MLSERVE_XYZZY", "MLSERVE_LIMIT for --limit"),
    "MLSERVE_LIMIT": ("x", "MLSERVE_LIMIT: 'x' is no number", "unset MLSERVE_LIMIT"),
    "MLSERVE_JSON": ("maybe", "MLSERVE_JSON: 'maybe' is neither true nor false", "unset MLSERVE_JSON"),
    "MLSERVE_ON_ERROR": ("ignore", "MLSERVE_ON_ERROR: 'ignore' is not one of fail, quarantine", ""),
    "MLSERVE_MAX_ERRORS": ("101%", "MLSERVE_MAX_ERRORS: '101%' is neither", ""),
}


@pytest.mark.parametrize("name", BAD_VARIABLES)
def test_a_bad_variable_is_refused_by_name(name: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    text, what, hint = BAD_VARIABLES[name]
    monkeypatch.setenv(name, text)

    ended = desk.score()

    assert ended.code == 78
    assert what in ended.error["what"]
    assert hint in ended.error["hint"]


def test_every_command_minds_unknown_variables_but_help_always_works(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSERVE_BATHC_ROWS", "x")
    for command in (["verify", "run"], ["replay", "run"], ["inspect", "rows.csv"], ["score"]):
        ended = desk.run(*command)
        assert (ended.code, ended.error["hint"]) == (78, "did you mean MLSERVE_BATCH_ROWS?")
        assert desk.run(command[0], "--help").code == 0


def test_a_cluster_s_variables_for_a_service_of_our_name_are_not_ours(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSERVE_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("MLSERVE_PORT", "tcp://10.0.0.7:80")

    assert desk.score().code == 0


def test_an_empty_variable_says_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSERVE_LIMIT", "")
    assert desk.score().code == 0


def test_several_values_of_a_variable_stand_on_lines_of_their_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = desk.write("more rows.csv", "a,b,c\n1,2,3\n")
    monkeypatch.setenv("MLSERVE_INPUT", f"{desk.path('rows.csv')}\n{spaced}")

    assert desk.run("score", "-m", desk.path("linear.onnx"), "-o", desk.path("out")).code == 0

    assert desk.manifest()["rows"]["rows_in"] == 4


USAGE = {
    "no number": (["--limit", "x"], "'x' is no number of at least 0"),
    "too few": (["--limit", "0"], "at least 1"),
    "fraction of a worker": (["--workers", "1.5"], "neither auto nor a number"),
    "no size": (["--memory-limit", "2 gigs"], "write it as in 512MiB or 2GiB"),
    "no time": (["--task-timeout", "0"], "too short"),
    "not a pair": (["--rename", "c"], "not of the form A=B"),
    "a pair twice": (["--output-columns", "Y=a,Y=b"], "renamed twice"),
    "no choice": (["--nulls", "ignore"], "'ignore' is not one of error, nan"),
    "mistyped option": (["--limt", "3"], "--limit"),
    "extra argument": (["more"], "more"),
    "contradiction": (["--resume", "--if-exists", "overwrite"], "contradicts"),
    "no share": (["--max-errors", "0.5"], "as in 100 or 0.5%"),
    "delimiter of two": (["--delimiter", ",,"], "one ASCII character"),
    "no encoding": (["--encoding", "utf-9"], "no text encoding"),
    "NaN": (["--threshold", "nan"], "'nan' is no number"),
}


@pytest.mark.parametrize("name", USAGE)
def test_a_command_line_that_cannot_be_is_refused(name: str, desk: Desk) -> None:
    arguments, what = USAGE[name]

    ended = desk.score(*arguments)

    assert (ended.code, ended.error["type"]) == (2, "UsageError")
    assert what in " ".join(ended.error.values())
    assert ended.error["hint"]


def test_what_is_missing_is_named(desk: Desk) -> None:
    ended = desk.run("score", "-m", desk.path("linear.onnx"))
    assert ended.code == 2
    assert "--input" in ended.error["what"]


def test_a_mistyped_command_is_understood(desk: Desk) -> None:
    ended = desk.run("scoer")
    assert (ended.code, "score" in ended.error["what"]) == (2, True)


def test_sizes_are_read_as_people_write_them(desk: Desk) -> None:
    for text, size in {"64KiB": 65536, "64k": 64000, "1.5MB": 1500000, "65536": 65536}.items():
        ended = desk.score("--max-field-bytes", text, out=text)
        assert ended.code == 0
        assert desk.manifest(text)["plan"]["dialect"]["max_field_bytes"] == size


def test_one_name_may_mean_different_values_in_different_commands() -> None:
    taken: list[object] = []
    app = typer.Typer(cls=Group)

    @app.command("share", cls=Command)
    def share(limit: Annotated[float, option("--limit", help="A share.", converter=parse.share)] = 0.0) -> int:
        taken.append(limit)
        return 0

    @app.command("count", cls=Command)
    def count(limit: Annotated[int, option("--limit", help="A count.", converter=int)] = 0) -> int:
        taken.append(limit)
        return 0

    assert run(app, ["share", "--limit", "50%"]) == run(app, ["count", "--limit", "50"]) == 0
    assert taken == [0.5, 50]
