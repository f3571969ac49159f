"""Processes killed at random moments: no row is lost, none doubled, and the bytes are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.faults.running import (
    Work,
    assert_gone,
    assert_nothing_committed,
    assert_whole,
    children,
    contents,
    finish,
    make_work,
    run,
    start,
    wait_until,
)


@pytest.mark.parametrize("seed", range(4))
def test_killed_workers_lose_no_row(work: Work, undisturbed: dict[str, bytes], seed: int) -> None:
    moments = random.Random(seed)
    process = start(work.score("--max-retries", "50"))
    killed = 0
    assert wait_until(lambda: len(children(process)) == 2, process)
    while process.poll() is None and killed < 4:
        for worker in children(process)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
        time.sleep(moments.uniform(0.1, 1.0))

    code, _, error = finish(process)

    assert code == 0, error
    assert killed
    assert_whole(work)
    assert contents(work) == undisturbed


def test_a_lost_worker_is_counted_in_the_manifest(work: Work) -> None:
    process = start(work.score("--max-retries", "50"))
    for least in range(2):
        assert wait_until(partial(_has_more_records, work, least), process)
        for worker in children(process):  # both: one that has just published its record is no loss
            os.kill(worker, signal.SIGKILL)

    code, _, error = finish(process)

    assert code == 0, error
    manifest = msgspec.json.decode((work.out / "manifest.json").read_bytes())
    assert 1 <= manifest["run"]["lost_workers"] <= 4
    assert_whole(work)


def _has_more_records(work: Work, than: int) -> bool:
    return work.records > than


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_driver_s_run_is_taken_up_where_it_stood(work: Work, undisturbed: dict[str, bytes], seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(4):
        process = start(work.score("--resume"))
        time.sleep(moments.uniform(0.2, 1.0))
        process.kill()
        process.communicate()
        assert_gone(process.pid, within_s=3)
        assert not work.out.exists() or (work.out / "manifest.json").exists()

    code, _, error = run(work.score("--resume"))

    assert code == 0, error
    assert_whole(work)
    assert contents(work) == undisturbed


def test_what_is_finished_is_not_done_again(work: Work) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records >= 3, process)
    process.kill()
    process.communicate()
    assert work.staging is not None
    before = {path.name: path.stat().st_mtime_ns for path in (work.staging / "records").glob("task-*")}

    code, _, error = run(work.score("--resume"))

    assert code == 0, error
    manifest = msgspec.json.decode((work.out / "manifest.json").read_bytes())
    assert manifest["run"]["resumed_tasks"] == len(before) >= 3
    assert_whole(work)


def test_a_kill_between_the_commit_and_its_clean_up_is_mended_by_the_next_resume(
    work: Work, undisturbed: dict[str, bytes]
) -> None:
    """The run stands; the staging's remains do not hinder, and go."""
    assert run(work.score())[0] == 0
    plan_id = msgspec.json.decode((work.out / "manifest.json").read_bytes())["run"]["id"]
    remains = work.out.with_name(f".out.mlserve-{plan_id.removeprefix('sha256:')[:16]}")
    (remains / "records").mkdir(parents=True, mode=0o700)
    remains.chmod(0o700)
    (remains / "records" / "task-00000.json").write_bytes(b"{}")

    code, _, error = run(work.score("--resume"))

    assert code == 0, error
    assert_whole(work)
    assert contents(work) == undisturbed


def test_a_staging_is_in_the_way_unless_it_is_taken_up(work: Work) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    process.kill()
    process.communicate()

    code, _, error = run(work.score())

    assert code == 73
    assert "--resume" in error
    assert run(work.score("--resume"))[0] == 0
    assert_whole(work)


def test_another_plan_s_staging_is_refused_with_what_differs(work: Work) -> None:
    process = start(work.score())
    assert wait_until(lambda: work.records > 0, process)
    process.kill()
    process.communicate()

    code, _, error = run(work.score("--resume", "--batch-rows", "500"))

    assert code == 73
    assert "batch" in error
    assert not work.out.exists()


MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access(MEMORY_GROUPS / "memory.limit_in_bytes", os.W_OK),
    reason="needs root and a memory controller (cgroup v1) to make memory run out without hurting the machine",
)
def test_a_row_that_eats_all_memory_is_named_and_the_rest_stands(tmp_path: Path) -> None:
    work = make_work(tmp_path, steps=0)
    save_greedy(work)
    group = MEMORY_GROUPS / f"mlserve-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(700 << 20))
        join = f'echo $$ > {group}/cgroup.procs; exec "$@"'
        code, _, error = run(["sh", "-c", join, "sh", *work.score()])
    finally:
        wait_for_empty(group)
        group.rmdir()

    assert code == 71, error
    assert work.shard(2).name in error
    assert "memory ran out" in error
    assert work.records == work.shards - 1
    assert_nothing_committed(work)


def save_greedy(work: Work) -> None:
    """One row of the third shard asks for 2 GiB; every other for none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.dishonest import greedy
    from tests.models import save

    save(greedy(bytes_per_unit=2 << 30), work.model)
    for number in range(work.shards):
        column = [0.0] * 999 + [1.0 if number == 2 else 0.0]
        pq.write_table(pa.table({"x": pa.array(column, pa.float32())}), work.shard(number))


def wait_for_empty(group: Path) -> None:
    until = time.monotonic() + 5
    while (group / "cgroup.procs").read_text() and time.monotonic() < until:
        time.sleep(0.05)
