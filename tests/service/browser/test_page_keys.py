"""By keys alone: from the start to a photo, a dot, a box, its answers, and one of them large."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser.conftest import WAIT, Open, choose, see_dots, see_results
from tests.service.running import Running

pytestmark = pytest.mark.slow

FOCUS = """() => {
    const own = document.activeElement;
    const name = own.getAttribute("aria-label") ?? own.innerText ?? "";
    return `${own.localName} ${own.className.baseVal ?? own.className} ${name}`;
}"""


def tab_to(page: Page, wanted: str, *, key: str = "Tab") -> None:
    """Press Tab until the focus is on what is wanted; each step must be seen."""
    for _ in range(80):
        page.keyboard.press(key)
        if re.search(wanted, page.evaluate(FOCUS)):
            return
    raise AssertionError(f"no {wanted} by {key}; the last is {page.evaluate(FOCUS)}")


def box(page: Page) -> list[float]:
    return [float(share) for share in parse_qs(urlsplit(page.url).query)["box"][0].split(",")]


def test_from_the_start_to_an_answer(service: Running, visit: Open) -> None:
    page = visit(service.url)
    expect(page.locator(".tile").first).to_be_visible()
    tab_to(page, "Search from")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"id=\d+"))
    see_dots(page)
    see_results(page)
    tab_to(page, "lamp, 75")
    page.keyboard.press("Enter")
    expect(page.locator("#answers")).to_have_text(re.compile("like this part"), timeout=WAIT)
    assert "lamp, 75" in page.evaluate(FOCUS)
    tab_to(page, "button open")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert "Search from this" in page.evaluate(FOCUS)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert "button open" in page.evaluate(FOCUS)


def test_a_box(service: Running, visit: Open, upload: Path) -> None:
    """It is marked, moved and resized, and searched by when keys rest; Escape removes it."""
    page = visit(service.url)
    choose(page, upload)
    see_dots(page)
    see_results(page)
    tab_to(page, "Mark a part")
    page.keyboard.press("Enter")
    expect(page.locator("#crop")).to_be_focused()
    expect(page).to_have_url(re.compile("box="))
    before = box(page)
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    wanted = [before[0] - 0.02, before[1] - 0.04, before[2] - 0.04, before[3] - 0.04]
    written = ",".join(f"{share:.4f}".rstrip("0").rstrip(".") for share in wanted)
    expect(page).to_have_url(re.compile(re.escape(f"box={written}")), timeout=WAIT)
    expect(page.locator("#crop")).to_be_focused()
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    page.keyboard.press("Escape")
    expect(page.locator("#crop")).to_have_count(0)
    expect(page.locator("#answers")).to_have_text("24 photos like this", timeout=WAIT)


def test_a_file_is_chosen(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    page.on("filechooser", lambda chooser: chooser.set_files(upload))  # from here on none opens by itself
    expect(page.locator(".tile").first).to_be_visible()
    tab_to(page, "^input")
    page.keyboard.press("Enter")
    see_results(page)


def test_the_focus_is_seen(service: Running, visit: Open, upload: Path) -> None:
    """Whatever Tab comes to changes how a pixel near it looks."""
    page = visit(service.url)
    choose(page, upload)
    see_dots(page)
    see_results(page)
    style = """() => {
        const own = document.activeElement;
        const shown = own.matches(".unseen") ? own.nextElementSibling : own;
        const ring = own.querySelector(":scope > .ring, :scope > .box");
        const look = getComputedStyle(ring ?? shown);
        return ring ? look.stroke : look.outlineStyle === "none" ? "none" : `${look.outlineStyle} ${look.outlineWidth}`;
    }"""
    seen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(style))
    assert set(seen) <= {"solid 3px", "rgb(255, 210, 77)"}
    assert len(set(seen)) == 2


def test_one_may_skip_to_the_photos(service: Running, visit: Open) -> None:
    page = visit(service.url)
    expect(page.locator(".tile").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the photos")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
