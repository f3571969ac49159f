"""The command line: options in, exit code out, no logic. One file for each group of commands."""

from __future__ import annotations

import sys
from typing import NoReturn

from mlserve_cli.cli.app import app
from mlserve_cli.cli.edge import run

__all__ = ["app", "main"]


def main() -> NoReturn:
    """What `mlserve` runs."""
    sys.exit(run(app))
