"""The shop that these tests break into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import desk
from tests.trust.signed import Shop, open_shop

__all__ = ["desk", "no_policy_of_mine", "shop"]


@pytest.fixture(autouse=True)
def no_policy_of_mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("MLSERVE_TRUST_POLICY", raising=False)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path / "shop")
