"""The command line: options in, exit code out, no logic. One file for each group of commands."""

from __future__ import annotations

import atexit
import os
from typing import NoReturn

from mlserve_cli.cli.app import app
from mlserve_cli.cli.edge import run, run_process

__all__ = ["app", "main", "run"]


def main() -> NoReturn:
    """What `mlserve` runs.

    Once the result is told, nothing is left to do but what was registered for the end: taking libraries apart one by
    one costs 15 to 50 ms.
    """
    code = run_process(app)
    atexit._run_exitfuncs()
    os._exit(code)
