"""What somebody left before it was done: nothing of it comes to what is shown now."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.service.browser.conftest import COLOURS, WAIT, Open, choose, picture, see_results, until
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
            const bitmap = await read(image, how);
            if (image.name === "slow.png") globalThis.isRead = true;
            return bitmap;
        };""")
    page.goto(service.url)
    choose(page, slow)
    until(page, "globalThis.readSlow")
    choose(page, upload)
    see_results(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("readSlow()")
    until(page, "globalThis.isRead")
    expect(page).to_have_title("Like <u>mine.png")
    expect(page).to_have_url(re.compile("upload=1$"))
    assert [url for url in asked if "/v1/" in url and "/v1/items" not in url] == []


def test_a_lens_that_answers_late(service: Running, visit: Open, upload: Path, tmp_path: Path) -> None:
    """Words and colours of the photo before do not come to the next one."""
    other = tmp_path / "other.png"
    picture(8, COLOURS["green"]).save(other)
    page = visit("about:blank")
    page.add_init_script("""
        const real = fetch;
        globalThis.fetch = async (url, how) => {
            if (!String(url).includes("/v1/lens") || globalThis.answer) return real(url, how);
            const late = await real(url, { ...how, signal: undefined });
            const told = await late.json();
            await new Promise((go) => { globalThis.answer = () => { go(); }; });
            globalThis.isOver = true;
            how.signal.throwIfAborted();
            return { ok: true, status: 200, json: async () => told };
        };""")
    page.goto(service.url)
    choose(page, other)
    until(page, "globalThis.answer")
    choose(page, upload)
    expect(page).to_have_url(re.compile("upload=2$"))
    chips = page.locator(".chips button:has(.swatch)")
    expect(chips.first).to_be_visible(timeout=WAIT)
    colours = chips.all_inner_texts()
    page.evaluate("answer()")
    until(page, "globalThis.isOver")
    assert chips.all_inner_texts() == colours
