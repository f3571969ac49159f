"""Gates in the registry: a verdict is an entry like any other, and an alias moves only on the latest one."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli import model as life
from mlserve_cli.errors import GateFailed, InputMissing, InvalidConfig, InvalidRegistry, UnknownModel, UsageError
from mlserve_cli.registry import Gate, GateResult, PackageFile, Registry, Verdict, read_gate, write_package
from mlserve_cli.registry.history import Entry, encode_entry, entry_name
from tests.models import linear, save
from tests.registry.shelves import filled, package, started

GATES = """
format = 1

[gates.shadow]
why = "before it may score a row that counts"
least = { rows = 100, "agreement" = 0.9 }
most = { cost_ratio = 2, shift.score_high = 0.1 }
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions of churn, of which the second is the champion."""
    registry = filled(tmp_path)
    registry.set_alias("churn", "champion", 2)
    return registry


def verdict(registry: Registry, *, passed: bool, gate: str = "shadow", against: int = 0, reason: str = "") -> Verdict:
    """As `mlserve compare --gate` makes it; `against` is a version, 0 for none."""
    digest = registry.history("churn").versions[against].digest if against else ""
    return Verdict(
        gate=gate,
        passed=passed,
        by="compare",
        rows=1000,
        figures={"agreement": 0.95},
        limits={"least_agreement": 0.9},
        reasons=() if passed else (reason or "agreement is 0.95, at least 0.99 is allowed",),
        against=digest,
        against_name=f"churn:{against}" if against else "",
        evidence={"run": f"sha256:{'ab' * 32}"},
    )


def promoted(registry: Registry, version: int = 3, *, gate: str = "shadow", alias: str = "champion") -> int:
    """What the alias names after it was tried."""
    life.alias(f"churn@{alias}", version, if_passes=gate, registry=str(registry.root))
    return registry.history("churn").aliases[alias]


def test_an_alias_moves_where_the_gate_passed_and_the_history_says_on_what(registry: Registry) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True), why="October", by="ann")
    assert promoted(registry) == 3
    history = registry.history("churn")
    judged, moved = history.entries[-2:]
    assert (judged.action, judged.version, judged.who, judged.why) == ("gate", 3, "ann", "October")
    assert judged.verdict is not None
    assert judged.verdict.figures == {"agreement": 0.95}
    assert (moved.gate, moved.proof) == ("shadow", history.digests[-2])


def test_nothing_moves_where_no_gate_has_judged(registry: Registry) -> None:
    before = registry.history("churn")
    with pytest.raises(GateFailed, match="gate shadow has not judged churn:3") as error:
        promoted(registry)
    assert error.value.exit_code == 4
    assert "--gate shadow --record" in error.value.hint
    assert registry.history("churn") == before


def test_the_latest_verdict_counts_alone(registry: Registry) -> None:
    for passed in (True, False):
        registry.record_verdict("churn", 3, verdict(registry, passed=passed, reason="agreement is 0.2"), by="bob")
    with pytest.raises(GateFailed, match=r"said no to churn:3: agreement is 0\.2") as error:
        promoted(registry)
    assert "bob" in error.value.where
    registry.record_verdict("churn", 3, verdict(registry, passed=True))
    assert promoted(registry) == 3


def test_the_same_verdict_again_is_the_one_that_stands(registry: Registry) -> None:
    assert not registry.record_verdict("churn", 3, verdict(registry, passed=True)).already
    before = registry.history("churn")
    assert registry.record_verdict("churn", 3, verdict(registry, passed=True), why="a retry").already
    assert registry.history("churn") == before
    assert not registry.record_verdict("churn", 3, verdict(registry, passed=False)).already
    assert not registry.record_verdict("churn", 3, verdict(registry, passed=True)).already


def test_a_verdict_holds_for_its_version_and_its_gate_alone(registry: Registry) -> None:
    registry.record_verdict("churn", 1, verdict(registry, passed=True))
    registry.record_verdict("churn", 3, verdict(registry, passed=True, gate="speed"))
    with pytest.raises(GateFailed, match="has not judged churn:3"):
        promoted(registry)
    assert promoted(registry, gate="speed") == 3


def test_better_than_what_was_replaced_since_is_no_proof(registry: Registry) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True, against=2))
    registry.set_alias("churn", "champion", 1)
    with pytest.raises(GateFailed, match="held churn:3 against churn:2, and churn:1 is what it would replace") as error:
        promoted(registry)
    assert error.value.hint == "compare it with churn:1"
    registry.set_alias("churn", "champion", 2)
    assert promoted(registry) == 3


def test_an_alias_beside_the_champion_moves_on_a_comparison_with_the_champion(registry: Registry) -> None:
    registry.set_alias("churn", "canary", 1)
    registry.record_verdict("churn", 3, verdict(registry, passed=True, against=2))
    assert promoted(registry, alias="canary") == 3
    assert promoted(registry) == 3


def test_a_promotion_that_is_tried_again_is_done_already(registry: Registry) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True, against=2))
    assert promoted(registry) == 3
    before = registry.history("churn")
    assert promoted(registry) == 3
    assert registry.history("churn") == before


def test_a_gate_that_the_package_itself_came_through_counts_until_there_is_a_verdict(tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    gates = (GateResult("parity", True, 100, {"max_difference": 0.0}), GateResult("speed", False, 100))
    described = PackageFile(format=1, name="churn", description="quantised", gates=gates)
    made = write_package(tmp_path / "gated", described=described, files={"model.onnx": save(linear(), tmp_path / "m")})
    assert registry.add(made.path).version == 2
    with pytest.raises(GateFailed, match="speed has not judged"):
        promoted(registry, 2, gate="speed")
    assert promoted(registry, 2, gate="parity") == 2
    registry.set_alias("churn", "champion", 1)
    registry.record_verdict("churn", 2, verdict(registry, passed=False, gate="parity"))
    with pytest.raises(GateFailed, match="parity said no"):
        promoted(registry, 2, gate="parity")


def test_a_verdict_needs_its_version_and_a_name(registry: Registry) -> None:
    with pytest.raises(UnknownModel, match="no version 9"):
        registry.record_verdict("churn", 9, verdict(registry, passed=True))
    with pytest.raises(UsageError, match="cannot be a model's gate"):
        registry.record_verdict("churn", 3, verdict(registry, passed=True, gate="a b"))
    with pytest.raises(UnknownModel, match="no version 9"):
        promoted(registry, 9)


def test_show_has_the_latest_of_each_gate(registry: Registry) -> None:
    for gate, passed in (("shadow", False), ("shadow", True), ("speed", False)):
        registry.record_verdict("churn", 3, verdict(registry, passed=passed, gate=gate))
    found = life.show("churn:3", registry=str(registry.root)).verdicts
    assert [(one.verdict.gate, one.verdict.passed) for one in found if one.verdict] == [
        ("shadow", True),
        ("speed", False),
    ]


# Rewritten


def rewrite(folder: Path, sequence: int, **changes: object) -> None:
    path = folder / "history" / entry_name(sequence)
    entry = msgspec.structs.replace(msgspec.json.decode(path.read_bytes(), type=Entry), **changes)
    path.write_bytes(encode_entry(entry))


def turned(folder: Path) -> None:
    """A no that becomes a yes."""
    path = folder / "history" / entry_name(9)
    entry = json.loads(path.read_bytes())
    entry["verdict"]["passed"] = True
    path.write_bytes(encode_entry(msgspec.convert(entry, Entry)))


REWRITTEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a no turned into a yes": (turned, "00000010.json"),
    "a verdict cut out": (lambda folder: (folder / "history" / entry_name(9)).unlink(), "entry 9 is missing"),
    "a verdict without its words": (lambda folder: rewrite(folder, 10, verdict=None), "says gate of version 3"),
    "the last verdict put to another version": (lambda folder: rewrite(folder, 10, version=1), "says gate of version"),
    "the last verdict cut off": (lambda folder: (folder / "history" / entry_name(10)).unlink(), "head.json"),
}


@pytest.mark.parametrize("what", REWRITTEN)
def test_a_rewritten_verdict_is_refused(what: str, registry: Registry) -> None:
    damage, words = REWRITTEN[what]
    folder = registry.root / "churn"
    registry.set_alias("churn", "canary", 1)
    registry.record_verdict("churn", 3, verdict(registry, passed=False))
    registry.record_verdict("churn", 3, verdict(registry, passed=True, gate="speed"))
    assert len(registry.history("churn").entries) == 10
    damage(folder)
    with pytest.raises(InvalidRegistry) as error:
        promoted(registry)
    assert words in f"{error.value.what} {error.value.where}"


FORGED: dict[str, dict[str, object]] = {
    "no verdict at all": {"gate": "other", "proof": "sha256:00"},
    "the proof of another": {"gate": "shadow", "proof": "sha256:00"},
    "no proof where a verdict stands": {"gate": "shadow", "proof": ""},
    "a proof without a gate": {"gate": "", "proof": "sha256:00"},
}


@pytest.mark.parametrize("what", FORGED)
def test_an_alias_that_says_it_was_earned_and_was_not_is_refused_though_the_chain_holds(
    what: str, registry: Registry
) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True))
    assert promoted(registry) == 3
    history = registry.history("churn")
    rewrite(registry.root / "churn", len(history.entries), **FORGED[what])
    with pytest.raises(InvalidRegistry, match="says alias of version 3"):
        registry.history("churn")


def test_an_alias_moved_by_hand_on_a_no_is_refused(registry: Registry) -> None:
    """A whole entry, chained as it should be, by somebody who can write to the folder."""
    registry.record_verdict("churn", 3, verdict(registry, passed=False))
    history = registry.history("churn")
    number = len(history.entries) + 1
    forged = Entry(
        format=1,
        sequence=number,
        previous=history.last_digest,
        when="2026-11-24T00:00:00.000Z",
        who="eve",
        why="",
        action="alias",
        version=3,
        alias="champion",
        digest=history.versions[3].digest,
        gate="shadow",
        proof=history.last_digest,
    )
    (registry.root / "churn" / "history" / entry_name(number)).write_bytes(encode_entry(forged))
    with pytest.raises(InvalidRegistry, match="says alias of version 3, which cannot be"):
        registry.history("churn")


def test_histories_from_before_gates_keep_their_bytes(tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    entry = json.loads((registry.root / "churn" / "history" / entry_name(2)).read_bytes())
    assert set(entry) == {*Entry.__struct_fields__} - {"verdict", "gate", "proof"}


# Killed at each step: the writer stops itself before its n-th call of the system that changes names.

STEP = """
import os, signal, sys
from pathlib import Path
import msgspec
from mlserve_cli.registry import Registry, Verdict
root, said, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
registry = Registry(root)
verdict = msgspec.json.decode(said, type=Verdict)
def watch(event, arguments):
    global left
    if event in ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "ctypes.dlsym", "os.listdir"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
registry.record_verdict("churn", 2, verdict)
registry.set_alias("churn", "champion", 2, if_passes="shadow")
"""


@pytest.mark.slow
@pytest.mark.faults
def test_a_writer_killed_at_any_step_promotes_on_a_verdict_or_not_at_all(tmp_path: Path) -> None:
    killed = 0
    for step in range(200):
        (tmp_path / f"step-{step}").mkdir()
        registry = filled(tmp_path / f"step-{step}", 2)
        registry.set_alias("churn", "champion", 1)
        said = verdict(registry, passed=True, against=1)
        code = started(STEP, registry.root, msgspec.json.encode(said).decode(), step).wait(60)
        after = life.history("churn", registry=str(registry.root))
        judged = (2, "shadow") in after.verdicts
        assert after.aliases["champion"] == 1 or judged
        registry.record_verdict("churn", 2, said)
        assert promoted(registry, 2) == 2
        assert not (registry.root / "churn" / "intent.json").exists()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert killed > 20
    assert code == 0


PROMOTE = """
import os
import sys
from pathlib import Path
from mlserve_cli.errors import GateFailed
from mlserve_cli.registry import Registry
registry, stop = Registry(Path(sys.argv[1])), Path(sys.argv[2])
tried = 0
stop.with_name(f"begun-{os.getpid()}").touch()
while not stop.exists() or tried < 6:
    try:
        registry.set_alias("churn", "champion", 3, if_passes="shadow")
        registry.set_alias("churn", "champion", 2)
    except GateFailed:
        pass
    tried += 1
"""


@pytest.mark.slow
@pytest.mark.faults
def test_promotions_beside_changing_verdicts_follow_the_latest_each(registry: Registry, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    running = [started(PROMOTE, registry.root, stop) for _ in range(2)]
    try:
        while len(list(tmp_path.glob("begun-*"))) < 2:
            assert all(process.poll() is None for process in running)
            time.sleep(0.05)
        for number in range(40):
            registry.record_verdict("churn", 3, verdict(registry, passed=number % 2 == 0))
    finally:
        stop.touch()
    assert [process.wait(60) for process in running] == [0, 0]
    history = life.history("churn", registry=str(registry.root))  # which refuses an alias moved on a no
    assert any(entry.gate for entry in history.entries)


# The file of gates


def test_a_gate_is_limits_on_figures_by_name(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(GATES)
    gate = read_gate(str(tmp_path / "gates.toml"), "shadow")
    good = {"rows": 100.0, "agreement": 0.9, "cost_ratio": 2.0, "shift.score_high": 0.1, "more": 7.0}
    passed = gate.judge(good, by="compare", rows=100)
    assert (passed.passed, passed.reasons, passed.figures) == (True, (), good)
    assert passed.limits["least_agreement"] == 0.9
    for figure, bad in {"rows": 99.0, "agreement": 0.89, "cost_ratio": 2.01, "shift.score_high": float("nan")}.items():
        refused = gate.judge(good | {figure: bad}, by="compare", rows=100)
        assert not refused.passed
        assert figure in refused.reasons[0]


def test_a_figure_that_is_not_there_passes_no_gate(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(GATES)
    refused = read_gate(str(tmp_path / "gates.toml"), "shadow").judge(
        {"rows": 100.0, "agrement": 1.0, "cost_ratio": 1.0, "shift.score_high": 0.0}, by="compare", rows=1
    )
    assert refused.reasons == ("there is no figure agreement (did you mean agrement?)",)


FIGURES = st.sampled_from(["rows", "auc", "psi.a"])
LIMITS = st.dictionaries(FIGURES, st.sampled_from([0.0, 0.5, 1.0]))
GATE = st.builds(Gate, st.just("shadow"), LIMITS, LIMITS)


@given(GATE, GATE, st.dictionaries(FIGURES, st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, float("nan")])))
def test_a_tightened_gate_passes_what_both_would_pass(one: Gate, other: Gate, figures: dict[str, float]) -> None:
    both = one.tightened(least=other.least, most=other.most)
    said = [gate.judge(figures, by="compare", rows=1).passed for gate in (one, other, both)]
    assert said[2] == (said[0] and said[1])


def test_a_name_stands_for_one_question(registry: Registry) -> None:
    """What a comparison refused is not passed by an evaluation that was asked for less."""
    registry.record_verdict("churn", 2, verdict(registry, passed=False))
    easy = msgspec.structs.replace(verdict(registry, passed=True), by="evaluate")
    for version in (2, 3):
        with pytest.raises(UsageError, match="gate shadow of churn is judged by compare, not by evaluate"):
            registry.record_verdict("churn", version, easy)
    registry.set_alias("churn", "champion", 1)
    registry.remove("churn", 2)
    registry.record_verdict("churn", 3, easy)
    assert promoted(registry) == 3


BAD_FILES = {
    "format = 2": "its format is 2",
    "format = 1": "missing required field",
    "format = 1\n[gates.a]": "everything would pass",
    "format = 1\n[gates.a]\nmost = { x = 'y' }": "x must be a number",
    "format = 1\n[gates.a]\nmost = { x.y = true }": "x.y must be a number",
    "format = 1\n[gates.a]\nmost = { x = nan }": "x must be a number",
    "format = 1\n[gates.a]\nmust = { x = 1 }": "unknown field",
    "format = 1\n[gates.'a b']\nmost = { x = 1 }": "cannot be a gate's name",
    "format = ": "not a file of gates",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_file_of_gates_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(text)
    with pytest.raises(InvalidConfig, match=BAD_FILES[text]):
        read_gate(str(tmp_path / "gates.toml"), "a")


def test_a_gate_that_is_not_there_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(GATES)
    with pytest.raises(UsageError, match="no gate shadw") as error:
        read_gate(str(tmp_path / "gates.toml"), "shadw")
    assert error.value.hint == "did you mean shadow?"
    with pytest.raises(InputMissing):
        read_gate(str(tmp_path / "nowhere.toml"), "shadow")


def test_a_registry_that_is_copied_keeps_its_verdicts(registry: Registry, tmp_path: Path) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True, against=2))
    shutil.copytree(registry.root, tmp_path / "copy")
    assert promoted(Registry(tmp_path / "copy")) == 3


def test_a_version_that_went_is_not_promoted_on_what_was_said_of_it(registry: Registry) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True))
    registry.remove("churn", 3)
    with pytest.raises(UnknownModel, match="has no version 3"):
        promoted(registry)


def test_one_package_may_be_judged_again_under_another_name(registry: Registry, tmp_path: Path) -> None:
    registry.record_verdict("churn", 3, verdict(registry, passed=True))
    registry.add(package(tmp_path / "again", what="3"), name="fraud", alias="champion")
    with pytest.raises(GateFailed, match="has not judged fraud:1"):
        life.alias("fraud@canary", 1, if_passes="shadow", registry=str(registry.root))
