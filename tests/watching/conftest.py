"""Inboxes in memory: most of a small run is fsync, and what that gives is not tested here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scoring.runs import IN_MEMORY
from tests.watching.inboxes import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        yield Inbox.made(Path(name).resolve())
