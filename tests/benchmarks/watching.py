"""What a shard costs in a watcher: beside a process of its own, what of it is the session, and what a scored one costs.

    python -m tests.benchmarks.watching

Shards are months of the sample flights, some 800 rows. Processor time is printed beside the clock's, which on a machine
with other work says little. Memory is the watcher's own at its end, after some shards and after three times as many.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.startup import SAMPLE, mlserve

MODELS = ("late-gbm", "late-mlp")


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=100)
    args = parser.parse_args()
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), str(SAMPLE / "models" / name), name=name, shards=args.shards)


def compare(folder: Path, model: str, *, name: str, shards: int) -> None:
    """A shard in a watcher, and in a process that is started for it."""
    (folder / "inbox").mkdir()
    _, empty_cpu_s, _ = ran(watch(folder, model))
    fill(folder / "inbox", shards)
    few_s, few_cpu_s, few_mib = ran(watch(folder, model))
    fill(folder / "inbox", 3 * shards, first=shards)
    many_s, many_cpu_s, many_mib = ran(watch(folder, model))
    _, idle_cpu_s, _ = ran(watch(folder, model))
    one = shard(folder / "inbox", 0)
    alone = [ran([*mlserve(), "score", "-m", model, "-i", str(one), "-o", str(folder / f"{n}")]) for n in range(9)]
    alone_s, alone_cpu_s = (statistics.median(each[index] for each in alone) for index in (0, 1))
    each_s, each_cpu_s = (many_s - few_s) / (2 * shards), (many_cpu_s - few_cpu_s) / (2 * shards)
    print(f"{name}: a shard in a watcher {each_s * 1e3:.0f} ms, {each_cpu_s * 1e3:.0f} ms of a processor;", end=" ")
    print(f"in a process of its own {alone_s * 1e3:.0f} ms, {alone_cpu_s * 1e3:.0f} ms", end=" ")
    print(f"({alone_s / each_s:.1f} times, {alone_cpu_s / each_cpu_s:.1f} times)")
    print(f"{name}: opening the session is {session_ms(model):.1f} ms of it")
    scan_ms = (idle_cpu_s - empty_cpu_s) / (4 * shards) * 1e3
    print(f"{name}: a shard that is scored already costs {scan_ms:.2f} ms of a processor at the start of a watcher")
    print(f"{name}: memory {few_mib:.0f} MiB after {shards} shards, {many_mib:.0f} MiB after {3 * shards} more")


def fill(inbox: Path, count: int, *, first: int = 0) -> None:
    """Shards of eight months in turn, in their Hive folders."""
    for number in range(first, first + count):
        target = shard(inbox, number)
        target.parent.mkdir(parents=True, exist_ok=True)
        source = next((SAMPLE / "flights" / target.parent.name).glob("*.parquet"))
        shutil.copy(source, target)


def shard(inbox: Path, number: int) -> Path:
    """Where one of them lies."""
    return inbox / f"month={number % 8 + 1:02d}" / f"{number:05d}.parquet"


def watch(folder: Path, model: str) -> list[str]:
    """One pass over the inbox."""
    words = ["watch", str(folder / "inbox"), "-m", model, "-o", str(folder / "scores")]
    return [*mlserve(), *words, "--once", "--settled", "0", "--quiet", "--workers", "1"]


def ran(command: list[str]) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processors, and the most memory in MiB."""
    started_s = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)],
    )
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return time.perf_counter() - started_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def session_ms(model: str) -> float:
    """To open a session on the model again in the same process: what keeping it between shards could save."""
    from mlserve_cli.contract import bind
    from mlserve_cli.scoring import resolve
    from mlserve_cli.session import open_predictor, threads_for

    found = resolve(model)
    contract = bind(found.facts, found.package.declared)
    threads = threads_for(found.facts.family, size_bytes=found.facts.size_bytes)
    path, sha256 = found.package.model_path, found.facts.sha256
    return median_ms(lambda: open_predictor(path, sha256=sha256, contract=contract, threads=threads))


def median_ms(work: Callable[[], object]) -> float:
    """Of some repetitions."""
    taken = []
    for _ in range(15):
        started_s = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started_s)
    return statistics.median(taken) * 1e3


if __name__ == "__main__":
    main()
