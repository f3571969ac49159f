"""Work to disturb, and what it comes to when nobody does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.running import Work, assert_whole, contents, make_work, run


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a run of the same work that nothing disturbed."""
    work = make_work(tmp_path_factory.mktemp("undisturbed"))
    code, _, error = run(work.score(workers=1))
    assert code == 0, error
    assert_whole(work)
    found = contents(work)
    shutil.rmtree(work.folder)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a fault."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.faults)
