"""The desk of the command line, and a real headless Chromium that notes whatever pages ask of a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.cli.conftest import desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["Opened", "Reader", "Scheme", "desk"]
Scheme = Literal["light", "dark"]
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@dataclass(slots=True)
class Opened:
    """A page as somebody sees it, and all that went wrong or outside while it was opened."""

    page: Page
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """Opens pages in a window of some width, light or dark."""

    browser: Browser

    def open(self, path: Path, *, width: int = 1280, scheme: Scheme = "light") -> Opened:
        page = self.browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened = Opened(page)
        page.on("request", lambda request: opened.asked.append(request.url))
        page.on("console", lambda message: opened.said.append(message.text))
        page.on("dialog", lambda dialog: opened.said.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri())
        return opened


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    """Root needs --no-sandbox, and containers have a small /dev/shm."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program, "the report is tested in Chromium: apt-get install chromium, or nox -s browser as root"
    options = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield Reader(browser)
        browser.close()
