"""What this process may use of the machine: cores, memory, and what it used of it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2**63 where there is no limit
COMPILER = "libllvmlite"
MADV_DONTNEED = 4


def usable_cores() -> int:
    """Cores by affinity and cgroup quota, whichever is less; at least one."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_cores()
    return max(1, min(affinity, int(quota)) if quota else affinity)


def memory_limit_bytes() -> int | None:
    """The cgroup's memory limit, the tightest on the way up, or None."""
    limits = [*_numbers("memory.max"), *_numbers("memory/memory.limit_in_bytes")]
    return min((limit for limit in limits if limit < UNLIMITED), default=None)


def cpu_model() -> tuple[str, list[str]]:
    """The processor's name and those of its flags that numeric kernels choose by."""
    wanted = (
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512_vnni",
        "avx_vnni",
        "amx_int8",
        "asimd",
    )
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    fields = dict(_pair(line) for line in reversed(lines) if ":" in line)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return fields.get("model name", os.uname().machine), [flag for flag in wanted if flag in flags]


def process_peak_bytes() -> int:
    """Peak resident memory of this process (VmHWM)."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def memory_in_use() -> int:
    """Bytes of this process and its descendants now, as proportional set size."""
    return sum(_memory(pid)[0] for pid in [os.getpid(), *_descendants(os.getpid())])


def tree_memory_bytes(pid: int) -> int:
    """Bytes of a process of another kind and its descendants now.

    As proportional set size, but never less than one of them holds: what it shares with this process is all its own.
    """
    tree = [_memory(each) for each in (pid, *_descendants(pid))]
    return max(sum(proportional for proportional, _ in tree), *(resident for _, resident in tree))


def give_back_memory() -> None:
    """Hand freed memory back to the system, where the C library or Arrow keeps it otherwise; it takes some 5 ms.

    Opening a forest and proving its kernel leaves 56 MiB of parsed graph, closed session and compiler behind, the first
    rows read for an estimate of time 94 MiB, for as long as the run takes; and the compiler's own code is 52 MiB.
    """
    import pyarrow as pa  # here: who only asks for the cores of a machine does not wait for it

    pa.default_memory_pool().release_unused()
    system = ctypes.CDLL(None)
    if hasattr(system, "malloc_trim"):
        system.malloc_trim(0)
    if hasattr(system, "madvise"):
        for start, length in _code_of(COMPILER):
            system.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_DONTNEED)


def _code_of(library: str) -> Iterator[tuple[int, int]]:
    """Where the code of a loaded library lies, addresses and lengths. Its pages are the file's and were never written
    to, so that letting go of them loses nothing: they come back where one is run."""
    for line in _text(Path("/proc/self/maps")).splitlines():
        span, rights, *_, path = line.split(maxsplit=5)
        if rights == "r-xp" and Path(path).name.startswith(library):
            start, end = (int(edge, 16) for edge in span.split("-"))
            yield start, end - start


class MemoryWatch(msgspec.Struct):
    """The peak of the process tree's memory while it was watched, in bytes of proportional set size.

    Proportional, since what workers share with each other would be counted once for each of them otherwise.
    """

    peak_bytes: int = 0
    _stop: threading.Event = msgspec.field(default_factory=threading.Event)

    def sample(self) -> None:
        """Look once."""
        self.peak_bytes = max(self.peak_bytes, memory_in_use())

    def _run(self, period_s: float) -> None:
        while not self._stop.wait(period_s):
            self.sample()


@contextmanager
def watched_memory(*, period_s: float = 0.5) -> Iterator[MemoryWatch]:
    """Watch this process and its descendants from a thread until the block ends."""
    watch = MemoryWatch()
    thread = threading.Thread(target=watch._run, args=(period_s,), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch._stop.set()
        thread.join()
        watch.sample()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        children = _children(parent)
        found += children
        todo += children
    return found


def _children(pid: int) -> list[int]:
    """Those of all its threads; none where it is gone, which may happen at any moment."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for task in tasks for child in _text(Path(f"/proc/{pid}/task/{task}/children")).split()]


def _memory(pid: int) -> tuple[int, int]:
    """Proportional and resident set size, in bytes."""
    lines = (line.split() for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines())
    sizes = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in ("Pss:", "Rss:")}
    return sizes.get("Pss:", 0), sizes.get("Rss:", 0)


def _quota_cores() -> float | None:
    quotas = []
    for folder in _own_cgroups():
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period:
            quotas.append(int(quota) / int(period))
    quota_us, period_us = _numbers("cpu/cpu.cfs_quota_us"), _numbers("cpu/cpu.cfs_period_us")
    if quota_us and period_us and quota_us[0] > 0:
        quotas.append(quota_us[0] / period_us[0])
    return max(min(quotas), 1.0) if quotas else None


def _numbers(name: str) -> list[int]:
    texts = [_text(folder / name).strip() for folder in _own_cgroups()]
    return [int(text) for text in texts if text.lstrip("-").isdigit()]


def _own_cgroups() -> list[Path]:
    """The cgroup of this process and its ancestors, innermost first (cgroup v2; the root alone elsewhere)."""
    own = next((line[3:] for line in _text(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")), "/")
    inner = CGROUP / own.lstrip("/")
    return [folder for folder in (inner, *inner.parents) if folder.is_relative_to(CGROUP)]


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # another process may be gone, another kernel may lack the file: then it says nothing
        return ""
