"""What `score` says of challengers and splits, to people and to machines."""

from __future__ import annotations

import pytest

from tests import models
from tests.cli.desk import Desk


@pytest.fixture
def two(desk: Desk) -> Desk:
    """The desk with a second model that scores alike, and one that takes a column nobody has."""
    desk.save("other.onnx", models.linear(3, names=("a", "b", "c")))
    desk.save("lost.onnx", models.linear(2, names=("a", "nowhere")))
    return desk


def test_each_challenger_has_its_line_and_its_figures(two: Desk) -> None:
    ended = two.score("--challenger", two.path("other.onnx"), "--challenger", two.path("lost.onnx"))

    assert ended.code == 0
    assert "  beside    other: Y +0 (at most 0), ranks 1.0000; " in ended.out
    assert "  beside    lost failed: column nowhere is missing" in ended.out
    assert "challenger lost takes no part" in ended.err
    first, second = ended.last["challengers"]
    assert (first["name"], first["status"], first["rows"], first["shift"]) == ("other", "complete", 3, {"Y": 0.0})
    assert (second["status"], second["rows"], second["error"][:25]) == ("failed", 0, "column nowhere is missing")


def test_a_split_says_who_scored_how_many_rows(two: Desk) -> None:
    ended = two.score("--challenger", two.path("other.onnx"), "--canary", "100", "--id-column", "id")

    assert ended.code == 0
    assert "  split     linear 0 rows (of 0 %), other 3 rows (of 100 %), by id\n" in ended.out
    assert [(arm["model"], arm["rows"]) for arm in ended.last["split"]["arms"]] == [("linear", 0), ("other", 3)]


def test_a_preview_shows_the_other_models(two: Desk) -> None:
    beside = two.score("--challenger", two.path("other.onnx"), "--dry-run")
    split = two.run(
        "score", "--split", f"{two.path('linear.onnx')}=90,{two.path('other.onnx')}=10", "--split-salt", "first",
        "-i", two.path("rows.csv"), "-o", two.path("out"), "--split-key", "id", "--dry-run",
    )  # fmt: skip

    assert "  beside    other, float32, linear, sha256:" in beside.out
    assert beside.last["challengers"][0]["name"] == "other"
    assert "  split     linear 90 %, other 10 %, by id under first\n" in split.out
    assert split.last["split"]["arms"] == [{"model": "linear", "share": 0.9}, {"model": "other", "share": 0.1}]
    assert not (two.folder / "out").exists()


@pytest.mark.parametrize("share", ["101", "-1", "some"])
def test_a_share_that_is_no_percentage_is_refused(two: Desk, share: str) -> None:
    assert two.score("--challenger", two.path("other.onnx"), "--canary", share).code == 2
    assert two.run("score", "--split", f"a={share},b=5", "-i", "rows.csv", "-o", "out", "--split-key", "id").code == 2


def test_without_a_model_the_command_says_so(two: Desk) -> None:
    ended = two.run("score", "-i", two.path("rows.csv"), "-o", two.path("out"))

    assert ended.code == 2
    assert ended.error["what"] == "no model is named"
