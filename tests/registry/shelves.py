"""Small packages to fill a registry with, and processes that do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlserve_cli.registry import PACKAGE_FORMAT, PackageFile, Registry, write_package
from tests.models import linear, save

TREE = Path(__file__).parents[2]


def package(folder: Path, *, what: str = "one", name: str = "churn") -> str:
    """A package that differs from others by what it says of itself."""
    model = save(linear(), folder.parent / "model.onnx")
    described = PackageFile(format=PACKAGE_FORMAT, name=name, description=what)
    return write_package(folder, described=described, files={"model.onnx": model}).path


def filled(root: Path, versions: int = 3) -> Registry:
    """A registry with some versions of `churn`, each in its turn the champion."""
    registry = Registry(root / "registry")
    for number in range(1, versions + 1):
        made = package(root / f"made-{number}", what=str(number))
        assert registry.add(made, alias="champion", why=f"number {number}", by="ann").version == number
    return registry


def started(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A Python process that runs `script` with these arguments."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(TREE)})
