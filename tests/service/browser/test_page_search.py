"""Somebody brings a photo, points at a part of it, and looks at what is found."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.service.browser.conftest import MARKUP, WAIT, Open, choose, drag, picture, see_dots, see_results
from tests.service.running import Running

pytestmark = pytest.mark.slow


def asked(page: Page) -> dict[str, list[str]]:
    """The parameters of the address."""
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


def test_upload_dots_drag_results(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    see_dots(page)
    tiles = see_results(page)
    assert tiles.count() == 24
    first = tiles.first.locator("img").get_attribute("alt")
    drag(page, (0.1, 0.2), (0.6, 0.8))
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    expect(page.get_by_role("button", name="Objects")).to_have_attribute("aria-pressed", "true")
    expect(tiles.first.locator(".outline")).to_be_visible()
    box = [float(share) for share in asked(page)["box"][0].split(",")]
    assert box == pytest.approx([0.1, 0.2, 0.6, 0.8], abs=0.01)
    page.get_by_role("button", name="Search all of the photo").click()
    expect(page.locator("#answers")).to_have_text("24 photos like this", timeout=WAIT)
    expect(tiles.first.locator("img")).to_have_attribute("alt", first or "")


def test_the_answers_are_those_of_the_service(service: Running, visit: Open, upload: Path) -> None:
    import httpx2

    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    hits = httpx2.post(f"{service.url}/v1/search?k=40", content=upload.read_bytes()).json()["hits"]
    shown = page.locator(".results .tile img").evaluate_all(
        "images => images.map((image) => image.getAttribute('src'))"
    )
    assert shown == [hit["thumbnail"] for hit in hits]
    far = page.locator(".results .far").all_inner_texts()
    assert [float(re.sub(r"[^\d.]", "", text)) for text in far] == pytest.approx(
        [hit["distance"] for hit in hits], rel=1e-2
    )


def test_a_dot_is_chosen_and_given_up(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    dot = see_dots(page).first
    see_results(page)
    assert dot.get_attribute("aria-label") == "lamp, 75 % sure"
    dot.click()
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)
    expect(dot).to_have_attribute("aria-pressed", "true")
    assert "dot" in asked(page)
    dot.click()
    expect(page.locator("#answers")).to_have_text("24 photos like this", timeout=WAIT)


def test_dropped_and_pasted(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    expect(page.get_by_role("heading", name="Find photos that look alike")).to_be_visible()
    send = """([bytes, kind, field]) => {
        const given = new DataTransfer();
        given.items.add(new File([new Uint8Array(bytes)], "mine.png", { type: "image/png" }));
        document.body.dispatchEvent(new (kind === "drop" ? DragEvent : ClipboardEvent)(kind,
            { bubbles: true, cancelable: true, [field]: given }));
    }"""
    for kind, field, number in (("drop", "dataTransfer", "1"), ("paste", "clipboardData", "2")):
        page.evaluate(send, [list(upload.read_bytes()), kind, field])
        expect(page).to_have_url(re.compile(f"upload={number}"), timeout=WAIT)
        see_results(page)


def test_a_camera_is_offered(service: Running, visit: Open) -> None:
    page = visit(service.url, has_touch=True, is_mobile=True, width=390, height=844)
    camera = page.locator("input[capture=environment]")
    expect(camera).to_have_attribute("accept", "image/*")
    expect(page.get_by_text("Take a photo")).to_be_visible()


def test_a_large_photo_is_sent_small(service: Running, visit: Open, tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    noise = Image.effect_noise((2400, 1600), 80).convert("RGB")
    noise.save(file)
    assert file.stat().st_size > 2 * 2**20
    page = visit(service.url)
    with page.expect_request(lambda request: "/v1/search" in request.url) as sent:
        choose(page, file)
    assert int(sent.value.all_headers()["content-length"]) < file.stat().st_size
    see_results(page)


def test_markup_is_text(service: Running, visit: Open, upload: Path) -> None:
    """A label, a file and a tag of the index, and the name of an upload; a dialog or a message would fail the test."""
    page = visit(f"{service.url}/?word={MARKUP['label']}")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(8, timeout=WAIT)
    expect(page.get_by_role("heading", name=MARKUP["label"], exact=True)).to_be_visible()
    expect(tiles.first.locator(".name")).to_have_text(MARKUP["label"])
    tiles.first.locator(".open").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(MARKUP["file"])
    expect(dialog).to_contain_text(MARKUP["tag"])
    page.keyboard.press("Escape")
    choose(page, upload)
    see_results(page)
    expect(page).to_have_title("Like <u>mine.png")
    assert page.locator("main i, main b, main u, img[src=x]").count() == 0


def test_words_and_colours_filter(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    tiles = see_results(page)
    chips = page.get_by_role("group", name="Filter the answers")
    chips.get_by_role("button", name="green").first.click()
    expect(tiles).to_have_count(8, timeout=WAIT)
    expect(tiles.locator(".name").first).to_have_text("green")
    assert asked(page)["word"] == ["green"]
    page.get_by_role("button", name="Clear").click()
    expect(tiles).to_have_count(24, timeout=WAIT)
    chips.locator(".chip:has(.swatch)").first.click()
    expect(page.locator("#answers")).to_have_text(re.compile(r"^\d+ photos? of 24 like this$"), timeout=WAIT)
    assert set(tiles.locator(".name").all_inner_texts()) == {"red"}
    assert re.fullmatch("[0-9a-f]{6}", asked(page)["colour"][0])


def test_all_sources(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    page.get_by_role("button", name="All sources").click()
    expect(page.locator(".results .far").first).to_contain_text(re.compile("looks|objects|words"), timeout=WAIT)
    page.locator(".sources summary").click()
    expect(page.locator(".sources dt").first).to_have_text("looks")


def test_an_answer_opens_large_and_is_searched_from(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    tiles = see_results(page)
    tiles.first.locator(".open").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".large img")).to_have_attribute("src", re.compile(r"^/v1/items/\d+/preview$"))
    expect(dialog.locator(".large img")).to_have_js_property("complete", True)
    expect(dialog).to_contain_text("distance")
    expect(dialog.get_by_role("link", name="Original")).to_have_attribute("href", re.compile(r"/original$"))
    file = dialog.locator(".file").inner_text()
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".file")).not_to_have_text(file)
    dialog.get_by_role("button", name="Search from this").click()
    expect(page).to_have_url(re.compile(r"\?id=\d+$"))
    expect(dialog).not_to_be_visible()
    assert see_results(page).count() == 23  # all but itself


def test_a_second_visit(service: Running, visit: Open) -> None:
    """By an item, a box and a filter, to a page of its own: the same answers, and the same address."""
    page = visit(f"{service.url}/?id=0&box=0.1,0.1,0.7,0.7&among=objects&word=red")
    see_results(page)
    expect(page.locator("#crop")).to_be_visible()
    expect(page.locator("#answers")).to_have_text("8 photos like this part", timeout=WAIT)
    sources = "images => images.map((image) => image.src)"
    shown = page.locator(".results .tile img").evaluate_all(sources)
    again = visit(page.url)
    expect(again.locator("#answers")).to_have_text("8 photos like this part", timeout=WAIT)
    assert again.locator(".results .tile img").evaluate_all(sources) == shown


def test_a_dot_by_its_address(service: Running, visit: Open) -> None:
    page = visit(f"{service.url}/?id=0")
    see_dots(page).nth(1).click()
    expect(page).to_have_url(re.compile("dot="))
    again = visit(page.url)
    expect(again.locator(".dot").nth(1)).to_have_attribute("aria-pressed", "true", timeout=WAIT)
    see_results(again)


def test_back_and_forward(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    drag(page, (0.2, 0.2), (0.8, 0.8))
    expect(page.locator("#crop")).to_be_visible()
    expect(page).to_have_url(re.compile("box="))
    page.go_back()
    expect(page.locator("#crop")).to_have_count(0)
    see_results(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Find photos that look alike")).to_be_visible()


def test_an_upload_has_no_link(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    expect(page.get_by_text("no link to share")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.get_by_role("heading", name="This photo is gone")).to_be_visible(timeout=WAIT)


def test_timing_is_told(service: Running, visit: Open, upload: Path) -> None:
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    table = page.locator("#timing")
    expect(table).to_have_count(0)
    page.get_by_role("button", name="Timing").click()
    for stage in ("/v1/objects", "/v1/search", "decode", "detect", "encode", "search"):
        expect(table).to_contain_text(stage)
    page.set_viewport_size({"width": 360, "height": 740})
    lines = table.locator("tbody th").evaluate_all("""rows => rows.map((row) => {
        const range = document.createRange();
        range.selectNodeContents(row);
        return new Set([...range.getClientRects()].map(({ top }) => top)).size;
    })""")
    assert set(lines) == {1}, "a path is one word"


def test_it_stays_narrow(service: Running, visit: Open, upload: Path) -> None:
    """Nothing is wider than a screen of 360 pixels."""
    page = visit(service.url, width=360, height=740)
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        choose(page, upload)
        see_results(page)


def test_light_and_dark(service: Running, visit: Open) -> None:
    page = visit(service.url, color_scheme="dark")
    shade = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(shade)
    button = page.get_by_role("button", name="Theme: auto")
    button.click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(shade) != dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(shade) != dark


def test_pictures_differ() -> None:
    """Photos of the tests are told apart by what they show."""
    assert picture(1, (200, 40, 40)).tobytes() != picture(2, (200, 40, 40)).tobytes()
