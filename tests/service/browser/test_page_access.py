"""axe-core finds no serious violation in what the page shows, light and dark, narrow and wide; nor in /docs."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser.conftest import WAIT, Open, choose, drag, see_dots, see_results
from tests.service.running import Running

pytestmark = pytest.mark.slow

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

looks = pytest.mark.parametrize(
    ("scheme", "width"), [(scheme, width) for scheme in ("light", "dark") for width in (360, 1280)]
)


def violations(page: Page) -> list[str]:
    """What axe calls serious or critical, and where."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations', 'passes']})")
    assert len(found["passes"]) > 10
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@looks
def test_the_start(service: Running, visit: Open, scheme: str, width: int) -> None:
    page = visit(service.url, color_scheme=scheme, width=width)
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    assert violations(page) == []


@looks
def test_a_search(service: Running, visit: Open, upload: Path, scheme: str, width: int) -> None:
    """With dots, a box, chips of which one is on, whom a lens asked, and times; then an answer, large."""
    page = visit(service.url, color_scheme=scheme, width=width)
    choose(page, upload)
    see_dots(page)
    see_results(page)
    drag(page, (0.1, 0.1), (0.9, 0.9))
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    page.get_by_role("group", name="Filter the answers").get_by_role("button").first.click()
    page.get_by_role("button", name="All sources").click()
    page.get_by_role("button", name="Timing").click()
    page.locator(".sources summary").click(timeout=WAIT)
    see_results(page)
    assert violations(page) == []
    page.locator(".tile .open").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


@looks
def test_the_description_of_the_routes(service: Running, visit: Open, scheme: str, width: int) -> None:
    page = visit(f"{service.url}/docs", color_scheme=scheme, width=width)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
