"""axe-core finds no serious violation in what the page shows, light and dark, narrow and wide; nor in /docs."""

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dqh.collection import index_images
from tests.service.browser.conftest import MARKUP, WAIT, Open, choose, drag, picture, see_dots, see_results
from tests.service.running import Running, running

pytestmark = pytest.mark.slow

SETTLED = "Promise.allSettled(document.getAnimations().map(one => one instanceof CSSTransition && one.finished))"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

looks = pytest.mark.parametrize(
    ("scheme", "width"), [(scheme, width) for scheme in ("light", "dark") for width in (360, 1280)]
)


def violations(page: Page) -> list[str]:
    """What axe calls serious or critical, and where."""
    page.evaluate(AXE)
    expect(page.locator("[aria-busy='true']")).to_have_count(0, timeout=WAIT)  # answers that wait for others are dim
    page.evaluate(SETTLED)
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


@pytest.fixture(scope="module")
def bereft(artifact: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose item 0 has lost its photo."""
    root = tmp_path_factory.mktemp("bereft")
    shutil.copytree(photos, root / "photos")
    index_images(artifact, [root / "photos"], root / "index", device="cpu")
    (root / "photos" / MARKUP["label"] / f"{MARKUP['file']}0.png").unlink()
    with running(root / "index", "--device", "cpu", messages=root / "messages") as own:
        yield own


@looks
@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("?id=99999", "This photo is not in the index"),
        ("?upload=7", "This photo is gone"),
        ("?cluster=999", "This cluster is not there"),
        ("?word=nonsense", "No photo of the index has the label"),
        ("?id=1&word=nonsense", "None of the answers has what is asked for"),
    ],
)
def test_what_is_not_there(service: Running, visit: Open, address: str, text: str, scheme: str, width: int) -> None:
    told = ("status of 404", "status of 409")
    page = visit(f"{service.url}/{address}", told=told, color_scheme=scheme, width=width)
    expect(page.get_by_text(text)).to_be_visible(timeout=WAIT)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@looks
def test_a_picture_that_is_gone(bereft: Running, visit: Open, scheme: str, width: int) -> None:
    """In its tile, large, and where it is searched by."""
    page = visit(bereft.url, told=("status of 404",), color_scheme=scheme, width=width)
    expect(page.locator(".frame.gone")).to_have_count(1, timeout=WAIT)
    assert violations(page) == []
    page.locator(".tile:has(.frame.gone) .open").click()
    expect(page.locator(".large .missing")).to_contain_text("cannot be read any more", timeout=WAIT)
    assert violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Search from this").click()
    see_results(page)
    expect(page.locator(".stage .missing")).to_contain_text("cannot be read any more", timeout=WAIT)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@looks
def test_photos_that_cannot_be_used(service: Running, visit: Open, tmp_path: Path, scheme: str, width: int) -> None:
    """One that the browser alone cannot show, then what is none."""
    picture(5, (200, 40, 40)).save(tmp_path / "scan.tif")
    (tmp_path / "letter.jpg").write_text("Dear reader")
    page = visit(service.url, told=("status of 422",), color_scheme=scheme, width=width)
    choose(page, tmp_path / "scan.tif")
    see_results(page)
    expect(page.locator(".stage .missing")).to_be_visible()
    assert violations(page) == []
    choose(page, tmp_path / "letter.jpg")
    expect(page.get_by_role("alert")).to_contain_text("This photo cannot be used", timeout=WAIT)
    assert violations(page) == []


@looks
def test_the_description_of_the_routes(service: Running, visit: Open, scheme: str, width: int) -> None:
    page = visit(f"{service.url}/docs", color_scheme=scheme, width=width)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
