"""`mlserve watch` as a shell, a cron job and a log see it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from mlserve_cli.registry import Registry
from tests import models
from tests.cli.conftest import desk
from tests.cli.desk import ROWS, Desk, Ended

__all__ = ["desk"]


def watch(desk: Desk, *options: str) -> Ended:
    words = ("watch", desk.path("inbox"), "-m", desk.path("linear.onnx"), "-o", desk.path("out"), "--workers", "1")
    return desk.run(*words, "--once", "--settled", "0", *options)


def events(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]


def test_a_pass_over_good_shards_ends_with_0_and_says_what_it_did(desk: Desk) -> None:
    desk.write("inbox/a.csv", ROWS)
    desk.write("inbox/day=1/b.csv", ROWS)

    ended = watch(desk)

    assert ended.code == 0
    assert ended.last["shards"] == {
        "scored": 2, "already_scored": 0, "rejected": 0, "delayed": 0, "waiting": 0, "damaged": 0,
    }  # fmt: skip
    assert (ended.last["rows_in"], ended.last["rows_out"]) == (6, 6)
    assert "2 shards scored" in ended.out.splitlines()[0]
    assert "scored day=1/b.csv by linear in" in ended.err
    assert desk.manifest("out/a.csv")["run"]["settings"]["once"]["value"] is True


def test_with_json_there_is_a_line_for_each_shard_and_the_sums_come_last(desk: Desk) -> None:
    desk.write("inbox/a.csv", ROWS)
    desk.write("inbox/b.csv", "a,b\n1,2\n")

    told = events(watch(desk, "--json"))

    assert [one.get("event", one.get("status")) for one in told] == ["scored", "rejected", "with trouble"]
    scored, rejected, last = told
    assert (scored["shard"], scored["rows_in"], scored["model"]["name"]) == ("a.csv", 3, "linear")
    assert scored["output"] == desk.path("out/a.csv")
    assert (rejected["shard"], rejected["exit_code"], rejected["moved"]) == ("b.csv", 65, True)
    assert os.path.exists(rejected["reason"])
    assert last["exit_code"] == 65


BAD_ROW = "id,a,b,c\nx1,1,2,no\nx2,4,5,6\n"


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        ({}, (), 0),
        ({"a.csv": ROWS}, (), 0),
        ({"a.csv": BAD_ROW}, ("--on-error", "quarantine"), 3),
        ({"a.csv": BAD_ROW}, ("--on-error", "quarantine", "--max-errors", "50%"), 0),
        ({"a.csv": BAD_ROW, "b.csv": ROWS}, (), 65),
        ({"a.csv": BAD_ROW, "b.csv": BAD_ROW}, ("--most-bad", "2"), 65),
        ({"a.csv": ROWS}, ("-m", "no-such-model.onnx"), 66),
        ({"a.csv": ROWS}, ("--output", "x.csv"), 2),
        ({"a.csv": ROWS}, ("--memory-limit", "1MiB"), 78),
        ({"a.csv": ROWS}, ("--trust-policy", "no-such-policy.toml"), 78),
    ],
)
def test_a_pass_ends_with_the_code_that_says_whom_to_call(
    desk: Desk, files: dict[str, str], options: tuple[str, ...], code: int
) -> None:
    (desk.folder / "inbox").mkdir()
    for name, text in files.items():
        desk.write(f"inbox/{name}", text)

    ended = watch(desk, *options)

    assert ended.code == ended.last["exit_code"] == code, ended.err


def test_an_alias_is_looked_up_for_each_pass_and_the_log_says_which_version_it_was(desk: Desk) -> None:
    registry = Registry(desk.folder / "registry")
    registry.add(desk.path("linear.onnx"), name="churn", alias="champion")
    registry.add(desk.save("other.onnx", models.linear(3, names=("a", "b", "c"), batch=1)), name="churn")
    named = ("-m", "churn@champion", "--registry", desk.path("registry"))
    desk.write("inbox/a.csv", ROWS)
    assert "churn 1 (@champion)" in watch(desk, *named).err
    registry.set_alias("churn", "champion", 2, why="better", by="ann")
    desk.write("inbox/b.csv", ROWS)

    ended = watch(desk, *named)

    assert "scored b.csv by churn 2 (@champion)" in ended.err
    versions = [desk.manifest(f"out/{name}")["model"]["version"] for name in ("a.csv", "b.csv")]
    assert versions == ["1", "2"]


def test_quiet_leaves_what_is_wrong(desk: Desk) -> None:
    desk.write("inbox/a.csv", ROWS)
    desk.write("inbox/b.csv", "a,b\n1,2\n")

    ended = watch(desk, "--quiet")

    assert "scored" not in ended.err
    assert "rejected b.csv: column c is missing" in ended.err


def test_each_run_is_told_to_whom_score_tells_it(desk: Desk) -> None:
    desk.write("inbox/a.csv", ROWS)
    desk.write("inbox/b.csv", "a,b\n1,2\n")

    watch(desk, "--log-file", desk.path("runs.log"))

    lines = [json.loads(line) for line in (desk.folder / "runs.log").read_text().splitlines()]
    assert [line["exit_code"] for line in lines] == [0, 65]


def test_names_with_escapes_cannot_move_a_terminal_s_cursor(desk: Desk) -> None:
    desk.write("inbox/\x1b[31m.csv", ROWS)
    desk.write("inbox/\x1b[32m.csv", "a\n1\n")

    ended = watch(desk)

    assert "\x1b" not in ended.err + ended.out
    assert r"\x1b[31m.csv" in ended.err


def test_its_options_may_stand_in_a_file(desk: Desk) -> None:
    desk.write("inbox/a.csv", BAD_ROW)
    desk.write("watch.toml", 'on-error = "quarantine"\nbad-shards = "stay"\nsettled = 0\nonce = true\n')
    words = ("watch", desk.path("inbox"), "-m", desk.path("linear.onnx"), "-o", desk.path("out"))

    assert desk.run(*words, "--config", desk.path("watch.toml")).code == 3
    assert desk.run(*words, "--config", desk.write("no.toml", "resume = true")).code == 78
