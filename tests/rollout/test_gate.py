"""`mlserve compare --gate --record` at the desk, and the promotion that follows from it or does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlserve_cli.registry import Registry
from tests.cli.desk import Desk, Ended
from tests.models import save
from tests.rollout.trial import at, came, customers, logistic, models, scored, write

GATES = """
format = 1

[gates.better]
why = "surely better, and not a thousand times as dear"
least = { labelled_rows = 500, auc.gain_low = 0 }
most = { cost_ratio = 1000 }

[gates.alike]
least = { agreement_low = 0.99 }
"""


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, each of a version of churn, and the registry as it is before anybody judges."""
    folder = tmp_path_factory.mktemp("premises")
    rows = write(folder, customers(1_000, 2), "shop.parquet")
    registry = Registry(folder / "registry")
    for model, alias in zip(models(folder), ("champion", ""), strict=True):
        registry.add(model, name="churn", alias=alias)
    for version in (1, 2):
        model = f"churn:{version}"
        scored(model, rows, folder / f"run-{version}", threshold=0.5, registry=str(registry.root))
    shutil.copytree(registry.root, folder / "before")
    return folder


@pytest.fixture
def shop(premises: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """churn:1, the champion, does not know `b`; churn:2 does; a run of each, and what came of the customers."""
    here = at(premises, desk, monkeypatch)
    monkeypatch.setenv("MLSERVE_GATES", here.write("gates.toml", GATES))
    return here


def compare(desk: Desk, *more: str, a: str = "run-1", b: str = "run-2") -> Ended:
    return desk.run("compare", a, b, "--labels", "came.parquet", "--positive", "1", *more)


def aliases(desk: Desk) -> dict[str, int]:
    return Registry(desk.folder / "registry").history("churn").aliases


def test_a_gate_that_is_passed_and_recorded_lets_the_alias_move(shop: Desk) -> None:
    ended = compare(shop, "--gate", "better", "--record", "--why", "October", "--by", "ann")
    assert ended.code == 0, ended.err
    assert "gate better: passed, recorded in the history of churn:2" in ended.out
    verdict = ended.last["verdict"]
    assert (verdict["passed"], verdict["against_name"], verdict["rows"]) == (True, "churn:1", 1_000)
    assert set(verdict["evidence"]) == {shop.path("run-1"), shop.path("run-2"), "labels came.parquet"}
    assert verdict["evidence"][shop.path("run-1")] == shop.manifest("run-1")["digest"]
    assert shop.run("model", "alias", "churn@champion", "2", "--if-passes", "better").code == 0
    assert aliases(shop) == {"champion": 2}
    entries = Registry(shop.folder / "registry").history("churn").entries
    assert [(one.action, one.who, one.why) for one in entries[-2:-1]] == [("gate", "ann", "October")]


def test_a_gate_that_says_no_is_4_with_the_figures_and_nothing_moves(shop: Desk) -> None:
    assert compare(shop, "--gate", "alike").code == 4
    ended = compare(shop, "--gate", "alike", "--record")
    assert ended.code == 4
    assert "gate alike: NOT passed" in ended.out
    assert ended.error["type"] == "GateFailed"
    assert "agreement_low is" in ended.error["what"]
    assert ended.last["figures"][0]["agreement_low"] < 0.99
    refused = shop.run("model", "alias", "churn@champion", "2", "--if-passes", "alike")
    assert (refused.code, aliases(shop)) == (4, {"champion": 1})
    assert "agreement_low is" in refused.error["what"]


def test_what_was_not_recorded_promotes_nothing(shop: Desk) -> None:
    assert compare(shop, "--gate", "better").code == 0
    assert shop.run("model", "alias", "churn@champion", "2", "--if-passes", "better").code == 4
    assert aliases(shop) == {"champion": 1}


def test_a_worse_one_takes_back_what_an_earlier_look_said(shop: Desk) -> None:
    assert compare(shop, "--gate", "better", "--record").code == 0
    shop.write("gates.toml", GATES.replace("auc.gain_low = 0", "auc.gain_low = 0.5"))
    assert compare(shop, "--gate", "better", "--record").code == 4
    assert shop.run("model", "alias", "churn@champion", "2", "--if-passes", "better").code == 4


def test_what_was_compared_with_an_earlier_champion_does_not_replace_the_one_of_now(shop: Desk) -> None:
    assert compare(shop, "--gate", "better", "--record").code == 0
    save(logistic((1.1, -0.7)), shop.folder / "third.onnx")
    Registry(shop.folder / "registry").add(shop.path("third.onnx"), name="churn", alias="champion")
    ended = shop.run("model", "alias", "churn@champion", "2", "--if-passes", "better")
    assert ended.code == 4
    assert ended.error["hint"] == "compare it with churn:3"


def test_two_registered_models_are_compared_and_judged_in_one_command(shop: Desk) -> None:
    ended = compare(
        *(shop, "--input", "shop.parquet", "--id-column", "id", "--gate", "better", "--record"),
        a="churn@champion",
        b="churn:2",
    )
    assert ended.code == 0, ended.err
    assert ended.last["comparisons"][0]["kind"] == "models"
    assert shop.run("model", "alias", "churn@champion", "2", "--if-passes", "better").code == 0


def test_a_tiny_sample_passes_no_gate_that_asks_for_rows(shop: Desk) -> None:
    came(shop.folder, customers(1_000, 2).slice(0, 40))
    ended = compare(shop, "--gate", "better")
    assert ended.code == 4
    assert "labelled_rows is 40, at least 500 is allowed" in ended.error["what"]


REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a gate that is not there": (("--gate", "bettr"), 2, "did you mean better?"),
    "no file of gates": (("--gate", "better", "--gates", "nowhere.toml"), 66, "check the path"),
    "record without a gate": (("--record",), 2, "--gate"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_judged_is_refused_before_anything_is_read(what: str, shop: Desk) -> None:
    arguments, code, hint = REFUSED[what]
    ended = compare(shop, *arguments, a="nowhere")
    assert ended.code == code
    assert hint in ended.error["hint"]


def test_a_gate_without_a_file_names_the_variable(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLSERVE_GATES")
    ended = compare(shop, "--gate", "better")
    assert (ended.code, "MLSERVE_GATES" in ended.error["hint"]) == (2, True)


def test_a_model_that_is_in_no_registry_has_no_history_to_record_in(shop: Desk, tmp_path: Path) -> None:
    bare = scored("new.onnx", "shop.parquet", tmp_path / "bare")
    ended = compare(shop, "--gate", "better", "--record", b=bare)
    assert ended.code == 2
    assert "no version of a registry" in ended.error["what"]
    assert compare(shop, "--gate", "alike", b=bare).code == 4


def test_another_registry_may_be_named_and_must_have_the_very_package(shop: Desk, tmp_path: Path) -> None:
    other = Registry(tmp_path / "other")
    other.add(shop.path("new.onnx"), name="churn")
    other.add(shop.path("old.onnx"), name="churn")
    ended = compare(shop, "--gate", "better", "--record", "--registry", str(other.root))
    assert ended.code == 2
    assert "another package in that registry" in ended.error["what"]


def test_what_people_read_says_who_is_better_and_how_sure_that_is(shop: Desk) -> None:
    text = compare(shop, "--moved", "2").out
    for words in ("A churn:1, B churn:2: 1,000 rows", "SHIFT", "RANK CORRELATION", "decisions", "ANYTIME"):
        assert words in text
    line = next(line for line in text.splitlines() if " auc " in line)
    assert line.endswith("B is better")
    assert text.count("\n            id ") == 2
    assert "cost      B takes" in text


def test_the_last_line_is_json_that_has_all_of_it(shop: Desk) -> None:
    ended = compare(shop, "--json")
    facts: dict[str, Any] = json.loads(ended.out)
    assert (facts["status"], facts["exit_code"], facts["verdict"]) == ("complete", 0, None)
    assert facts["comparisons"][0]["labelled"]["rows"] == 1_000
    assert facts["figures"][0]["auc.gain"] > 0


EFFECTS: dict[str, tuple[str, ...]] = {  # each option with what is different with it
    "--confidence": ("--confidence", "0.99"),
    "--expected-rows": ("--expected-rows", "100000"),
    "--moved": ("--moved", "1"),
    "--at": ("--at", "0.9"),
    "--task": ("--task", "regression"),
}


def test_no_option_is_without_effect(shop: Desk) -> None:
    plain = compare(shop, "--json").out
    for option, given in EFFECTS.items():
        assert compare(shop, *given, "--json").out != plain, option


def test_late_labels_are_left_out_as_of_a_day(shop: Desk, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv

    table = customers(1_000, 2).select(["id", "came"])
    days = pa.array(["2026-11-01"] * 600 + ["2026-11-20"] * 400)
    pyarrow.csv.write_csv(table.append_column("known", days), tmp_path / "dated.csv")
    arguments = ("--labels", str(tmp_path / "dated.csv"), "--label", "came", "--label-time", "known", "--positive", "1")
    ended = shop.run("compare", "run-1", "run-2", *arguments, "--as-of", "2026-11-10", "--json")
    assert ended.last["comparisons"][0]["labelled"]["rows"] == 600
    ended = shop.run("compare", "run-1", "run-2", "--labels", "came.parquet", "--as-of", "2026-11-10")
    assert (ended.code, "--label-time" in ended.error["hint"]) == (2, True)


# Every option

OPTIONS = (
    "--input --challenger --registry --trust-policy --features --rename --nulls --id-column --threshold --limit "
    "--workers --labels --on --label --label-time --as-of --labels-keep --positive --task --score --at --confidence "
    "--expected-rows --moved --gates --gate --record --why --by --input-format --delimiter --encoding --quote "
    "--null-value --json --quiet --verbose --progress"
)


def test_each_option_of_compare_is_known_here() -> None:
    from tests.cli.test_walk import options_of

    assert set(options_of("compare")) == set(OPTIONS.split())


@pytest.mark.slow  # two dozen models are scored
def test_every_option_of_a_file_and_a_model_has_its_effect(shop: Desk, tmp_path: Path) -> None:
    """Two bare models over a file that nothing but these options makes readable."""
    odd = "né;d;b\n'x;1';1;NA\n'x;2';2;1\n'x;3';3;1\n"
    (tmp_path / "odd.text").write_text(odd, encoding="latin-1")
    save(logistic((1.0, 0.5), names=""), tmp_path / "one.onnx")
    save(logistic((0.5, 0.5), names=""), tmp_path / "other.onnx")
    needed: dict[str, tuple[str, ...]] = {
        "--input-format": ("csv",),
        "--delimiter": (";",),
        "--encoding": ("latin-1",),
        "--quote": ("'",),
        "--null-value": ("NA",),
        "--features": ("a,b",),
        "--rename": ("d=a",),
        "--id-column": ("né",),
    }
    basics = ("compare", str(tmp_path / "one.onnx"), str(tmp_path / "other.onnx"), "-i", str(tmp_path / "odd.text"))

    def ended(*more: str, without: str = "") -> Ended:
        given = [text for name, values in needed.items() if name != without for text in (name, *values)]
        return shop.run(*basics, *given, *more, "--moved", "1", "--json")

    plain = ended()
    assert plain.code == 0, plain.err
    (found,) = plain.last["comparisons"]
    assert (found["rows"], found["moved"][0]["row"]) == (2, {"né": "x;2"})
    assert found["notes"] == [f"1 rows of {name} are in quarantine" for name in ("one", "other")]
    for option in needed:
        assert ended(without=option).out != plain.out, option
    assert ended("--nulls", "nan").last["comparisons"][0]["rows"] == 2  # a score that is no number is a bad row, too
    assert ended("--nulls", "nan").last["comparisons"][0]["notes"] == found["notes"]
    assert ended("--limit", "2").last["comparisons"][0]["rows"] == 1
    assert ended("--threshold", "0.5").last["comparisons"][0]["decisions"]["rows"] == 2
    assert ended("--workers", "0").code == 2
    (tmp_path / "trust.toml").write_text("format = 1")
    assert ended("--trust-policy", str(tmp_path / "trust.toml")).code == 77


def test_every_option_of_labels_has_its_effect(shop: Desk, tmp_path: Path) -> None:
    (tmp_path / "came.csv").write_text("customer,what,when\n1,yes,2026-11-02\n1,no,2026-11-03\n2,yes,2026-11-01\n")
    labels = ("--labels", str(tmp_path / "came.csv"), "--on", "id=customer", "--label", "what", "--positive", "yes")
    assert shop.run("compare", "run-1", "run-2", *labels).error["hint"].startswith("--labels-keep")
    for keep, share in (("first", 1.0), ("last", 0.5)):
        ended = shop.run("compare", "run-1", "run-2", *labels, "--labels-keep", keep)
        assert ended.last["comparisons"][0]["labelled"]["a_outcome"] == share
    ended = shop.run("compare", "run-1", "run-2", *labels, "--labels-keep", "last", "--label-time", "when")
    assert ended.code == 0
    assert shop.run("compare", "run-1", "run-2", *labels, "--labels-keep", "last", "--score", "nothing").code == 2
