"""The system made to fail or to dawdle at a chosen call, by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

WATCHED = "write,pwrite64,fsync,fdatasync,link,linkat,rename,renameat,renameat2,mkdir,mkdirat"


def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", sys.executable, "-c", ""]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not _strace_works(), reason="needs strace, and to be allowed to trace")


@dataclass(frozen=True, slots=True)
class Call:
    """The `number`-th call (1-based) of one system call in a run, and the file that it was about."""

    name: str
    number: int
    file: str


def calls(command: Sequence[str], log: Path, *, under: Path) -> list[Call]:
    """The calls of a run, undisturbed, that make something appear below a folder."""
    tracer = ["strace", "-f", "-y", "--seccomp-bpf", "-o", str(log), "-e", f"trace={WATCHED}"]
    done = subprocess.run([*tracer, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts: dict[tuple[str, str], int] = {}
    found = []
    for line in log.read_text(errors="replace").splitlines():
        called = re.match(r"(\d+) +(\w+)\((.*)", line)
        if called is None:
            continue
        counts[called[1], called[2]] = counts.get((called[1], called[2]), 0) + 1
        if str(under) in called[3].split(" = ")[0]:
            found.append(Call(called[2], counts[called[1], called[2]], _file_of(called[3])))
    return found


def telling(found: Sequence[Call]) -> list[Call]:
    """The first, the middle and the last of the calls of one kind on one file: a part alone is written in thirty."""
    by_file: dict[tuple[str, str], list[Call]] = {}
    for call in found:
        by_file.setdefault((call.name, call.file), []).append(call)
    return [call for calls in by_file.values() for call in dict.fromkeys((calls[0], calls[len(calls) // 2], calls[-1]))]


def failing(call: Call, error: str, *, for_good: bool) -> list[str]:
    """What to put before a command so that this call of it fails; and, `for_good`, all of its kind after it."""
    when = f"{call.number}{'+' if for_good else ''}"
    inject = f"inject={call.name}:error={error}:when={when}"
    return ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call.name}", "-e", inject]


def killing(call: Call) -> list[str]:
    """What to put before a command so that it is killed as this call of it begins."""
    inject = f"inject={call.name}:signal=KILL:when={call.number}"
    return ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call.name}", "-e", inject]


def slowed(name: str, *, seconds: float) -> list[str]:
    """What to put before a command so that each of its calls of this kind takes so long to begin."""
    inject = f"inject={name}:delay_enter={int(seconds * 1e6)}"
    return ["strace", "-DDD", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={name}", "-e", inject]


def _file_of(arguments: str) -> str:
    """The last part of the path that a call is about, drafts by the name that they are for."""
    by_descriptor = re.match(r"\d+<([^>]+)>", arguments)
    paths = [by_descriptor[1]] if by_descriptor else re.findall(r'"([^"]+)"', arguments.split(" = ")[0])
    name = Path(paths[-1]).name if paths else "?"
    return re.sub(r"^\.(.*)\.\d+-[0-9a-f]{8}\.draft$", r"\1", name)
