"""The policy file: read whole or refused, and found where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlserve_cli import signing, trust
from mlserve_cli.errors import Forbidden, InvalidConfig
from tests.trust.signed import Shop

BROKEN: dict[str, tuple[str, str, str]] = {
    "no TOML": ("format = 1", "format 1", "not a TOML file"),
    "newer format": ("format = 1", "format = 2", "policy format 2"),
    "no format": ("format = 1", "", "policy format None"),
    "unknown key": ("format = 1", "format = 1\nsigned = true", "signed"),
    "unknown key of a key": ('name = "release"', 'name = "release"\nmodel = "x"', "model"),
    "another word": ('unsigned = "refuse"', 'unsigned = "warn"', "warn"),
    "no name for a key": ('name = "release"', "", "name"),
    "no public key": ("BEGIN PUBLIC KEY", "BEGIN KEY", "no public key"),
    "a damaged key": ("MFkw", "MFkx", "no public key"),
    "a text for a version": ("format = 1", 'format = 1\nminimum_versions = { churn = "2" }', "minimum_versions"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_policy_with_anything_wrong_in_it_is_refused_whole(shop: Shop, name: str) -> None:
    old, new, words = BROKEN[name]
    text = Path(shop.policy).read_text()
    assert old in text
    Path(shop.policy).write_text(text.replace(old, new, 1))
    with pytest.raises(InvalidConfig, match=words):
        trust.read_policy(shop.policy)


def test_a_private_key_in_a_policy_is_refused_by_that_name(shop: Shop) -> None:
    text, private = Path(shop.policy).read_text(), Path(shop.key).read_text()
    start, end = text.index("-----BEGIN"), text.rindex('"""')
    Path(shop.policy).write_text(text[:start] + private + text[end:])
    with pytest.raises(InvalidConfig, match="private key") as error:
        trust.read_policy(shop.policy)
    assert private.splitlines()[1] not in str(error.value)


def test_a_key_that_stands_twice_is_refused(shop: Shop) -> None:
    text = Path(shop.policy).read_text()
    Path(shop.policy).write_text(text + text[text.index("[[keys]]") :])
    with pytest.raises(InvalidConfig, match="stands twice"):
        trust.read_policy(shop.policy)


def test_a_policy_that_anyone_may_change_is_no_policy(shop: Shop) -> None:
    Path(shop.policy).chmod(0o666)
    with pytest.raises(Forbidden, match="anyone on this machine may change"):
        trust.read_policy(shop.policy)


def test_without_a_policy_nothing_is_asked() -> None:
    assert trust.read_policy() is None


def test_a_policy_that_is_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidConfig, match="no such trust policy"):
        trust.read_policy(str(tmp_path / "none.toml"))
    monkeypatch.setenv("MLSERVE_TRUST_POLICY", str(tmp_path / "none.toml"))
    with pytest.raises(InvalidConfig, match="no such trust policy"):
        trust.read_policy()


def test_the_users_own_policy_is_found_and_a_named_one_goes_before_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.trust_add(str(shop.folder / "release.pub"), models=["mine"])
    own = trust.read_policy()
    assert own is not None
    assert own.path == trust.default_policy_path()
    monkeypatch.setenv("MLSERVE_TRUST_POLICY", shop.policy)
    named = trust.read_policy()
    assert named is not None
    assert named.path == shop.policy


def test_a_policy_that_cannot_be_read_stops_everything_rather_than_nothing(shop: Shop, tmp_path: Path) -> None:
    own = Path(trust.default_policy_path())
    own.parent.mkdir(parents=True)
    own.symlink_to(tmp_path / "gone")
    with pytest.raises(InvalidConfig, match="no such trust policy"):
        trust.read_policy()
