"""The registry: versions never change, aliases do, and the history says who did it; what does not agree is refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli import model as life
from mlserve_cli.errors import Forbidden, InputMissing, InvalidConfig, InvalidRegistry, UnknownModel, UsageError
from mlserve_cli.registry import Lineage, PackageFile, Registry, Use, find, note_use, parse_reference
from mlserve_cli.registry.history import Entry, encode_entry, entry_name
from tests.models import linear, mlp, save
from tests.registry.shelves import filled, package


def test_a_version_is_the_package_that_was_added(tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    found = find("churn:1", registry=registry.root)
    assert (found.name, found.version, found.alias) == ("churn", "1", "")
    assert found.package.digest == life.show(str(tmp_path / "made-1")).found.package.digest


def test_a_name_alone_is_its_champion_and_never_the_latest(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.set_alias("churn", "champion", 2)
    assert find("churn", registry=registry.root).version == "2"
    assert find("churn@champion", registry=registry.root).alias == "champion"
    other = Registry(tmp_path / "other")
    other.add(str(tmp_path / "made-1"))
    with pytest.raises(UnknownModel, match="no alias champion") as error:
        find("churn", registry=other.root)
    assert "model alias churn@champion" in error.value.hint


def test_the_same_content_again_is_the_version_that_stands(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    again = registry.add(str(tmp_path / "made-2"))
    assert (again.version, again.already) == (2, True)
    assert len(registry.history("churn").entries) == 6


def test_a_bare_model_becomes_a_package_of_its_own(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    path = save(linear(), tmp_path / "gbm.onnx")
    assert registry.add(str(path)).name == "gbm"
    assert registry.add(str(path), name="gbm").already
    assert find("gbm:1", registry=registry.root).package.described is not None


def test_a_package_may_be_added_under_another_name(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(package(tmp_path / "made"), name="fraud")
    found = find("fraud:1", registry=registry.root)
    assert (found.name, found.package.name, found.package.version) == ("fraud", "fraud", "1")


def test_rollback_goes_back_step_by_step_and_no_further_than_the_first(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    assert [registry.rollback("churn", "champion").version for _ in range(2)] == [2, 1]
    with pytest.raises(UsageError, match="named nothing before 1"):
        registry.rollback("churn", "champion")


def test_after_a_rollback_the_way_back_leads_past_what_was_left(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.rollback("churn", "champion")
    registry.set_alias("churn", "champion", 3)
    assert registry.rollback("churn", "champion").version == 2
    assert registry.rollback("churn", "champion").version == 1


def test_a_rollback_passes_over_what_was_removed(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.remove("churn", 2)
    assert registry.rollback("churn", "champion").version == 1


def test_a_retried_rollback_goes_back_once(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    assert registry.rollback("churn", "champion", expected=3).version == 2
    again = registry.rollback("churn", "champion", expected=3)
    assert (again.version, again.already) == (2, True)
    registry.set_alias("churn", "champion", 1)
    with pytest.raises(UsageError, match="names 1, not 3"):
        registry.rollback("churn", "champion", expected=3)


def test_an_alias_that_names_the_version_already_is_left_alone(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    before = registry.history("churn")
    assert registry.set_alias("churn", "champion", 3).already
    assert registry.history("churn") == before


def test_removed_numbers_are_never_used_again_and_the_history_keeps_them(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.rollback("churn", "champion")
    registry.remove("churn", 3, why="wrong month", by="bob")
    assert not (registry.root / "churn" / "versions" / "3").exists()
    with pytest.raises(UnknownModel, match="bob removed it"):
        find("churn:3", registry=registry.root)
    assert registry.add(str(tmp_path / "made-3")).version == 4
    assert [entry.why for entry in registry.history("churn").entries if entry.action == "remove"] == ["wrong month"]


def test_what_an_alias_or_a_recent_run_names_is_not_removed(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    with pytest.raises(UsageError, match="churn@champion names churn:3"):
        registry.remove("churn", 3)
    note_use(registry.root / "churn", "2", Use("0" * 64, "2026-01-01T00:00:00.000Z", "ann", "champion", "/runs/1"))
    registry.remove("churn", 2, unused_days=1)
    note_use(registry.root / "churn", "1", Use("0" * 64, "no time at all", "ann", "champion", "/runs/2"))
    with pytest.raises(UsageError, match="a run used churn:1") as error:
        registry.remove("churn", 1)
    assert error.value.where == "/runs/2"
    registry.remove("churn", 1, unused_days=0)


def test_the_history_says_who_did_what_when_and_why(tmp_path: Path) -> None:
    entries = filled(tmp_path, 1).history("churn").entries
    assert [(entry.action, entry.version, entry.alias, entry.who, entry.why) for entry in entries] == [
        ("add", 1, "", "ann", "number 1"),
        ("alias", 1, "champion", "ann", "number 1"),
    ]
    assert entries[0].previous == ""
    assert entries[1].previous.startswith("sha256:")


def test_unknown_names_and_versions_are_66_with_what_was_meant(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    with pytest.raises(UnknownModel) as error:
        find("chrun", registry=registry.root)
    assert "churn" in error.value.hint
    with pytest.raises(UnknownModel) as error:
        find("churn:7", registry=registry.root)
    assert "1, 2, 3" in error.value.hint
    with pytest.raises(UnknownModel) as error:
        find("churn@prod", registry=registry.root)
    assert "champion (version 3)" in error.value.hint
    with pytest.raises(UnknownModel, match="no model"):
        find("churn", registry=tmp_path / "nowhere")


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = filled(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find("made-1", registry=registry.root).registry == ""
    with pytest.raises(InputMissing):
        find("./churn", registry=registry.root)
    with pytest.raises(InputMissing):
        find("churn.onnx", registry=registry.root)


@pytest.mark.parametrize("text", ["", "a b", "churn@", "churn:0", "churn:x", "churn@a:1", "../churn", "é", "x" * 101])
def test_what_is_no_name_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)
    registry = filled(tmp_path, 1)
    with pytest.raises(UsageError, match="cannot be a model's alias"):
        registry.set_alias("churn", f"{text}/", 1)


def test_one_damaged_name_does_not_hide_the_others(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.add(str(tmp_path / "made-1"), name="fraud")
    (registry.root / "churn" / "history" / entry_name(2)).unlink()
    found = {one.name: one for one in life.list(registry=str(registry.root))}
    assert found["fraud"].versions == (1,)
    assert isinstance(found["churn"].wrong, InvalidRegistry)


def test_show_knows_the_parents_as_far_as_they_stand(tmp_path: Path) -> None:
    registry = filled(tmp_path, 2)
    model = save(linear(), tmp_path / "child.onnx")
    for number in (2, 3):  # 3 is made of 2, and 4 of 3
        parent = Lineage("prune", f"churn:{number}", registry.history("churn").versions[number].digest)
        described = PackageFile(format=1, name="churn", description=f"of {number}", lineage=parent)
        assert registry.add_files(described, {"model.onnx": model}).version == number + 1
    found = life.show("churn:4", registry=str(registry.root)).parents
    assert [(one.spelled, one.operation, one.stands) for one in found] == [
        ("churn:3", "prune", True),
        ("churn:2", "prune", True),
    ]
    registry.remove("churn", 3)
    found = life.show("churn:4", registry=str(registry.root)).parents
    assert [(one.spelled, one.stands) for one in found] == [("churn:3", False)]


# Damage and rewriting


def rewrite(folder: Path, sequence: int, **changes: object) -> None:
    """An entry with other content, in the form that it should have."""
    path = folder / "history" / entry_name(sequence)
    path.write_bytes(encode_entry(Entry(**{**json.loads(path.read_bytes()), **changes})))


def swap(folder: Path) -> None:
    one, other, aside = folder / "versions" / "1", folder / "versions" / "2", folder / "aside"
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def older_put_back(folder: Path) -> None:
    shutil.rmtree(folder / "versions" / "3")
    shutil.copytree(folder / "versions" / "1", folder / "versions" / "3")


def alias_put_back(folder: Path) -> None:
    pointer = folder / "aliases" / "champion.json"
    text = pointer.read_text()
    registry = Registry(folder.parent)
    registry.set_alias("churn", "champion", 1)
    assert pointer.read_text() != text
    pointer.write_text(text)


def cut(folder: Path) -> None:
    (folder / "history" / entry_name(6)).unlink()


def cut_with_its_pointers(folder: Path) -> None:
    """The last entries gone, head and alias as they were then: the version's folder shows it."""
    for sequence in (5, 6):
        (folder / "history" / entry_name(sequence)).unlink()
    for path in (folder / "head.json", folder / "aliases" / "champion.json"):
        path.write_bytes((folder / f"old-{path.name}").read_bytes())


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an entry's why": (lambda folder: rewrite(folder, 1, why="never"), "00000002.json"),
    "an entry's who": (lambda folder: rewrite(folder, 3, who="eve"), "00000004.json"),
    "the last entry": (lambda folder: rewrite(folder, 6, why="never"), "aliases/champion.json"),
    "an entry gone": (lambda folder: (folder / "history" / entry_name(2)).unlink(), "entry 2 is missing"),
    "the last entry gone": (cut, "not what the history says"),
    "the last entries gone, and all that names them": (cut_with_its_pointers, "versions/3 is not in the history"),
    "all entries gone": (lambda folder: shutil.rmtree(folder / "history"), "not what the history says"),
    "an entry of something else": (lambda folder: (folder / "history" / "x").write_text("{}"), "no entry"),
    "an entry twice": (
        lambda folder: shutil.copy(folder / "history" / entry_name(6), folder / "history" / entry_name(7)),
        "entry 7 is missing",
    ),
    "an alias put back": (alias_put_back, "aliases/champion.json"),
    "an alias by hand": (
        lambda folder: (folder / "aliases" / "prod.json").write_text("{}"),
        "aliases/prod.json",
    ),
    "an alias gone": (lambda folder: (folder / "aliases" / "champion.json").unlink(), "aliases/champion.json"),
    "the head gone": (lambda folder: (folder / "head.json").unlink(), "head.json"),
    "two versions swapped": (swap, "is not the package that was added"),
    "an older version in a newer one's place": (older_put_back, "is not the package that was added"),
    "a version gone": (lambda folder: shutil.rmtree(folder / "versions" / "2"), "version 2 is in the history"),
    "a version by hand": (
        lambda folder: shutil.copytree(folder / "versions" / "1", folder / "versions" / "4"),
        "versions/4 is not in the history",
    ),
    "a byte of a model": (lambda folder: flip(folder / "versions" / "2" / "model.onnx"), "churn:2 is damaged"),
    "an intent that is none": (lambda folder: (folder / "intent.json").write_text("x"), "intent.json"),
}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("what", DAMAGE)
def test_what_was_damaged_or_rewritten_is_refused_with_what_and_where(what: str, tmp_path: Path) -> None:
    damage, words = DAMAGE[what]
    registry = filled(tmp_path, 2)
    folder = registry.root / "churn"
    for path in (folder / "head.json", folder / "aliases" / "champion.json"):
        shutil.copy(path, folder / f"old-{path.name}")
    registry.add(package(tmp_path / "made-3", what="3"), alias="champion")
    damage(folder)
    with pytest.raises(InvalidRegistry) as error:
        life.history("churn", registry=str(registry.root))
    assert error.value.exit_code == 78
    assert words in f"{error.value.what} {error.value.where}"
    assert str(folder) in error.value.where


@pytest.mark.parametrize("what", ["the last entry gone", "an alias put back", "a version by hand"])
def test_nothing_is_written_to_a_registry_that_does_not_agree(what: str, tmp_path: Path) -> None:
    registry = filled(tmp_path)
    DAMAGE[what][0](registry.root / "churn")
    with pytest.raises(InvalidRegistry):
        registry.add(package(tmp_path / "new", what="new"))


def test_an_entry_that_cannot_be_is_refused_though_the_chain_holds(tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    folder = registry.root / "churn"
    rewrite(folder, 2, version=9)
    with pytest.raises(InvalidRegistry, match="cannot be at that point"):
        registry.history("churn")


def test_a_newer_registry_is_refused_as_newer(tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    path = registry.root / "churn" / "history" / entry_name(2)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 2, "more": 1}))
    with pytest.raises(InvalidConfig, match="registry format 2"):
        registry.history("churn")


# What a killed writer leaves

LEFT: dict[str, Callable[[Path], object]] = {
    "before the entry": lambda folder: (
        (folder / "intent.json").write_bytes(b'{"format": 1, "sequence": 5, "version": 3}'),
        shutil.copytree(folder / "versions" / "1", folder / "versions" / "3"),
    ),
    "drafts": lambda folder: (
        shutil.copytree(folder / "versions" / "1", folder / "versions" / ".3.77-00.draft"),
        (folder / "history" / ".00000005.json.77-00.draft").write_text("{"),
    ),
    "after the entry": lambda folder: (
        (folder / "intent.json").write_bytes(b'{"format": 1, "sequence": 4, "version": 0}'),
        shutil.copy(folder / "old-champion.json", folder / "aliases" / "champion.json"),
        shutil.copy(folder / "old-head.json", folder / "head.json"),
    ),
    "after the alias": lambda folder: (
        (folder / "intent.json").write_bytes(b'{"format": 1, "sequence": 4, "version": 0}'),
        shutil.copy(folder / "old-head.json", folder / "head.json"),
    ),
}


@pytest.mark.parametrize("when", LEFT)
def test_what_a_killed_writer_left_is_completed_or_cleared_by_the_next(when: str, tmp_path: Path) -> None:
    registry = filled(tmp_path, 1)
    folder = registry.root / "churn"
    second = package(tmp_path / "made-2", what="2")
    registry.add(second)
    for path in (folder / "head.json", folder / "aliases" / "champion.json"):
        shutil.copy(path, folder / f"old-{path.name}")
    registry.set_alias("churn", "champion", 2)
    LEFT[when](folder)
    assert registry.history("churn").aliases == {"champion": 2}
    assert registry.add(package(tmp_path / "made-3", what="3")).version == 3
    assert registry.history("churn").aliases == {"champion": 2}
    assert not list(folder.rglob("*.draft"))
    assert not (folder / "intent.json").exists()


# Permissions


def test_a_registry_of_another_user_is_read_and_not_written(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    made = package(tmp_path / "new", what="new")
    pid = os.fork()
    if pid == 0:  # a process of its own, that is nobody
        os._exit(_as_nobody(tmp_path, registry, made))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _as_nobody(tmp_path: Path, registry: Registry, made: str) -> int:
    try:
        for folder in (tmp_path, *tmp_path.parents[:3]):
            os.chmod(folder, 0o755)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setuid(65_534)
        else:
            for inner, _, _ in os.walk(registry.root):
                os.chmod(inner, 0o555)
        assert find("churn", registry=registry.root).version == "3"
        note_use(registry.root / "churn", "3", Use("0" * 64, "2026-01-01T00:00:00.000Z", "x", "", "/runs/1"))
        with pytest.raises(Forbidden) as error:
            registry.add(made)
        return 0 if error.value.exit_code == 77 else 1
    except BaseException:  # noqa: BLE001  whatever it is, pytest must not go on twice
        import traceback

        traceback.print_exc()
        return 1


def test_the_umask_decides_who_may_read_a_registry(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        registry = filled(tmp_path, 1)
        for path in (registry.root / "churn").rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o777 == (0o750 if path.is_dir() else 0o640), path
    finally:
        os.umask(before)


# Laws

STEPS = st.lists(st.tuples(st.sampled_from(["add", "alias", "rollback", "remove"]), st.integers(1, 5)), max_size=12)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_a_history_tells_the_same_state_however_it_came_about(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A model of the registry in a few lines: numbers go up, aliases keep a trail."""
    root = tmp_path_factory.mktemp("laws")
    made = [package(root / f"made-{number}", what=str(number)) for number in range(1, 6)]
    registry, standing, trail, highest = Registry(root / "registry"), dict[int, int](), list[int](), 0
    for step, number in steps:
        try:
            if step == "add":
                version = registry.add(made[number - 1]).version
                if number not in standing.values():
                    highest += 1
                    standing[highest] = number
                assert standing[version] == number
            elif step == "alias":
                registry.set_alias("churn", "champion", number)
                assert number in standing
                trail += [number] * (trail[-1:] != [number])
            elif step == "rollback":
                left, version = trail[-1:], registry.rollback("churn", "champion").version
                while trail[-1:] == left or trail[-1] not in standing:
                    trail.pop()
                assert trail[-1] == version
            else:
                registry.remove("churn", number)
                assert trail[-1:] != [number]
                del standing[number]
        except (UnknownModel, UsageError):
            pass
        if highest:
            found = registry.history("churn")
            assert set(found.versions) == set(standing)
            assert found.aliases == ({"champion": trail[-1]} if trail else {})


def test_two_names_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.add(str(save(mlp(3), tmp_path / "fraud.onnx")), alias="champion")
    assert registry.names() == ("churn", "fraud")
    assert find("fraud", registry=registry.root).version == "1"
    assert find("churn", registry=registry.root).version == "3"
