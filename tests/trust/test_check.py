"""What may run and what may not: attacks on a signed registry, each tried."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from mlserve_cli import registry, signing
from mlserve_cli.errors import InvalidConfig, InvalidModel, InvalidRegistry, MlserveError, Untrusted
from tests import models
from tests.trust.signed import Shop, make_package


def refused(shop: Shop, *words: str, model: str = "churn@champion", by: type[MlserveError] = Untrusted) -> None:
    with pytest.raises(by) as error:
        shop.admit(model)
    assert error.value.exit_code in (77, 78)
    for word in words:
        assert word in str(error.value)


def rebuilt(shop: Shop, *packages: Path) -> None:
    """The registry made anew by somebody who can write to it, with a history that holds, and the old signatures."""
    kept = shop.folder / "kept"
    shutil.copytree(shop.churn / "signatures", kept)
    shutil.rmtree(shop.churn)
    for package in packages:
        registry.Registry(shop.root).add(str(package), name="churn", alias="champion", why="a test", by="tests")
    shutil.copytree(kept, shop.churn / "signatures")


# What may run


def test_a_signed_version_runs_and_it_is_said_who_signed_it(shop: Shop) -> None:
    found = shop.admit()
    assert found.signer == "release"
    assert [found.key_id] == list(signing.trust_list(trust_policy=shop.policy).by_id)
    assert found.policy_sha256 == hashlib.sha256(Path(shop.policy).read_bytes()).hexdigest()
    assert shop.admit("churn:1").signed


def test_a_signed_folder_runs_wherever_it_lies(shop: Shop, tmp_path: Path) -> None:
    package = make_package(tmp_path / "elsewhere", version="7")
    shop.sign(str(package))
    assert shop.admit(str(package)).signed
    moved = package.rename(tmp_path / "moved")
    assert shop.admit(str(moved)).signed


def test_a_version_named_by_its_path_is_the_same_version(shop: Shop) -> None:
    assert shop.admit(str(shop.version(2))).signed


def test_one_of_several_signers_suffices_where_it_may_sign_the_name(shop: Shop) -> None:
    shop.new_key("quality", "other*")
    shop.sign("churn:2", key="quality")
    assert shop.admit().signer == "release"


def test_a_signature_by_a_stranger_changes_nothing(shop: Shop) -> None:
    shop.new_key("stranger")
    shop.sign("churn:2", key="stranger")
    assert shop.admit().signer == "release"


def test_signed_again_by_the_same_key_it_is_signed_already(shop: Shop) -> None:
    before = shop.signature(2).read_bytes()
    assert shop.sign("churn@champion").already
    assert shop.signature(2).read_bytes() == before


# Who may not


def test_what_nobody_signed_is_refused_unless_the_policy_lets_it_run(shop: Shop) -> None:
    shop.signature(2).unlink()
    refused(shop, "churn:2 is signed by nobody", "mlserve model sign")
    signing.trust_set(unsigned="allow", trust_policy=shop.policy)
    assert not shop.admit().signed


def test_a_bare_file_is_unsigned(shop: Shop, tmp_path: Path) -> None:
    path = str(models.save(models.linear(), tmp_path / "m.onnx"))
    refused(shop, "signed by nobody", model=path)
    signing.trust_set(unsigned="allow", trust_policy=shop.policy)
    assert not shop.admit(path).signed


def test_a_key_that_is_not_trusted_is_as_good_as_none(shop: Shop) -> None:
    signing.trust_remove("release", trust_policy=shop.policy)
    refused(shop, "by no key that the policy knows")


def test_a_key_signs_only_the_names_that_it_may(shop: Shop) -> None:
    signing.trust_remove("release", trust_policy=shop.policy)
    signing.trust_add(str(shop.folder / "release.pub"), models=["fraud*"], trust_policy=shop.policy)
    refused(shop, "is signed by release, whose key may not sign this name")


def test_a_broken_signature_is_refused_even_where_unsigned_ones_may_run(shop: Shop) -> None:
    signing.trust_set(unsigned="allow", trust_policy=shop.policy)
    shop.signature(2).write_bytes(shop.signature(1).read_bytes())
    refused(shop, "the signature is for churn:1, not for churn:2")


# Attacks on the store


def test_an_older_version_in_place_of_a_newer_is_refused(shop: Shop) -> None:
    shutil.rmtree(shop.version(2))
    shutil.copytree(shop.version(1), shop.version(2))
    refused(shop, "is not the package that was added", by=InvalidRegistry)


def test_an_older_version_under_a_newer_number_with_a_history_to_match_is_refused(shop: Shop) -> None:
    rebuilt(shop, shop.folder / "package-2", shop.folder / "package-1")
    refused(shop, "churn:2")
    shutil.copyfile(shop.signature(1), shop.signature(2))
    refused(shop, "the signature is for churn:1, not for churn:2")


def test_two_versions_that_changed_places_are_refused(shop: Shop) -> None:
    shop.version(1).rename(shop.churn / "versions" / "9")
    shop.version(2).rename(shop.version(1))
    (shop.churn / "versions" / "9").rename(shop.version(2))
    for number in (1, 2):
        refused(shop, "is not the package that was added", model=f"churn:{number}", by=InvalidRegistry)


def test_two_versions_that_changed_places_in_the_history_too_are_refused(shop: Shop) -> None:
    rebuilt(shop, shop.folder / "package-2", shop.folder / "package-1")
    one, other = shop.signature(1), shop.signature(2)
    for number in (1, 2):
        refused(shop, model=f"churn:{number}")
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    for number in (1, 2):
        refused(shop, "the signature is for", model=f"churn:{number}")


def test_a_signature_that_moved_to_another_name_is_refused(shop: Shop) -> None:
    registry.Registry(shop.root).add(str(shop.folder / "package-2"), name="churn-eu", alias="champion", by="tests")
    moved = shop.root / "churn-eu" / "signatures" / shop.signature(2).name.replace("2.", "1.", 1)
    moved.parent.mkdir()
    shutil.copyfile(shop.signature(2), moved)
    refused(shop, "the signature is for churn:2, not for churn-eu:1", model="churn-eu@champion")


def test_a_renamed_name_is_refused(shop: Shop) -> None:
    shop.churn.rename(shop.root / "churn-eu")
    refused(shop, "the signature is for churn:2, not for churn-eu:2", model="churn-eu@champion")


def test_an_alias_put_back_by_hand_is_refused(shop: Shop) -> None:
    alias = shop.churn / "aliases" / "champion.json"
    pointer = msgspec.json.decode(alias.read_bytes())
    alias.write_bytes(msgspec.json.encode({**pointer, "version": 1}))
    refused(shop, "champion.json", by=InvalidRegistry)


def test_a_past_that_was_rewritten_is_refused_though_its_chain_holds(shop: Shop) -> None:
    """Other people, other reasons: the version is the same, and what led to it is not what was signed."""
    rebuilt(shop, shop.folder / "package-1", shop.folder / "package-2")
    refused(shop, "the history up to churn:2 is not the one that was signed")


def test_a_history_cut_back_to_an_older_version_needs_a_minimum_to_be_noticed(shop: Shop) -> None:
    """The older version was signed as what it is, so only what the machine itself knows can speak against it."""
    shelves, fraud = registry.Registry(shop.root), shop.root / "churn-fraud"
    shelves.add(str(shop.folder / "package-1"), name=fraud.name, alias="champion", by="tests")
    shop.sign("churn-fraud:1")
    shutil.copytree(fraud, shop.folder / "as it was then")
    shelves.add(str(shop.folder / "package-2"), name=fraud.name, alias="champion", by="tests")
    shop.sign("churn-fraud:2")

    shutil.rmtree(fraud)
    shutil.copytree(shop.folder / "as it was then", fraud)

    assert shop.admit("churn-fraud").signed
    signing.trust_set(minimum=(fraud.name, 2), trust_policy=shop.policy)
    refused(shop, "churn-fraud:1 is older than version 2", model="churn-fraud")


def test_a_minimum_holds_for_folders_of_that_name_too(shop: Shop, tmp_path: Path) -> None:
    package = make_package(tmp_path / "elsewhere")
    shop.sign(str(package))
    signing.trust_set(minimum=("churn", 2), trust_policy=shop.policy)
    refused(shop, "has no such number", model=str(package))


@pytest.mark.parametrize("name", ["more.txt", "folder/more.txt", ".hidden"])
def test_a_file_that_nobody_signed_is_refused(shop: Shop, name: str) -> None:
    path = shop.version(2) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("more")
    refused(shop, f"{name} is in the package, and nobody signed it")


def test_a_link_is_refused_though_it_leads_to_the_same_bytes(shop: Shop) -> None:
    model = shop.version(2) / "model.onnx"
    aside = model.rename(shop.folder / "aside.onnx")
    model.symlink_to(aside)
    refused(shop, "model.onnx is a link")


def test_a_comment_in_the_package_file_is_noticed_though_its_digest_does_not_see_it(shop: Shop) -> None:
    file = shop.version(2) / "package.toml"
    file.write_bytes(b"# harmless\n" + file.read_bytes())
    refused(shop, "package.toml is not the file that was signed")


# Every byte


EVERY_FILE: tuple[tuple[str, Callable[[Shop], Path]], ...] = (
    ("model", lambda shop: shop.version(2) / "model.onnx"),
    ("golden rows", lambda shop: shop.version(2) / "golden.parquet"),
    ("package file", lambda shop: shop.version(2) / "package.toml"),
    ("signature", lambda shop: shop.signature(2)),
    ("alias", lambda shop: shop.churn / "aliases" / "champion.json"),
    ("head", lambda shop: shop.churn / "head.json"),
    ("first entry", lambda shop: shop.churn / "history" / "00000001.json"),
    ("last entry", lambda shop: shop.churn / "history" / "00000003.json"),
)
LARGE = ("golden rows", "signature")  # seconds each: it is tried once for each byte
LANES = 8


def test_the_flips_reach_every_file_of_the_version(shop: Shop) -> None:
    tried = {path(shop) for _, path in EVERY_FILE}
    whole = {path for path in shop.version(2).rglob("*") if path.is_file()}
    assert whole <= tried
    assert {path.name for path in shop.churn.iterdir()} == {
        "lock", "history", "versions", "aliases", "head.json", "signatures",
    }  # fmt: skip
    assert (shop.churn / "lock").read_bytes() == b""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name, _ in EVERY_FILE]
)
def test_no_byte_can_be_changed(shop: Shop, tmp_path: Path, name: str) -> None:
    path_in = dict(EVERY_FILE)[name]
    size = path_in(shop).stat().st_size
    shops = [shop.copy(tmp_path / f"lane-{lane}") for lane in range(LANES)]

    def run_lane(lane: int) -> list[int]:
        return [place for place in range(lane, size, LANES) if runs_with_a_flip(shops[lane], path_in, place)]

    with ThreadPoolExecutor(LANES) as lanes:
        assert [place for unnoticed in lanes.map(run_lane, range(LANES)) for place in unnoticed] == []


def runs_with_a_flip(shop: Shop, path_in: Callable[[Shop], Path], place: int) -> bool:
    """Whether the version still runs with one bit of the file turned; then the file is as it was again."""
    path = path_in(shop)
    content = path.read_bytes()
    changed = bytearray(content)
    changed[place] ^= 1 << (place % 8)
    path.write_bytes(changed)
    try:
        shop.admit()
    except (Untrusted, InvalidModel, InvalidConfig):
        return False
    finally:
        path.write_bytes(content)
    return True


def test_flips_would_be_seen_if_they_did_nothing(shop: Shop) -> None:
    (shop.churn / "lock").write_bytes(b"x")
    assert runs_with_a_flip(shop, lambda shop: shop.churn / "lock", 0)
