"""Where keys go on when what had the focus goes away, and that every view has one title."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser.conftest import WAIT, Open, Serve, choose, see_dots, see_results, until
from tests.service.browser.test_page_groups import fit
from tests.service.running import Running

pytestmark = pytest.mark.slow


def titles(page: Page) -> int:
    return page.locator("h1").count()


def test_escape_on_a_box(service: Running, visit: Open, upload: Path) -> None:
    """The focus comes to the button that makes a box, which keeps it over a box and back."""
    page = visit(service.url)
    choose(page, upload)
    see_dots(page)
    see_results(page)
    mark = page.locator("#mark")
    mark.press("Enter")
    expect(page.locator("#crop")).to_be_focused()
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    page.keyboard.press("Escape")
    expect(mark).to_be_focused()
    mark.press("Enter")
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    mark.press("Enter")
    expect(mark).to_have_text("Mark a part")
    expect(mark).to_be_focused()


def test_clear(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    chips = page.get_by_role("group", name="Filter the answers").get_by_role("button")
    chips.first.press("Enter", timeout=WAIT)
    page.get_by_role("button", name="Clear", exact=True).press("Enter")
    expect(chips.first).to_be_focused()


def test_another_search(service: Running, visit: Open) -> None:
    """From a tile, from a photo shown large, and to a file: the title has the focus, and there is one."""
    page = visit(service.url)
    title = page.locator("h1")
    page.locator(".seek").first.press("Enter")
    expect(title).to_be_focused()
    see_results(page)
    assert titles(page) == 1
    page.locator(".tile .open").nth(2).press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect(title).to_be_focused()
    see_results(page)
    expect(title).to_be_focused()
    page.locator(".tile .open").nth(2).press("Enter")
    page.get_by_role("button", name="Previous").press("Enter")
    page.get_by_role("button", name="Previous").press("Enter")
    expect(page.get_by_role("button", name="Previous")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("button", name="Previous")).to_be_focused()


def test_a_related_item_and_clusters(
    collection: Path, photos: Path, serve: Serve, visit: Open, dqh: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    how = ("-k", 3, "--method", "kmeans", "--out", tmp_path / "clusters")
    assert dqh("cluster", collection, *how)[0] == 0
    related = fit(collection, photos / "focus.csv", tmp_path / "related")
    service = serve(collection, "--clusters", str(tmp_path / "clusters"), "--related", str(related))
    page = visit(f"{service.url}/?clusters")
    title = page.get_by_role("heading", level=1)
    page.locator(".clusters button").first.press("Enter", timeout=WAIT)
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    expect(title).to_be_focused()
    assert titles(page) == 1
    page.get_by_role("button", name="All clusters").press("Enter")
    expect(title).to_be_focused()
    page.goto(f"{service.url}/?id=1")
    see_results(page)
    page.locator(".tile .open").first.press("Enter")
    name = page.locator("#preview-name")
    page.locator(".related button").first.press("Enter", timeout=WAIT)
    expect(name).to_be_focused()


def test_back_closes_what_is_shown_large(service: Running, visit: Open, upload: Path) -> None:
    """And nothing else; Escape leaves no step behind, nor does a search from there."""
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/search" in request.url else None)
    tile, dialog = page.locator(".tile .open").nth(3), page.get_by_role("dialog")
    for key in ("back", "Escape"):
        tile.press("Enter")
        expect(dialog).to_be_visible()
        page.keyboard.press("ArrowRight")
        if key == "back":
            page.go_back()
        else:
            page.keyboard.press(key)
            until(page, "!history.state?.isLarge")
        expect(dialog).not_to_be_visible()
        expect(page).to_have_url(re.compile("upload=1$"))
        expect(tile).to_be_focused()
    assert asked == []
    tile.press("Enter")
    dialog.get_by_role("button", name="Search from this").click()
    expect(page).to_have_url(re.compile("id="))
    page.go_back()
    expect(page).to_have_url(re.compile("upload=1$"))
    see_results(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Find photos that look alike")).to_be_visible()
    assert titles(page) == 1
