"""What every test may use: Hypothesis without surprises, folders in memory, golden files that one flag rewrites."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

UPDATE = "--update-goldens"
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
IN_MEMORY = "/dev/shm"
ENOUGH_BYTES = 4 << 30

# The same examples in every run, or a change that broke nothing would be blamed; `fresh` looks for new ones:
# pytest --hypothesis-profile fresh
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("fresh", deadline=None, suppress_health_check=SLOW)
settings.load_profile("same")

# Most of a small run is fsync, 6 ms each on a disk, and what that gives shows only when the power goes: test_power has
# a disk of its own. Containers may have a small /dev/shm, and whoever wants a disk sets TMPDIR.
if "TMPDIR" not in os.environ and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= ENOUGH_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = IN_MEMORY


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE, action="store_true", help="write the golden files anew, the manifest's schema among them")


@pytest.fixture
def assert_golden(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    """Compares content with a file of the repository to the byte; with --update-goldens writes the file instead."""

    def compare(path: Path, content: bytes) -> None:
        if request.config.getoption(UPDATE):
            path.write_bytes(content)
        assert path.read_bytes() == content, f"{path.name} is not what the code writes: pytest {UPDATE}"

    return compare
