"""Many writers at once, in processes of their own, some of them killed: no version lost, doubled or half there."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from mlserve_cli import model as life
from mlserve_cli.registry import Registry, find
from tests.registry.shelves import filled, package, started

WRITERS, CALLS = 8, 26
# Each writer adds packages of its own and moves the alias, and says after each what it was told.
WRITE = """
import sys
from pathlib import Path
from mlserve_cli.registry import Registry
root, made, told = map(Path, sys.argv[1:4])
registry = Registry(root)
with open(told, "a", buffering=1) as lines:
    for package in sorted(made.iterdir()):
        change = registry.add(str(package), name="churn", by=told.name)
        lines.write(f"{package.name} {change.version} {change.digest}\\n")
        registry.set_alias("churn", "champion", change.version, by=told.name)
        lines.write(f"champion {change.version}\\n")
"""
READ = """
import sys
from pathlib import Path
from mlserve_cli.registry import find
root, stop = Path(sys.argv[1]), Path(sys.argv[2])
seen = 0
while not stop.exists():
    found = find("churn", registry=root)
    assert found.alias == "champion" and found.version == found.package.version
    seen += 1
assert seen > 20, seen
"""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("kills", [0, 6])
def test_two_hundred_concurrent_changes_lose_double_and_halve_nothing(tmp_path: Path, kills: int) -> None:
    registry = filled(tmp_path, 1)
    stop = tmp_path / "stop"
    reader = started(READ, registry.root, stop)
    writers = [(_packages(tmp_path, number), tmp_path / f"writer-{number}") for number in range(WRITERS)]
    running = [started(WRITE, registry.root, made, told) for made, told in writers]
    dice = random.Random(kills)
    for victim in dice.sample(range(WRITERS), kills):
        time.sleep(dice.uniform(0.05, 0.25))
        running[victim].kill()
    ended = [process.wait(120) for process in running]
    assert set(ended) <= {0, -signal.SIGKILL}
    assert ended.count(0) >= WRITERS - kills
    for (made, told), code in zip(writers, ended, strict=True):
        if code != 0:  # whoever starts the task again gets what stands, and the rest
            assert started(WRITE, registry.root, made, told).wait(120) == 0
    stop.touch()
    assert reader.wait(60) == 0
    _holds(registry, writers)


def _packages(tmp_path: Path, writer: int) -> Path:
    folder = tmp_path / f"packages-{writer}"
    for number in range(CALLS // 2):
        (folder / f"{number:02d}").parent.mkdir(exist_ok=True)
        package(folder / f"{number:02d}", what=f"{writer} {number}")
    for left in folder.glob("*.onnx"):
        left.unlink()
    return folder


def _holds(registry: Registry, writers: list[tuple[Path, Path]]) -> None:
    """Every package is one version, as each writer was told; the history holds, and nothing half is left."""
    history = life.history("churn", registry=str(registry.root))
    digests = [entry.digest for entry in history.versions.values()]
    assert len(digests) == len(set(digests)) == 1 + WRITERS * (CALLS // 2)
    assert list(history.versions) == list(range(1, len(digests) + 1))
    assert len([entry for entry in history.entries if entry.action == "add"]) == len(digests)
    for made, told in writers:
        lines = [line.split() for line in told.read_text().splitlines()]
        adds = {(line[0], int(line[1]), line[2]) for line in lines if line[0] != "champion"}
        assert {name for name, _, _ in adds} == {path.name for path in made.iterdir()}
        assert all(history.versions[version].digest == digest for _, version, digest in adds)
        mine = {entry.version for entry in history.entries if entry.action == "alias" and entry.who == told.name}
        assert {version for _, version, _ in adds} <= mine | {history.aliases["champion"]}
    assert find("churn", registry=registry.root).version == str(history.entries[-1].version)
    assert not list(registry.root.rglob("*.draft"))
    assert not (registry.root / "churn" / "intent.json").exists()


# Killed at each step: the writer stops itself before its n-th call of the system that changes names.

STEP = """
import os, signal, sys
from pathlib import Path
from mlserve_cli.registry import Registry
root, package, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
registry = Registry(root)
def watch(event, arguments):
    global left
    if event in ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "ctypes.dlsym", "os.listdir"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
registry.add(package, alias="champion")
"""


@pytest.mark.slow
@pytest.mark.faults
def test_a_writer_killed_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    made = package(tmp_path / "new", what="new")
    killed = 0
    for step in range(200):
        root = tmp_path / f"step-{step}"
        root.mkdir()
        registry = filled(root, 2)
        code = started(STEP, registry.root, made, step).wait(60)
        after = life.history("churn", registry=str(registry.root))
        assert tuple(after.versions) in ((1, 2), (1, 2, 3))
        assert find("churn", registry=registry.root).version in ("2", "3")
        again = registry.add(made, alias="champion")
        assert (again.version, find("churn", registry=registry.root).version) == (3, "3")
        assert tuple(registry.history("churn").versions) == (1, 2, 3)
        assert not list(registry.root.rglob("*.draft"))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert killed > 20
    assert code == 0
