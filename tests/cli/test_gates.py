"""`--gate NAME --record` of `evaluate` and `drift` at the desk: a verdict on the version that scored, what follows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlserve_cli.registry import Entry, History, Registry
from tests.cli.desk import Desk, Ended
from tests.models import save
from tests.rollout.trial import at, customers, logistic, models, scored, write

GATES = """
format = 1

[gates.quality]
why = "good enough by itself, whoever is champion"
least = { labelled_rows = 500, auc_low = 0.6, coverage = 0.9 }

[gates.strict]
least = { auc = 0.99 }

[gates.better]
least = { auc.gain_low = 0 }

[gates.still]
most = { psi = 0.2, nulls.a = 0, missing_columns = 0 }

[gates.frozen]
most = { psi = 0 }
"""


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two versions of churn over the same customers, one of others, a canary; and the registry of before."""
    folder = tmp_path_factory.mktemp("premises")
    registry = Registry(folder / "registry")
    for model, alias in zip(models(folder), ("champion", ""), strict=True):
        registry.add(model, name="churn", alias=alias)
    rows = write(folder, customers(1_000, 2), "shop.parquet")
    strangers = customers(1_000, 3)
    moved = write(folder, strangers.set_column(1, "a", [[one.as_py() + 3 for one in strangers["a"]]]), "moved.parquet")
    usual = {"threshold": 0.5, "registry": str(registry.root), "profile": "on"}
    for name, model, data, more in (
        ("old", "churn:1", rows, {}),
        ("new", "churn:2", rows, {}),
        ("moved", "churn:2", moved, {}),
        ("canary", "churn:1", rows, {"challengers": ("churn:2",), "canary": 50.0}),
        ("bare", str(folder / "new.onnx"), rows, {}),
    ):
        scored(model, data, folder / name, **usual, **more)
    shutil.copytree(registry.root, folder / "before")
    return folder


@pytest.fixture
def shop(premises: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """churn:1 is the champion, churn:2 knows more; what came of the customers, and a file of gates."""
    here = at(premises, desk, monkeypatch)
    here.write("gates.toml", GATES)
    return here


def evaluate(desk: Desk, *more: str, runs: tuple[str, ...] = ("new",)) -> Ended:
    return desk.run("evaluate", *runs, "--labels", "came.parquet", "--positive", "1", *more)


def promoted(desk: Desk, gate: str) -> Ended:
    return desk.run("model", "alias", "churn@champion", "2", "--if-passes", gate)


def history(desk: Desk) -> History:
    return Registry(desk.folder / "registry").history("churn")


def last(desk: Desk) -> Entry:
    return history(desk).entries[-1]


# evaluate


def test_an_evaluation_that_passes_and_is_recorded_lets_the_alias_move(shop: Desk) -> None:
    limits = ("--fail-under", "auc=0.6", "--fail-over", "log_loss=0.9")
    ended = evaluate(shop, *limits, "--gate", "good", "--record", "--why", "October", "--recorded-by", "ann")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-2] == "gate good: passed, recorded in the history of churn:2"
    entry = last(shop)
    assert (entry.action, entry.version, entry.who, entry.why) == ("gate", 2, "ann", "October")
    verdict = entry.verdict
    assert verdict is not None
    assert (verdict.by, verdict.rows, verdict.against) == ("evaluate", 1_000, "")
    assert verdict.limits == {"least_auc": 0.6, "log_loss": 0.9}
    assert verdict.evidence[shop.path("new")] == shop.manifest("new")["digest"]
    assert set(verdict.evidence) == {shop.path("new"), "labels came.parquet"}
    assert promoted(shop, "good").code == 0
    assert history(shop).aliases == {"champion": 2}


def test_an_evaluation_that_says_no_is_recorded_too_and_nothing_moves(shop: Desk) -> None:
    assert evaluate(shop, "--fail-under", "auc=0.6", "--gate", "good", "--record").code == 0
    ended = evaluate(shop, "--fail-under", "auc=0.99", "--gate", "good", "--record")
    assert ended.code == 4
    assert ended.error["type"] == "GateFailed"
    assert "gate good: NOT passed, recorded in the history of churn:2" in ended.out
    refused = promoted(shop, "good")
    assert (refused.code, history(shop).aliases) == (4, {"champion": 1})
    assert "auc is 0.8" in refused.error["what"]


def test_what_is_good_by_itself_stays_so_whoever_is_champion_by_now(shop: Desk) -> None:
    assert evaluate(shop, "--gates", "gates.toml", "--gate", "quality", "--record").code == 0
    Registry(shop.folder / "registry").add(
        str(save(logistic((1.1, -0.7)), shop.folder / "third.onnx")), name="churn", alias="champion"
    )
    assert promoted(shop, "quality").code == 0


def test_without_record_nothing_is_written_and_any_model_is_judged(shop: Desk) -> None:
    before = history(shop)
    assert evaluate(shop, "--gates", "gates.toml", "--gate", "quality").code == 0
    ended = evaluate(shop, "--gates", "gates.toml", "--gate", "strict", runs=("old", "bare"))
    assert (ended.code, ended.last["recorded"]) == (4, "")
    assert "gate strict said no: auc is" in ended.error["what"]
    assert history(shop) == before


def test_limits_of_the_command_count_beside_those_of_the_file(shop: Desk) -> None:
    gate = ("--gates", "gates.toml", "--gate", "quality", "--record")
    ended = evaluate(shop, *gate, "--fail-under", "auc=0.99", "--fail-under", "coverage=0.1")
    assert (ended.code, ended.last["verdict"]["passed"]) == (4, False)
    assert ended.last["verdict"]["limits"] == {
        "least_labelled_rows": 500,
        "least_auc_low": 0.6,
        "least_auc": 0.99,
        "least_coverage": 0.9,
    }
    ended = evaluate(shop, *gate, "--fail-under", "auc=0.80", "--judge", "interval")
    assert (ended.code, ended.last["verdict"]["limits"]["least_auc_high"]) == (0, 0.8)


def test_where_labels_are_of_several_runs_the_verdict_rests_on_the_last_alone(shop: Desk) -> None:
    """The same customers every night: one label would count twice, so there are no figures over all runs."""
    ended = evaluate(shop, "--fail-under", "coverage=0.9", "--gate", "known", "--record", runs=("new", "moved"))
    assert (ended.code, ended.last["judged"]) == (0, shop.path("moved"))
    verdict = last(shop).verdict
    assert verdict is not None
    assert set(verdict.evidence) == {shop.path("moved"), "labels came.parquet"}


def test_a_retry_records_the_same_verdict_once(shop: Desk) -> None:
    for _ in range(2):
        assert evaluate(shop, "--fail-under", "auc=0.6", "--gate", "good", "--record").code == 0
    assert [one.action for one in history(shop).entries].count("gate") == 1


def test_the_file_of_an_evaluation_has_what_the_gate_said(shop: Desk) -> None:
    from mlserve_cli.contract import decode_sealed
    from mlserve_cli.monitoring.evaluation import Evaluation

    assert evaluate(shop, "--gates", "gates.toml", "--gate", "strict", "--record", "-o", "e.json").code == 4
    found = decode_sealed((shop.folder / "e.json").read_bytes(), Evaluation, where="")
    assert (found.passed, found.limits, found.recorded) == (False, (), "churn:2")
    assert found.verdict is not None
    assert found.verdict == last(shop).verdict


REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "runs of two versions": (("old", "new"), (), "several versions: churn:1, churn:2"),
    "rows divided between models": (("canary",), (), "divided between models"),
    "a model of no registry": (("bare",), (), "no version of a registry"),
    "another registry": (("new",), ("--registry", "elsewhere"), "another package in that registry"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_version_can_answer_for_is_refused_before_any_label_is_read(what: str, shop: Desk) -> None:
    runs, more, said = REFUSED[what]
    other = Registry(shop.folder / "elsewhere")
    for model in ("new.onnx", "old.onnx"):
        other.add(shop.path(model), name="churn")
    gate = ("--labels", "nowhere.csv", "--fail-under", "auc=0.1", "--gate", "good", "--record")
    ended = evaluate(shop, *gate, *more, runs=runs)
    assert ended.code == 2
    assert said in ended.error["what"]


def test_a_gate_without_limits_is_refused(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = evaluate(shop, "--gate", "good")
    assert (ended.code, "MLSERVE_GATES" in ended.error["hint"]) == (2, True)
    monkeypatch.setenv("MLSERVE_GATES", shop.path("gates.toml"))
    ended = evaluate(shop, "--fail-under", "auc=0.1", "--gate", "qualty")
    assert (ended.code, ended.error["hint"]) == (2, "did you mean quality?")
    assert evaluate(shop, "--fail-under", "auc=0.1", "--record").code == 2


def test_an_evaluation_does_not_answer_what_a_comparison_was_asked(shop: Desk) -> None:
    """A champion that is better says no to the newer; an easy limit under the same name does not turn that round."""
    gate = ("--gates", "gates.toml", "--gate", "better", "--record")
    compared = shop.run("compare", "new", "old", "--labels", "came.parquet", "--positive", "1", *gate)
    assert compared.code == 4, compared.err
    ended = evaluate(shop, "--fail-under", "auc=0.1", "--gate", "better", "--record", runs=("old",))
    assert (ended.code, ended.error["hint"]) == (2, "give this one a name of its own")
    ended = evaluate(shop, *gate)
    assert ended.code == 2
    assert "gate better of churn is judged by compare, not by evaluate" in ended.error["what"]


# drift


def drift(desk: Desk, base: str, now: str, *more: str) -> Ended:
    return desk.run("drift", base, now, "--gate", "still", *more)


def test_a_run_that_has_not_drifted_lets_its_version_pass(shop: Desk) -> None:
    ended = shop.run("drift", "new", "new", "--gate", "same", "--record", "--why", "no skew", "--by", "ann")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-2] == "gate same: passed, recorded in the history of churn:2"
    entry = last(shop)
    verdict = entry.verdict
    assert verdict is not None
    assert (entry.who, entry.why, verdict.by, verdict.limits) == ("ann", "no skew", "drift", {"drifted_columns": 0})
    assert set(verdict.evidence) == {shop.path("new"), "base new"}
    assert verdict.evidence[shop.path("new")] == shop.manifest("new")["digest"]
    assert (verdict.figures["drifted_columns"], verdict.figures["rows"], verdict.figures["psi"]) == (0, 1_000, 0)
    assert promoted(shop, "same").code == 0


def test_a_run_that_has_drifted_does_not(shop: Desk) -> None:
    ended = shop.run("drift", "new", "moved", "--gate", "same", "--record")
    assert (ended.code, ended.error["type"]) == (4, "GateFailed")
    assert "gate same: NOT passed, recorded in the history of churn:2" in ended.out
    refused = promoted(shop, "same")
    assert (refused.code, history(shop).aliases) == (4, {"champion": 1})
    assert "drifted_columns is 3, at most 0 is allowed; drifted: a, score, prediction" in refused.error["what"]
    figures = ended.last["verdict"]["figures"]
    assert figures["psi.a"] == figures["psi"] > 1
    assert "psi.b" not in figures  # which did not drift, and no limit names it


def test_a_gate_s_limits_count_beside_the_thresholds(shop: Desk) -> None:
    assert drift(shop, "new", "new", "--gates", "gates.toml").code == 0
    frozen = ("drift", "old", "new", "--gates", "gates.toml", "--gate", "frozen")
    lenient = shop.write("drift.toml", "format = 1\n[default]\npsi = inf\nout_of_range = inf\n")
    ended = shop.run(*frozen, "--drift-thresholds", lenient)
    assert (ended.code, ended.last["passed"], ended.last["verdict"]["passed"]) == (4, True, False)
    assert "gate frozen said no: psi is" in ended.error["what"]
    tried = shop.run("drift", "new", "moved", "--gates", "gates.toml", "--gate", "still", "--record")
    assert {"psi", "nulls.a", "missing_columns", "drifted_columns"} == set(tried.last["verdict"]["limits"])


NO_RUN: dict[str, tuple[tuple[str, ...], str]] = {
    "data": (("new", "shop.parquet"), "shop.parquet is no run"),
    "nothing": (("new", "nowhere"), "nowhere is no run"),
    "several runs": (("new", "."), "is no run"),
    "a canary": (("new", "canary"), "divided between models"),
    "a model of no registry": (("new", "bare"), "no version of a registry"),
}


@pytest.mark.parametrize("what", NO_RUN)
def test_drift_is_recorded_of_a_run_of_one_version_alone(what: str, shop: Desk) -> None:
    (base, now), said = NO_RUN[what]
    ended = shop.run("drift", base, now, "--gate", "same", "--record")
    assert ended.code == 2
    assert said in ended.error["what"]


def test_a_profile_that_is_not_the_run_s_own_records_nothing(shop: Desk, tmp_path: Path) -> None:
    shutil.copytree("moved", tmp_path / "swapped")
    shutil.copy("new/profile.json", tmp_path / "swapped")
    ended = shop.run("drift", "new", str(tmp_path / "swapped"), "--gate", "same", "--record")
    assert (ended.code, ended.error["type"]) == (65, "RunMismatch")
    assert last(shop).action != "gate"


def test_a_history_of_runs_has_no_gate(shop: Desk) -> None:
    for more in (("--gate", "same"), ("--record",)):
        ended = shop.run("drift", "--history", ".", *more)
        assert (ended.code, "one run" in ended.error["what"]) == (2, True)


@pytest.mark.slow
def test_processes_of_their_own_judge_and_promote(shop: Desk) -> None:
    """As a scheduler would: each command a process, each ending with the code that decides on the next."""
    judged = shop.process(
        *("evaluate", "new", "--labels", "came.parquet", "--positive", "1", "--fail-under", "auc=0.6"),
        *("--gate", "good", "--record"),
    )
    skew = shop.process("drift", "old", "moved", "--gate", "same", "--record")
    moves = [shop.process("model", "alias", "churn@champion", "2", "--if-passes", gate) for gate in ("same", "good")]
    assert (judged.code, skew.code, [one.code for one in moves]) == (0, 4, [4, 0])
    assert shop.process("model", "history", "churn").code == 0
    assert "gate      good passed on 1,000 rows, by evaluate" in shop.run("model", "show", "churn:2").out
