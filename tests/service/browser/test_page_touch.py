"""The page on a telephone: a finger scrolls, draws where it rests first, and finds answers above the fold."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.service.browser.conftest import WAIT, Open, choose, see_dots, see_results, until
from tests.service.running import Running

pytestmark = pytest.mark.slow

PHONE = {"width": 360, "height": 740, "has_touch": True, "is_mobile": True}


def places(page: Page, *shares: tuple[float, float]) -> list[dict[str, float]]:
    """Points of the screen at shares of the photo."""
    page.locator(".overlay").scroll_into_view_if_needed()
    area = page.locator(".overlay").bounding_box()
    assert area is not None
    return [{"x": area["x"] + x * area["width"], "y": area["y"] + y * area["height"]} for x, y in shares]


def touch(client: CDPSession, kind: str, *points: dict[str, float]) -> None:
    client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})


def test_a_box_by_finger(service: Running, visit: Open, upload: Path) -> None:
    """One that rests, until the photo says that it draws, and then moves."""
    page = visit(service.url, **PHONE)
    choose(page, upload)
    see_results(page)
    client = page.context.new_cdp_session(page)
    start, middle, end = places(page, (0.12, 0.1), (0.5, 0.5), (0.7, 0.95))
    touch(client, "touchStart", start)
    expect(page.locator(".overlay.held")).to_be_visible()
    touch(client, "touchMove", middle)
    touch(client, "touchMove", end)
    touch(client, "touchEnd")
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    expect(page.locator(".overlay.held")).to_have_count(0)
    box = [float(share) for share in parse_qs(urlsplit(page.url).query)["box"][0].split(",")]
    assert box == pytest.approx([0.12, 0.1, 0.7, 0.95], abs=0.02)
    corner, further = places(page, (box[2], box[3]), (0.9, 0.95))
    touch(client, "touchStart", corner)
    touch(client, "touchMove", further)
    touch(client, "touchEnd")
    expect(page).to_have_url(re.compile("box=[^&]*,0[.](89|9)"), timeout=WAIT)


def test_a_swipe_scrolls(service: Running, visit: Open, upload: Path) -> None:
    """Over the photo, and over a box of it: nothing is drawn, nothing moves."""
    page = visit(service.url, **PHONE)
    choose(page, upload)
    see_results(page)
    client = page.context.new_cdp_session(page)
    for _ in range(2):
        before = page.url
        start = places(page, (0.3, 0.9))[0]
        touch(client, "touchStart", start)
        for step in range(1, 11):
            touch(client, "touchMove", start | {"y": start["y"] - 15 * step})
        touch(client, "touchEnd")
        until(page, "scrollY > 100")
        assert page.url == before
        expect(page.locator("#answers")).not_to_have_text("Searching …")
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("button", name="Mark a part").or_(page.get_by_role("button", name="Search all")).click()
        expect(page.locator("#answers")).to_have_text(re.compile("24 photos like this"), timeout=WAIT)
        expect(page).not_to_have_url(before)


def test_answers_are_above_the_fold(service: Running, visit: Open, upload: Path) -> None:
    """However many words and colours there are: they are one row, which scrolls by itself."""
    page = visit(service.url, **PHONE)
    choose(page, upload)
    see_dots(page)
    see_results(page)
    chips = page.locator(".chips button")
    expect(chips.nth(3)).to_be_attached(timeout=WAIT)
    tops = {round(own.bounding_box()["y"]) for own in chips.all()}  # type: ignore[index]
    assert len(tops) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    first = page.locator(".tile").first.bounding_box()
    assert first is not None
    assert first["y"] < 740 - 60
