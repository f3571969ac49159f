"""Edits of a policy: exactly what was meant, and all that a person wrote stays."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli import signing, trust
from mlserve_cli.errors import InvalidConfig, UsageError
from tests.trust.signed import Shop

BY_HAND = """# the policy of the risk team
format = 1   # of this file

[minimum_versions]
"fraud.eu" = 3  # 1 and 2 knew the labels
churn = 1

# who may
"""


@pytest.fixture
def policy(shop: Shop) -> Path:
    """One that was written by hand, with the release key behind it."""
    path = Path(shop.policy)
    text = path.read_text()
    path.write_text(BY_HAND + text[text.index("[[keys]]") :])
    return path


def test_a_key_that_comes_and_goes_leaves_the_file_as_it_was(shop: Shop, policy: Path) -> None:
    before = policy.read_text()
    shop.new_key("quality", "fraud*", "churn")
    assert policy.read_text().startswith(before)
    signing.trust_remove("quality", trust_policy=str(policy))
    assert policy.read_text().rstrip() == before.rstrip()


def test_a_key_goes_by_its_name_or_by_the_beginning_of_its_id(shop: Shop, policy: Path) -> None:
    key_id = shop.new_key("quality", "fraud*")
    left = signing.trust_remove(key_id[:8], trust_policy=str(policy))
    assert [key.name for key in left.file.keys] == ["release"]
    assert signing.trust_remove("release", trust_policy=str(policy)).file.keys == ()
    with pytest.raises(UsageError, match="has no key release"):
        signing.trust_remove("release", trust_policy=str(policy))


def test_two_keys_of_one_name_are_told_apart_by_their_ids(shop: Shop, policy: Path) -> None:
    first = shop.new_key("quality")
    second = shop.new_key("quality-2")
    for key in ("quality", "quality-2"):
        signing.trust_add(str(shop.folder / f"{key}.pub"), models=["*"], name="quality", trust_policy=str(policy))
    with pytest.raises(UsageError, match="2 keys are called quality"):
        signing.trust_remove("quality", trust_policy=str(policy))
    left = signing.trust_remove(first, trust_policy=str(policy))
    assert second in left.by_id
    assert first not in left.by_id


@pytest.mark.parametrize("unsigned", ["refuse", "allow"])
@pytest.mark.parametrize("minimum", [("churn", 7), ("fraud.eu", 7), ("new", 7)])
def test_what_is_set_is_set_and_comments_stay(
    policy: Path, unsigned: Literal["refuse", "allow"], minimum: tuple[str, int]
) -> None:
    found = signing.trust_set(unsigned=unsigned, minimum=minimum, trust_policy=str(policy))
    assert found.file.unsigned == unsigned
    assert found.file.minimum_versions == {"fraud.eu": 3, "churn": 1} | dict([minimum])
    assert "# the policy of the risk team" in policy.read_text()
    assert "# who may" in policy.read_text()
    assert trust.read_policy(str(policy)) == found


def test_what_cannot_be_edited_line_by_line_is_left_alone(shop: Shop, policy: Path) -> None:
    text = policy.read_text().replace('[minimum_versions]\n"fraud.eu" = 3  # 1 and 2 knew the labels\nchurn = 1\n', "")
    policy.write_text(text.replace("format = 1", "minimum_versions.churn = 1\nformat = 1", 1))
    before = policy.read_text()
    with pytest.raises(InvalidConfig):
        signing.trust_set(minimum=("churn", 7), trust_policy=str(policy))
    assert policy.read_text() == before


def test_a_key_needs_names_and_comes_once(shop: Shop, policy: Path) -> None:
    public = str(shop.folder / "release.pub")
    with pytest.raises(UsageError, match="no model is named"):
        signing.trust_add(public, models=[], trust_policy=str(policy))
    with pytest.raises(InvalidConfig, match="already"):
        signing.trust_add(public, models=["*"], trust_policy=str(policy))
    with pytest.raises(UsageError, match="nothing is to be changed"):
        signing.trust_set(trust_policy=str(policy))


def test_a_policy_that_is_a_link_stays_one(shop: Shop, policy: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(policy)
    signing.trust_set(unsigned="allow", trust_policy=str(link))
    assert link.is_symlink()
    found = trust.read_policy(str(policy))
    assert found is not None
    assert found.file.unsigned == "allow"


TEXT = st.text(min_size=1, max_size=12)


@given(
    name=TEXT,
    models=st.lists(TEXT, min_size=1, max_size=3),
    least=st.dictionaries(TEXT, st.integers(0, 99), max_size=3),
)
def test_names_of_any_letters_come_through(
    tmp_path_factory: pytest.TempPathFactory, name: str, models: list[str], least: dict[str, int]
) -> None:
    folder = tmp_path_factory.mktemp("policy")
    pair = signing.keygen(str(folder / "any"))
    policy = str(folder / "trust.toml")
    for model, version in least.items():
        signing.trust_set(minimum=(model, version), trust_policy=policy)
    found = signing.trust_add(str(pair.public), models=models, name=name, trust_policy=policy)
    assert found.file.minimum_versions == least
    assert [(key.name, key.models) for key in found.file.keys] == [(name, tuple(models))]
    assert signing.trust_remove(pair.key_id, trust_policy=policy).file.keys == ()
