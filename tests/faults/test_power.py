"""The power goes at any moment: what the disk holds then is nothing, or the whole run, and a resume completes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.running import Work, assert_whole, contents, finish, run, start

LOSSES = 8


def _can_mount_images() -> bool:
    """Not in every container: it takes root, mkfs and a free loop device."""
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()


@pytest.mark.skipif(not _can_mount_images(), reason="needs root, mkfs.ext4 and loop devices")
@pytest.mark.parametrize("seed", range(2))
def test_whenever_the_power_goes_the_disk_holds_all_or_nothing(
    work: Work, undisturbed: dict[str, bytes], seed: int
) -> None:
    """What a loss leaves is a copy of the device: without what was only in memory by then."""
    disk = work.folder / "disk.img"
    subprocess.run(["truncate", "-s", "16M", str(disk)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    with mounted(disk, work.out.parent):
        losses = lose_power_now_and_then(work, disk, moments=random.Random(seed))
    found_whole = 0
    for loss in losses:
        with mounted(loss, work.out.parent):
            (work.out.parent / "lost+found").rmdir()
            if work.out.exists():
                assert_whole_but_for_what_is_hidden(work)
                found_whole += 1
            elif loss == losses[-1]:
                pytest.fail("the run had said that it is committed")
            code, _, error = run(work.score("--resume", workers=1))
            assert code == 0, error
            assert_whole(work)
            assert contents(work) == undisturbed
    assert found_whole < len(losses), "no loss came before the commit"


def lose_power_now_and_then(work: Work, disk: Path, *, moments: random.Random) -> list[Path]:
    """Copies of the device, taken while the run goes on and when it has ended."""
    losses = []
    process = start(work.score(workers=1))
    for number in range(LOSSES):
        time.sleep(moments.uniform(0.05, 0.3))
        process.send_signal(signal.SIGSTOP)
        losses.append(Path(shutil.copy(disk, work.folder / f"loss-{number}.img")))
        process.send_signal(signal.SIGCONT)
    code, _, error = finish(process)
    assert code == 0, error
    losses.append(Path(shutil.copy(disk, work.folder / "loss-after.img")))
    return losses


def assert_whole_but_for_what_is_hidden(work: Work) -> None:
    """The run that stands; a lock or a staging that had not gone yet goes with the next run."""
    aside = work.folder / "aside"
    aside.mkdir()
    for name in os.listdir(work.out.parent):
        if name.startswith("."):
            shutil.move(work.out.parent / name, aside / name)
    assert_whole(work)
    for name in os.listdir(aside):
        shutil.move(aside / name, work.out.parent / name)
    aside.rmdir()


@contextmanager
def mounted(disk: Path, folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(disk), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
