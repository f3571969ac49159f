"""What the kernel says of memory: the most a process ever had, and whether something was killed for want of it."""

from __future__ import annotations

import resource


def peak_bytes() -> int:
    """The most memory that this process ever had.

    Not `ru_maxrss` where it can be helped: a process that another one spawned inherits the spawner's figure.
    """
    return _status_bytes(b"VmHWM:") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_bytes() -> int:
    """The memory that this process has now; 0 where the system does not say."""
    return _status_bytes(b"VmRSS:") or 0


def kills_for_want_of_memory() -> int | None:
    """How many processes the kernel has ever killed because memory ran out, control groups included; None: unknown."""
    try:
        with open("/proc/vmstat", "rb") as file:
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return None


def _status_bytes(key: bytes) -> int | None:
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
