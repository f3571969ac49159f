"""Takes the pictures of docs/report.md: the pages of real runs on the sample flights, in a headless Chromium.

    python docs/report_picture.py docs      (needs chromium, and mlserve on PATH)

The letters are those of the machine's own font. January to June are the baseline; July to December are scored one by
one, December with a challenger beside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

ROOT = Path(__file__).parents[1]
WIDTH = 1_200
MONTHS = (7, 8, 9, 10, 11, 12)


def main(docs: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mlserve-report-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "sample_data", folder / "sample_data")
        make_runs(folder)
        with sync_playwright() as playwright:
            browser = open_browser(playwright)
            take(browser, folder / "runs" / "2013-12.report.html", docs / "report.png", height=1_150)
            take(browser, folder / "runs.report.html", docs / "report-runs.png", height=1_250)
            browser.close()


def make_runs(folder: Path) -> None:
    """The runs of half a year beside those of the other half, and their pages."""
    first = [part for month in range(1, 7) for part in ("-i", f"sample_data/flights/month={month:02d}")]
    mlserve(folder, "score", "-m", "sample_data/models/late-gbm", *first, "-o", "first-half")
    (folder / "runs").mkdir()
    for month in MONTHS:
        rival = ["--challenger", "sample_data/models/late-mlp"] if month == MONTHS[-1] else []
        mlserve(
            folder,
            *("score", "-m", "sample_data/models/late-gbm", "-i", f"sample_data/flights/month={month:02d}"),
            *("-o", f"runs/2013-{month:02d}", "--drift-profile", "first-half", *rival),
        )
    mlserve(folder, "report", "runs/2013-12")
    mlserve(folder, "report", "runs")


def mlserve(folder: Path, *arguments: str) -> None:
    subprocess.run(["mlserve", *arguments, "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def open_browser(playwright: Playwright) -> Browser:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=program, args=options)


def take(browser: Browser, page_file: Path, picture: Path, *, height: int) -> None:
    """The upper part of a page."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.goto(page_file.as_uri())
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
