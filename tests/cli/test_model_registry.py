"""`mlserve model package … remove` at the desk: what each prints, to people and to machines, and what each refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.desk import ROWS, Desk, Ended

OPTIONS = {  # each option of these commands, with what is different with it
    "package": (
        "--onnx --data --name --output --registry --alias --features --rename --nulls --fill --threshold --labels "
        "--output-columns --classes --expected --golden-rows --tolerance --provenance --metric --license --description "
        "--why --by --baseline --input-format --delimiter --encoding --quote --null-value"
    ),
    "add": "--name --registry --alias --why --by",
    "baseline": "--name --output --registry --why --by",
    "list": "--registry",
    "show": "--registry --trust-policy",
    "alias": "--if-passes --registry --why --by",
    "rollback": "--leaving --registry --why --by",
    "history": "--registry",
    "remove": "--unused-days --registry --why --by",
}
TALK = {"--json", "--quiet", "--verbose"}


@pytest.fixture
def shelf(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in its folder, with a registry of its own that two versions of `churn` stand in."""
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("MLSERVE_REGISTRY", desk.path("registry"))
    monkeypatch.setenv("XDG_CONFIG_HOME", desk.path("config"))
    assert made(desk, "--why", "first", "--by", "ann", "--alias", "champion").code == 0
    assert made(desk, "--description", "the second").code == 0
    return desk


def made(desk: Desk, *more: str, onnx: str = "linear.onnx") -> Ended:
    return desk.run("model", "package", "--onnx", onnx, "--data", "rows.csv", "--name", "churn", *more)


def test_each_option_of_these_commands_is_known_here() -> None:
    from tests.cli.test_walk import COMMANDS, options_of

    for command, options in OPTIONS.items():
        assert set(options_of(f"model {command}")) == {*options.split(), *TALK}, command
    assert {f"model {command}" for command in OPTIONS} <= set(COMMANDS)


def test_a_package_is_registered_and_says_as_what(shelf: Desk) -> None:
    again = made(shelf, "--description", "the second")
    assert again.out.splitlines()[0] == "churn is there already as churn:2"
    assert (again.last["version"], again.last["already"]) == (2, True)
    third = made(shelf, "--description", "the third", "--alias", "champion")
    assert third.out.splitlines()[0] == "churn registered as churn:3, and churn@champion names it"


def test_every_option_of_package_has_its_effect(shelf: Desk) -> None:
    from tests import models

    shelf.save("plain.onnx", models.classifier(3))
    shelf.write("odd.text", "d;b;c;é\n'1';2;NA;é\n".encode("latin-1"))
    ended = shelf.run(
        *("model", "package", "--name", "odd"),
        *("--onnx", "plain.onnx", "--data", "odd.text", "--output", "odd", "--features", "a,b,c", "--rename", "d=a"),
        *("--nulls", "nan", "--threshold", "0.5", "--no-labels", "--output-columns", "probability_1=score"),
        *("--golden-rows", "1", "--tolerance", "0.001", "--provenance", "trained=May", "--metric", "auc=0.7"),
        *("--license", "MIT", "--description", "odd", "--by", "ann", "--input-format", "csv", "--delimiter", ";"),
        *("--encoding", "latin-1", "--quote", "'", "--null-value", "NA"),
    )
    assert ended.code == 0, ended.err
    import tomllib

    said = tomllib.loads((shelf.folder / "odd" / "package.toml").read_text())
    assert said["contract"]["nulls"] == "nan"
    assert said["contract"]["threshold"] == 0.5
    (output,) = said["contract"]["outputs"]
    assert output["columns"][-1] == "score"
    assert said["golden"]["tolerance"] == 0.001
    assert (said["provenance"]["trained"], said["provenance"]["who"]) == ("May", "ann")
    assert (said["metrics"], said["license"], said["description"]) == ({"auc": 0.7}, "MIT", "odd")


def test_a_baseline_makes_the_next_version_and_says_of_what(shelf: Desk) -> None:
    assert shelf.run("profile", "rows.csv", "--model", "churn:1", "-o", "training.json").code == 0
    ended = shelf.run(
        "model", "baseline", "churn:1", "training.json", "--name", "churn", "--why", "late", "--by", "ann"
    )
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0] == "churn registered as churn:3"
    assert "  step      baseline of 3 rows: rows.csv" in ended.out
    assert (ended.last["version"], ended.last["parent"]) == (3, "churn:1")
    shown = shelf.run("model", "show", "churn:3")
    assert "  made by   baseline\n  parent    churn:1 " in shown.out
    assert "  baseline  the profile of the rows that it was trained on" in shown.out
    assert "ann" in shelf.run("model", "history", "churn").out.splitlines()[4]
    refused = shelf.run("model", "baseline", "churn:1", "training.json")
    assert (refused.code, refused.error["hint"]) == (2, "one of --output DIR and --name NAME")
    elsewhere = ("model", "baseline", "churn:1", "training.json", "--name", "churn", "--registry", "elsewhere")
    assert shelf.run(*elsewhere).code == 66


def test_scores_that_differ_from_the_expected_ones_are_4(shelf: Desk) -> None:
    shelf.write("rows.csv", "".join(f"{line},{'theirs' if line[0] == 'i' else 7}\n" for line in ROWS.splitlines()))
    ended = made(shelf, "--expected", "theirs", "--output", "bad")
    assert ended.code == 4
    assert "differ from the expected ones" in ended.error["what"]
    assert made(shelf, "--expected", "theirs", "--tolerance", "1000", "--output", "good").code == 0


def test_fill_and_classes_go_into_the_contract(shelf: Desk) -> None:
    ended = made(shelf, "--fill", "a=0.5", "--output", "filled")
    assert ended.code == 0, ended.err
    assert "[contract.fill]\na = 0.5\n" in (shelf.folder / "filled" / "package.toml").read_text()
    ended = made(shelf, "--classes", "no,yes", "--output", "classed")
    assert ended.code == 0, ended.err
    assert 'classes = ["no", "yes"]' in (shelf.folder / "classed" / "package.toml").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("--metric", "auc"),
        ("--metric", "auc=high"),
        ("--provenance", "=x"),
        ("--golden-rows", "0"),
        ("--tolerance", "x"),
        ("--name", "a b"),
        ("--alias", "a/b"),
        ("--fill", "d=1"),
    ],
)
def test_what_package_cannot_use_is_2(shelf: Desk, words: tuple[str, str]) -> None:
    ended = made(shelf, *words)
    assert ended.code == 2, ended.err
    assert ended.error["hint"] or ended.error["what"]


def test_add_says_what_it_did(shelf: Desk) -> None:
    ended = shelf.run(
        "model", "add", "linear.onnx", "--name", "fraud", "--alias", "champion", "--why", "w", "--by", "bob"
    )
    assert ended.out.splitlines()[0] == "linear.onnx added as fraud:1, and fraud@champion names it"
    assert ended.last["digest"].startswith("sha256:")
    entries = shelf.run("model", "history", "fraud").last["entries"]
    assert [(entry["who"], entry["why"]) for entry in entries] == [("bob", "w"), ("bob", "w")]


def test_list_shows_names_versions_and_aliases(shelf: Desk) -> None:
    ended = shelf.run("model", "list")
    assert ended.out.splitlines()[0].split() == ["NAME", "VERSIONS", "ALIASES", "LAST", "CHANGE"]
    assert ended.out.splitlines()[1].startswith("churn  1-2       champion -> 1")
    assert ended.last["models"][0]["versions"] == [1, 2]
    assert shelf.run("model", "list", "--registry", "nowhere").last["models"] == []


def test_list_shows_the_others_beside_a_damaged_one(shelf: Desk) -> None:
    assert shelf.run("model", "add", "linear.onnx", "--name", "fraud").code == 0
    (shelf.folder / "registry" / "churn" / "head.json").write_text("{}")
    ended = shelf.run("model", "list")
    assert ended.code == 78
    assert "fraud" in ended.out
    assert "DAMAGED" in ended.out
    assert ended.error["type"] == "InvalidRegistry"


def test_show_has_all_that_is_known_of_a_version(shelf: Desk) -> None:
    assert shelf.run("score", "-m", "churn", "-i", "rows.csv", "-o", "out").code == 0
    ended = shelf.run("model", "show", "churn")
    text = ended.out
    for words in (
        "churn:1 (@champion)",
        "feeds",
        "a, b, c",
        "writes",
        "added",
        "ann: first",
        "signed    by nobody",
        "/out",
    ):
        assert words in text
    assert ended.last["runs"][0]["alias"] == "champion"
    assert ended.last["package"]["golden"] is not None
    assert shelf.run("model", "show", "linear.onnx").code == 0


def test_alias_rollback_and_history(shelf: Desk) -> None:
    ended = shelf.run("model", "alias", "churn@champion", "2", "--why", "better", "--by", "bob")
    assert ended.out.splitlines()[0] == "churn@champion names version 2, before 1"
    again = shelf.run("model", "alias", "churn@champion", "2")
    assert again.out.splitlines()[0] == "churn@champion named already version 2"
    ended = shelf.run("model", "rollback", "churn@champion", "--leaving", "2", "--why", "worse", "--by", "ann")
    assert ended.out.splitlines()[0] == "churn@champion names again version 1, before 2"
    again = shelf.run("model", "rollback", "churn@champion", "--leaving", "2")
    assert (again.code, again.last["already"]) == (0, True)
    lines = shelf.run("model", "history", "churn").out.splitlines()
    assert "@champion back to version 1" in lines[5]
    assert "worse" in lines[5]
    assert lines[6].startswith("churn: the history holds, 5 entries")


def test_an_alias_moves_on_a_recorded_verdict_and_the_history_shows_both(shelf: Desk) -> None:
    refused = shelf.run("model", "alias", "churn@champion", "2", "--if-passes", "shadow")
    assert (refused.code, refused.error["type"]) == (4, "GateFailed")
    judged(shelf, passed=False)
    assert shelf.run("model", "alias", "churn@champion", "2", "--if-passes", "shadow").code == 4
    judged(shelf, passed=True)
    ended = shelf.run("model", "alias", "churn@champion", "2", "--if-passes", "shadow")
    assert ended.out.splitlines()[0] == "churn@champion names version 2, before 1"
    lines = shelf.run("model", "history", "churn").out.splitlines()
    assert "gate shadow refused version 2" in lines[4]
    assert "gate shadow passed version 2" in lines[5]
    assert "@champion to version 2, which passed shadow" in lines[6]
    ended = shelf.run("model", "show", "churn:2")
    assert "gate      shadow passed on 1,000 rows against churn:1" in ended.out
    assert ended.last["verdicts"][0]["verdict"]["passed"]


def judged(desk: Desk, *, passed: bool) -> None:
    """As `mlserve compare --record` does it."""
    from mlserve_cli.registry import Registry, Verdict

    reasons = () if passed else ("agreement is 0.2, at least 0.9 is allowed",)
    said = Verdict("shadow", passed, "compare", 1000, {"agreement": 0.2}, {}, reasons, against_name="churn:1")
    Registry(desk.folder / "registry").record_verdict("churn", 2, said)


def test_remove_refuses_what_is_in_use(shelf: Desk) -> None:
    assert shelf.run("model", "remove", "churn:1").code == 2
    assert shelf.run("score", "-m", "churn:2", "-i", "rows.csv", "-o", "out").code == 0
    ended = shelf.run("model", "remove", "churn:2")
    assert ended.code == 2
    assert ended.error["where"].endswith("/out")
    assert shelf.run("model", "remove", "churn:2", "--unused-days", "0", "--why", "w", "--by", "bob").code == 0
    assert shelf.run("model", "show", "churn:2").code == 66
    assert shelf.run("replay", "out").code == 66


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("model", "alias", "churn", "2"), 2),
        (("model", "alias", "churn@champion", "x"), 2),
        (("model", "alias", "churn@champion", "9"), 66),
        (("model", "rollback", "churn@prod"), 66),
        (("model", "rollback", "churn@champion"), 2),
        (("model", "rollback", "churn@champion", "--leaving", "2"), 2),
        (("model", "remove", "churn"), 2),
        (("model", "remove", "churn:9"), 66),
        (("model", "show", "chrun"), 66),
        (("model", "history", "chrun"), 66),
        (("model", "add", "./nothing"), 66),
        (("score", "-m", "chrun", "-i", "rows.csv", "-o", "out"), 66),
        (("score", "-m", "churn@prod", "-i", "rows.csv", "-o", "out"), 66),
        (("inspect", "churn:9"), 66),
    ],
)
def test_what_is_not_there_or_cannot_be_says_so(shelf: Desk, words: tuple[str, ...], code: int) -> None:
    ended = shelf.run(*words)
    assert ended.code == code, ended.err
    assert ended.error["hint"]


def test_a_run_records_what_the_alias_named_and_is_replayed_after_it_moved(shelf: Desk) -> None:
    assert shelf.run("score", "-m", "churn@champion", "-i", "rows.csv", "-o", "out").code == 0
    model = shelf.manifest()["model"]
    assert (model["name"], model["version"], model["alias"]) == ("churn", "1", "champion")
    assert Path(model["registry"]) == shelf.folder / "registry"
    assert shelf.run("model", "alias", "churn@champion", "2").code == 0
    assert shelf.run("replay", "out").code == 0
    assert shelf.run("verify", "out").code == 0


def test_a_registry_that_moved_is_named_for_the_replay(shelf: Desk) -> None:
    assert shelf.run("score", "-m", "churn", "-i", "rows.csv", "-o", "out").code == 0
    (shelf.folder / "registry").rename(shelf.folder / "moved")
    ended = shelf.run("replay", "out", "--registry", "moved")
    assert ended.code == 0, ended.err


def test_a_run_goes_on_though_its_use_cannot_be_written_down(shelf: Desk) -> None:
    uses = shelf.folder / "registry" / "churn" / "uses"
    uses.write_text("in the way")
    assert shelf.run("score", "-m", "churn", "-i", "rows.csv", "-o", "out").code == 0
    assert json.loads((shelf.folder / "out" / "manifest.json").read_text())["run"]["exit_code"] == 0


def test_a_run_to_standard_output_is_known_as_one(shelf: Desk) -> None:
    assert shelf.process("score", "-m", "churn", "-i", "rows.csv", "-o", "-").code == 0
    assert [run["output"] for run in shelf.run("model", "show", "churn").last["runs"]] == ["-"]


def test_the_same_content_from_a_path_and_from_the_registry_is_the_same_work(shelf: Desk) -> None:
    version = shelf.folder / "registry" / "churn" / "versions" / "1"
    assert shelf.run("score", "-m", str(version), "-i", "rows.csv", "-o", "out").code == 0
    ended = shelf.run("score", "-m", "churn", "-i", "rows.csv", "-o", "out", "--resume")
    assert ended.last["already_complete"] is True


def test_inspect_takes_a_name(shelf: Desk) -> None:
    ended = shelf.run("inspect", "churn@champion", "--json")
    assert ended.last["package"]["version"] == "1"
