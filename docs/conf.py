"""Sphinx: hand-written pages in Markdown, and the reference pages that generate.py makes from the live package."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import generate  # noqa: E402  it lies beside this file, which Sphinx does not put on the path

generate.write_pages(DOCS / "generated")

project = "mlserve"
author = "the mlserve developers"
release = version = installed_version("mlserve-cli")
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
included = [
    "benchmark-results.md",
    "generated/error-list.md",
    "generated/manifest-fields.md",
    "generated/package-fields.md",
    "generated/evaluation-fields.md",
]  # by other pages
exclude_patterns = ["_build", *included]
html_theme = "furo"
html_title = f"mlserve {release}"
html_static_path: list[str] = []
nitpicky = True
