"""The command line: options in, exit code out, no logic. One file for each group of commands."""

from __future__ import annotations

import sys
from typing import NoReturn

from mlserve_cli.cli.app import app
from mlserve_cli.cli.edge import run, run_process

__all__ = ["app", "main", "run"]


def main() -> NoReturn:
    """What `mlserve` runs."""
    sys.exit(run_process(app))
