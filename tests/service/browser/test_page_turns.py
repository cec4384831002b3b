"""What somebody left before it was done: nothing of it comes to what is shown now."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.service.browser.conftest import COLOURS, WAIT, Open, choose, picture, see_results
from tests.service.running import Running

pytestmark = pytest.mark.slow


def test_a_box_of_the_photo_before(service: Running, visit: Open) -> None:
    """One that keys just moved is not searched by in the next photo, whose own search goes on."""
    page = visit("about:blank")
    page.clock.install()
    page.goto(f"{service.url}/?id=0")
    see_results(page)
    page.locator("#mark").click()
    page.clock.run_for(1000)
    expect(page.locator("#answers")).to_have_text(re.compile("like this part"), timeout=WAIT)
    page.evaluate("""() => {
        const moved = new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true, cancelable: true });
        document.getElementById("crop").dispatchEvent(moved);
        document.querySelector(".tile .seek").click();
    }""")
    see_results(page)
    page.clock.run_for(5000)
    expect(page).to_have_url(re.compile(r"[?]id=\d+$"))
    expect(page.locator("#crop")).to_have_count(0)
    expect(page.locator("#answers")).to_have_text("23 photos like this")


def test_an_upload_that_was_read_late(service: Running, visit: Open, upload: Path, tmp_path: Path) -> None:
    """The first photo is still being read when the second is there."""
    slow = tmp_path / "slow.png"
    picture(7, COLOURS["green"]).save(slow)
    page = visit("about:blank")
    page.add_init_script("""
        const read = createImageBitmap;
        globalThis.createImageBitmap = async (image, how) => {
            if (image.name === "slow.png") await new Promise((go) => { globalThis.readSlow = go; });
            return read(image, how);
        };""")
    page.goto(service.url)
    choose(page, slow)
    page.wait_for_function("Boolean(globalThis.readSlow)")
    choose(page, upload)
    see_results(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("""async () => {
        readSlow();
        for (let frame = 0; frame < 10; frame++) await new Promise(requestAnimationFrame);
    }""")
    expect(page).to_have_title("Like <u>mine.png")
    expect(page).to_have_url(re.compile("upload=1$"))
    assert [url for url in asked if "/v1/" in url and "/v1/items" not in url] == []


def test_a_lens_that_answers_late(service: Running, visit: Open, upload: Path, tmp_path: Path) -> None:
    """Words and colours of the photo before do not come to the next one."""
    other = tmp_path / "other.png"
    picture(8, COLOURS["green"]).save(other)
    held: list[Route] = []
    page = visit("about:blank", told=("ERR_",))
    page.route("**/v1/lens*", lambda route: route.continue_() if held else held.append(route))
    page.goto(service.url)
    with page.expect_request("**/v1/lens*"):
        choose(page, other)
    see_results(page)
    choose(page, upload)
    expect(page).to_have_url(re.compile("upload=2$"))
    chips = page.locator(".chips button:has(.swatch)")
    expect(chips.first).to_be_visible(timeout=WAIT)
    colours = chips.all_inner_texts()
    answer = held[0].fetch()
    held[0].fulfill(response=answer)
    shown = [colour["name"] for colour in answer.json()["understanding"]["colours"]]
    assert [text.split()[0] for text in colours] != shown
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    assert chips.all_inner_texts() == colours
