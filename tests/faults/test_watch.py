"""Watchers killed, doubled, ended by signals, on full disks, with shards that grow: no row is lost, none doubled."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import verify
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.registry import PACKAGE_FORMAT, PackageFile, Registry, write_package
from tests.dishonest import slow
from tests.faults.injection import Call, calls, failing, killing, needs_strace
from tests.faults.running import COMMAND, finish, run, start, wait_until
from tests.models import save

ROWS = 600
BAD = b"x\n0.1\nno\n"
MAKES_APPEAR = ("write", "link", "linkat", "rename", "renameat", "renameat2")


@dataclass(slots=True)
class Watch:
    """An inbox, a registry with three versions of a slow model, and what was put and promoted when."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    promoted: list[tuple[float, str]] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def done(self) -> Path:
        return self.folder / "done"

    @property
    def registry(self) -> Registry:
        return Registry(self.folder / "registry")

    def command(self, *options: str, settled: float = 0.0) -> list[str]:
        return [
            *COMMAND,
            *("watch", str(self.inbox), "--model", "slow@champion", "--registry", str(self.registry.root)),
            *("--output", str(self.out), "--features", "x", "--workers", "1", "--batch-rows", "50"),
            *("--interval", "0.05", "--settled", str(settled), *options),
        ]

    def put(self, name: str, rows: int = ROWS) -> None:
        """A whole shard, renamed into its place."""
        path, draft = self.inbox / name, self.inbox / f".{name}"
        column = pa.array([(row % 89) / 89 for row in range(rows)], pa.float32())
        pq.write_table(pa.table({"x": column}), draft)
        self.rows[name] = rows
        draft.rename(path)

    def promote(self, version: str) -> None:
        """Noted after it is so: what began before may still have seen the one before."""
        self.registry.set_alias("slow", "champion", int(version), why="a test", by="ann")
        self.promoted.append((time.time(), version))

    @property
    def runs_standing(self) -> int:
        return len(list(self.out.glob("*/manifest.json")))

    def runs(self) -> dict[str, FoundRun]:
        """Every run that stands, proved."""
        found = {run.path.name: run for run in find_runs(self.out)} if any(self.out.rglob("manifest.json")) else {}
        for one in found.values():
            verify(str(one.path))
        return found

    def assert_whole(self) -> None:
        """Each shard has its run, over its rows, by a version that was the champion at its moment; nothing else is."""
        runs = self.runs()
        assert {name: run.manifest.rows.rows_out for name, run in runs.items()} == self.rows
        for name, found in runs.items():
            assert found.manifest.model.version in self.champions_at(found.manifest.run.started_at), name
        left = [name for name in os.listdir(self.out) if name not in self.rows and name != "_rejected"]
        assert left == []

    def champions_at(self, when: str) -> set[str]:
        """The version of that moment and, where the promotion was being written then, the one after it."""
        moment = datetime.fromisoformat(when).timestamp()
        before = [version for at, version in self.promoted if at <= moment - 0.5]
        about = [version for at, version in self.promoted if moment - 0.5 < at <= moment + 0.5]
        return {*before[-1:], *about}


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    made = Watch(tmp_path)
    made.inbox.mkdir()
    made.done.mkdir()
    model = save(slow(steps_per_unit=3_000), tmp_path / "model.onnx")
    for number in (1, 2, 3):
        described = PackageFile(format=PACKAGE_FORMAT, name="slow", description=str(number))
        package = write_package(tmp_path / f"package-{number}", described=described, files={"model.onnx": model})
        made.registry.add(package.path, name="slow", why=str(number), by="ann")
    made.promote("1")
    return made


@pytest.fixture
def producer(watch: Watch) -> Iterator[threading.Thread]:
    """Puts shards at random moments, and promotes another version each time that some of them are scored."""
    moments = random.Random(7)

    def work() -> None:
        for number in range(24):
            watch.put(f"{number:02d}.parquet", moments.randrange(ROWS))
            time.sleep(moments.uniform(0, 0.2))
            if number % 6 == 5:
                until_s = time.monotonic() + 20
                while watch.runs_standing < number - 3 and time.monotonic() < until_s:
                    time.sleep(0.01)
                watch.promote(str(number // 6 % 3 + 1))

    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


@pytest.mark.parametrize("seed", range(2))
def test_shards_promotions_and_kills_at_once_lose_no_row(watch: Watch, producer: threading.Thread, seed: int) -> None:
    moments = random.Random(seed)
    kills = 0
    while producer.is_alive() or kills < 6:
        process = start(watch.command("--move-to", str(watch.done)))
        if kills % 3:  # else wherever it is in its beginning
            wait_until(partial(has_more_runs, watch, watch.runs_standing), process)
        time.sleep(moments.uniform(0, 0.7))
        process.kill()
        process.communicate()
        kills += 1

    code, out, error = run(watch.command("--once", "--move-to", str(watch.done)))

    assert code == 0, error
    assert json.loads(out.splitlines()[-1])["exit_code"] == 0
    watch.assert_whole()
    assert sorted(path.name for path in watch.done.iterdir()) == sorted(watch.rows)
    assert os.listdir(watch.inbox) == ["_rejected"]
    versions = {run.manifest.model.version for run in watch.runs().values()}
    assert len(versions) > 1, "the promotions came too late to matter"


@needs_strace
def test_a_kill_at_any_system_call_is_made_good_by_the_next_pass(watch: Watch, tmp_path: Path) -> None:
    """A good shard is scored and moved, a bad one goes aside, wherever between two steps the watcher ends."""
    command = watch.command("--once", "--move-to", str(watch.done))
    prepare(watch)
    found = calls(["sh", "-c", '"$@"; [ $? = 65 ]', "sh", *command], tmp_path / "log", under=tmp_path)
    points = first_of_each(found, MAKES_APPEAR)
    assert {"plan.json", "manifest.json", "good.parquet", "bad.csv", "bad.csv.reason.json"} <= {p.file for p in points}
    check_passed(watch)

    for point in points:
        prepare(watch)
        with suppress(subprocess.TimeoutExpired):
            run([*killing(point), *command])
        code, _, said = run(command)
        assert code in (0, 65), (point, said)
        check_passed(watch)


@needs_strace
def test_a_full_disk_at_any_system_call_delays_and_rejects_no_good_shard(watch: Watch, tmp_path: Path) -> None:
    watch.put("good.parquet", 100)
    command = watch.command("--once")
    found = calls(command, tmp_path / "log", under=watch.out)
    for point in first_of_each(found, MAKES_APPEAR):
        shutil.rmtree(watch.out)
        code, _, said = run([*failing(point, "ENOSPC", for_good=True), *command])
        assert code in (0, 74), (point, said)
        assert "good.parquet" in os.listdir(watch.inbox)

        code, _, said = run(command)
        assert code == 0, (point, said)
        watch.assert_whole()


def has_more_runs(watch: Watch, than: int) -> bool:
    """Or there is nothing to score, so that there will not be more."""
    return watch.runs_standing > than or not list(watch.inbox.glob("*.parquet"))


def first_of_each(found: Sequence[Call], names: Sequence[str]) -> list[Call]:
    """The first call of these kinds on each file: between two of them nothing comes to stand on the disk."""
    return list({(call.name, call.file): call for call in reversed(found) if call.name in names}.values())[::-1]


def prepare(watch: Watch) -> None:
    """A good shard and a bad one, and nothing of earlier passes."""
    for folder in (watch.out, watch.done, watch.inbox / "_rejected"):
        shutil.rmtree(folder, ignore_errors=True)
    for path in watch.inbox.glob("*.*"):
        path.unlink()
    watch.put("good.parquet", 100)
    (watch.inbox / "bad.csv").write_bytes(BAD)


def check_passed(watch: Watch) -> None:
    assert os.listdir(watch.inbox) == ["_rejected"]
    assert sorted(os.listdir(watch.inbox / "_rejected")) == ["bad.csv", "bad.csv.reason.json"]
    assert (watch.inbox / "_rejected" / "bad.csv").read_bytes() == BAD
    assert os.listdir(watch.done) == ["good.parquet"]
    watch.assert_whole()


def test_the_second_of_two_watchers_is_sent_away_and_the_first_does_not_notice(watch: Watch) -> None:
    for number in range(6):
        watch.put(f"{number}.parquet")
    first = start(watch.command())
    assert wait_until((watch.out / "._watch.mlserve.lock").exists, first)

    code, _, error = run(watch.command("--once"))

    assert code == 75, error
    assert "another watcher" in error
    assert wait_until(lambda: len(list(watch.out.glob("*/manifest.json"))) == 6, first)
    first.terminate()
    assert finish(first)[0] == 143
    watch.assert_whole()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_in_the_middle_of_a_shard_and_the_next_one_goes_on_there(
    watch: Watch, number: signal.Signals
) -> None:
    watch.put("a.parquet", 20_000)
    process = start(watch.command("--json"))
    assert wait_until(lambda: any(watch.out.glob(".a.parquet.mlserve-*/plan.json")), process)
    process.send_signal(number)

    code, out, error = finish(process)

    assert code == 128 + number, error
    ended = json.loads(out.splitlines()[-1])
    assert (ended["status"], ended["exit_code"]) == ("interrupted", 128 + number)
    assert "goes on where it was" in ended["error"]["hint"]
    assert "0 shards scored" in error
    assert run(watch.command("--once"))[0] == 0
    watch.assert_whole()


def test_a_shard_that_grows_is_scored_once_it_is_whole(watch: Watch) -> None:
    """A writer that stops now and then, as over NFS, for less than the settling time."""
    lines = [f"{(row % 89) / 89}\n" for row in range(400)]
    process = start(watch.command(settled=0.6))
    moments = random.Random(3)
    with (watch.inbox / "a.csv").open("w") as file:
        file.write("x\n")
        for line in lines:
            file.write(line)
            if moments.random() < 0.03:
                file.flush()
                time.sleep(moments.uniform(0.05, 0.4))
    watch.rows["a.csv"] = 400

    assert wait_until((watch.out / "a.csv" / "manifest.json").exists, process)
    process.terminate()
    finish(process)
    watch.assert_whole()


def test_a_parquet_whose_writer_stalls_for_long_is_not_thrown_out_under_it(watch: Watch) -> None:
    """It cannot be read without its end, and may well get one."""
    watch.put("a.parquet", 500)
    whole = (watch.inbox / "a.parquet").read_bytes()
    (watch.inbox / "a.parquet").write_bytes(whole[:1000])
    process = start(watch.command(settled=0.3))
    time.sleep(1.5)
    with (watch.inbox / "a.parquet").open("ab") as file:
        file.write(whole[1000:])

    assert wait_until((watch.out / "a.parquet" / "manifest.json").exists, process)
    process.terminate()
    finish(process)
    watch.assert_whole()


def test_a_truncated_parquet_goes_aside_in_the_end(watch: Watch) -> None:
    (watch.inbox / "a.parquet").write_bytes(b"PAR1 and no more")
    process = start(watch.command(settled=0.4))

    assert wait_until((watch.inbox / "_rejected" / "a.parquet").exists, process)
    process.terminate()
    _, _, error = finish(process)
    assert "not there as a whole yet" in error


def test_an_inbox_that_goes_away_for_a_while_is_waited_for(watch: Watch) -> None:
    """A mount that is lost and comes back."""
    process = start(watch.command())
    assert wait_until((watch.out / "._watch.mlserve.lock").exists, process)
    watch.inbox.rename(watch.folder / "away")
    time.sleep(0.5)
    (watch.folder / "away").rename(watch.inbox)
    watch.put("a.parquet", 100)

    assert wait_until((watch.out / "a.parquet" / "manifest.json").exists, process)
    process.terminate()
    _, _, error = finish(process)
    assert "cannot list the inbox" in error
    watch.assert_whole()


def test_a_call_is_what_a_kill_is_aimed_at() -> None:
    assert "signal=KILL:when=3" in " ".join(killing(Call("rename", 3, "a")))
