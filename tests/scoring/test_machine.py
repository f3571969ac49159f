"""What is asked of the machine about processes that come and go."""

from __future__ import annotations

import subprocess

from mlserve_cli.scoring.machine import tree_memory_bytes


def test_processes_that_end_while_they_are_looked_at_hold_nothing() -> None:
    with subprocess.Popen(["bash", "-c", "for i in {1..400}; do /bin/true & /bin/true; done; wait"]) as process:
        looked = []
        while process.poll() is None:
            looked.append(tree_memory_bytes(process.pid))

    assert max(looked) > 0
    assert tree_memory_bytes(process.pid) == 0
