"""What is asked of the machine about processes that come and go."""

from __future__ import annotations

import subprocess
import sys

from mlserve_cli.scoring.machine import tree_memory_bytes


def test_processes_that_end_while_they_are_looked_at_hold_nothing() -> None:
    with subprocess.Popen(["bash", "-c", "for i in {1..400}; do /bin/true & /bin/true; done; wait"]) as process:
        looked = []
        while process.poll() is None:
            looked.append(tree_memory_bytes(process.pid))

    assert max(looked) > 0
    assert tree_memory_bytes(process.pid) == 0


COMPILED = """
import ctypes
from llvmlite import binding
from mlserve_cli.scoring.machine import COMPILER, give_back_memory

def answer(number):
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple().create_target_machine()
    module = binding.parse_assembly(f"define i32 @answer() {{ ret i32 {number} }}")
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    engines.append(engine)
    return ctypes.CFUNCTYPE(ctypes.c_int32)(engine.get_function_address("answer"))

def code_kib():
    wanted, found = False, 0
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            wanted = " r-xp " in line and COMPILER in line
        elif wanted and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found

engines = []
first = answer(41)
before = code_kib()
give_back_memory()
print(before, code_kib(), first(), answer(42)())
"""


def test_the_compiler_s_code_is_let_go_and_comes_back_where_it_is_run() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True)
    before, after, first, second = map(int, done.stdout.split())
    assert before > 10_000
    assert after == 0
    assert (first, second) == (41, 42)
