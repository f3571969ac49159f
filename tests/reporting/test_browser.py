"""The pages in a real browser: self-contained, escaped, accessible, readable at any width, in print, dark and light."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from mlserve_cli.contract import encode_sealed
from mlserve_cli.manifest import read_manifest
from mlserve_cli.reporting import report
from tests.reporting.conftest import Reader, Scheme
from tests.reporting.example import ARABIC, NASTY, QUOTES, evaluation, throughput, write_run

pytestmark = pytest.mark.browser
WIDTHS = (390, 1280)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
KINDS = ("one", "plain", "many")
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of a run with everything in it, one of a run with nothing special, one of many runs, most with labels."""
    root = tmp_path_factory.mktemp("pages")
    one, plain = write_run(root / "one"), write_run(root / "plain", plain=True)
    labels = root / "evaluation.json"
    labels.write_bytes(encode_sealed(evaluation(read_manifest(one / "manifest.json"))))
    for day, shift in enumerate((0.0, 0.0, 2.0, 4.0, 6.0)):
        run = write_run(root / "many" / f"day={day}", day=20 + day, shift=shift, version="3" if day < 3 else "4")
        if day < 4:
            known = evaluation(read_manifest(run / "manifest.json"), auc=0.72 - day / 50)
            (root / f"{day}.evaluation.json").write_bytes(encode_sealed(known))
    return {
        "one": report(str(one), evaluation=str(labels)).path,
        "plain": report(str(plain)).path,
        "many": report(str(root / "many"), evaluation=str(root / "*.evaluation.json")).path,
    }


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_passes_the_accessibility_check(
    kind: str, width: int, scheme: Scheme, pages: dict[str, Path], reader: Reader
) -> None:
    opened = reader.open(pages[kind], width=width, scheme=scheme)
    opened.page.evaluate(OPEN_ALL)

    # the policy of the page forbids scripts, so the checker is brought in by the browser's own tools
    results = Axe().run(opened.page)

    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_leaves_and_nothing_is_complained_of(kind: str, pages: dict[str, Path], reader: Reader) -> None:
    opened = reader.open(pages[kind])

    assert [url for url in opened.asked if not url.startswith("data:")] == [pages[kind].as_uri()]
    assert opened.said == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_is_wider_than_its_window(kind: str, pages: dict[str, Path], reader: Reader) -> None:
    page = reader.open(pages[kind]).page
    page.evaluate(OPEN_ALL)

    for width in (320, 390, 768, 1280, 2000):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_values_are_shown_and_never_run(pages: dict[str, Path], reader: Reader) -> None:
    opened = reader.open(pages["one"])
    opened.page.evaluate(OPEN_ALL)
    shown = opened.page.inner_text("body")

    assert all(value in shown for value in (NASTY, ARABIC, QUOTES.strip(), r"\u202eevil", r"\x00\x1b[31m"))
    assert opened.page.locator("script").count() == 0
    assert opened.said == []


def test_a_script_would_not_run_even_if_it_came_in(pages: dict[str, Path], reader: Reader, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.html"
    page = pages["plain"].read_text()
    spoiled.write_text(page.replace("<main", "<script>alert(1)</script><img src='https://example.com/x.png'><main"))

    opened = reader.open(spoiled)

    assert [said for said in opened.said if said.startswith("dialog")] == []
    assert len([said for said in opened.said if "Content Security Policy" in said]) == 2


def test_arabic_does_not_turn_the_text_around_it(pages: dict[str, Path], reader: Reader) -> None:
    opened = reader.open(pages["one"])
    cell = opened.page.locator("td bdi", has_text=ARABIC).first

    assert cell.evaluate("one => getComputedStyle(one).unicodeBidi") == "isolate"


def test_the_tab_key_goes_through_the_page_in_its_order(pages: dict[str, Path], reader: Reader) -> None:
    page = reader.open(pages["one"]).page
    names, places = [], []
    for _ in range(30):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent"))
        if page.evaluate("document.activeElement.closest('main') !== null"):
            places.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))

    assert names[:2] == ["Skip to the content", "Verdict"]
    assert len(places) > 15
    assert places == sorted(places)


def test_every_link_of_a_page_leads_somewhere(pages: dict[str, Path], reader: Reader) -> None:
    for kind in KINDS:
        page = reader.open(pages[kind]).page
        targets = page.eval_on_selector_all("a", "links => links.map(one => one.getAttribute('href'))")
        assert [target for target in targets if page.locator(f"[id='{target[1:]}']").count() != 1] == []


def test_every_picture_has_its_text(pages: dict[str, Path], reader: Reader) -> None:
    for kind in KINDS:
        page = reader.open(pages[kind]).page
        silent = "svg:not([aria-hidden=true]):not([role=img][aria-label])"
        assert page.locator(silent).count() == 0


def test_what_is_folded_is_printed(pages: dict[str, Path], reader: Reader) -> None:
    page = reader.open(pages["one"]).page
    page.emulate_media(media="print")
    heights = page.eval_on_selector_all(
        "details", "all => all.filter(one => !one.closest('.picture')).map(one => one.getBoundingClientRect().height)"
    )

    assert len(heights) > 4
    assert min(heights) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_prints_as_pdf(kind: str, pages: dict[str, Path], reader: Reader, tmp_path: Path) -> None:
    file = tmp_path / "page.pdf"
    reader.open(pages[kind], scheme="dark").page.pdf(path=file, format="A4")

    content = file.read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") <= 12


def test_paper_is_white_though_the_screen_is_dark(pages: dict[str, Path], reader: Reader) -> None:
    page = reader.open(pages["one"], scheme="dark").page
    assert _background(page) == "rgb(18, 22, 27)"
    page.emulate_media(media="print")
    assert _background(page) == "rgb(255, 255, 255)"


def _background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_ten_thousand_tasks_make_a_page_of_the_same_kind(reader: Reader, tmp_path: Path) -> None:
    from msgspec.structs import replace

    run = write_run(tmp_path / "large", plain=True)
    manifest = read_manifest(run / "manifest.json")
    many = replace(manifest, throughput=throughput(tasks=10_000, workers=32))
    (run / "manifest.json").write_bytes(encode_sealed(many))

    found = report(str(run))

    assert found.size_bytes < 600_000
    assert reader.open(found.path, width=390).page.locator(".lane svg").count() == 32
