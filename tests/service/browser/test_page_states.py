"""What the page says where something is missing, refused, busy or gone, each as the service itself brings it about."""

import re
import shutil
import socket
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dqh.collection import index_images
from dqh.index.store import remove
from tests.service.browser.conftest import WAIT, Open, Serve, choose, drag, see_results
from tests.service.running import Running, head

pytestmark = pytest.mark.slow

TOKEN = "a token of the tests"


def test_a_token_is_asked_for_once(plain: Path, serve: Serve, visit: Open, upload: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    service = serve(plain, "--token-file", str(tmp_path / "token"))
    page = visit(service.url, told=("status of 401",))
    field = page.get_by_label("Token")
    field.fill("another token, which is wrong")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("this is not the token", timeout=WAIT)
    field.fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator(".tile img").first).to_have_js_property("complete", True, timeout=WAIT)
    assert page.locator(".tile img").first.evaluate("image => image.naturalWidth") > 0
    choose(page, upload)
    see_results(page)
    page.goto(service.url)
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)


def test_a_busy_service_is_asked_again(plain: Path, serve: Serve, visit: Open, upload: Path) -> None:
    """One body that does not come takes the only place for uploads, until its connection ends."""
    service = serve(plain, "--uploads", "1", "--body-seconds", "60")
    page = visit(service.url, told=("status of 503",))
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    other = service.send(head("/v1/search", method="POST", content_length=1000))
    choose(page, upload)
    expect(page.get_by_text("The service is busy; asking again in 1 s.")).to_be_visible(timeout=WAIT)
    other.shutdown(socket.SHUT_RDWR)
    other.close()
    see_results(page)
    expect(page.locator(".note")).to_have_count(0)


def test_a_service_that_stays_busy(plain: Path, serve: Serve, visit: Open, upload: Path) -> None:
    """It is given up after three times, and asked again by a button."""
    service = serve(plain, "--uploads", "1", "--body-seconds", "60")
    page = visit(service.url, told=("status of 503",))
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    other = service.send(head("/v1/search", method="POST", content_length=1000))
    choose(page, upload)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("too many uploads at a time", timeout=WAIT)
    other.close()
    alert.get_by_role("button", name="Try again").click()
    see_results(page)
    expect(alert).to_have_count(0)


def test_no_connection(plain: Path, serve: Serve, visit: Open, upload: Path) -> None:
    """It is told, and what was asked is asked again when there is one."""
    service = serve(plain)
    page = visit(service.url, told=("ERR_INTERNET_DISCONNECTED",))
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    page.context.set_offline(True)
    choose(page, upload)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer", timeout=WAIT)
    page.context.set_offline(False)
    see_results(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_without_a_detector(plain: Path, serve: Serve, visit: Open, upload: Path) -> None:
    """No dots, and no order of objects; a box does what it does."""
    service = serve(plain)
    page = visit(service.url)
    choose(page, upload)
    see_results(page)
    expect(page.locator(".dot")).to_have_count(0)
    expect(page.get_by_role("button", name="Objects")).to_have_count(0)
    expect(page.get_by_text("Drag a box around something.")).to_be_visible()
    drag(page, (0.1, 0.1), (0.6, 0.6))
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)


def test_what_is_no_photo(service: Running, visit: Open, tmp_path: Path) -> None:
    file = tmp_path / "letter.jpg"
    file.write_text("Dear reader")
    page = visit(service.url, told=("status of 422",))
    choose(page, file)
    expect(page.get_by_role("alert")).to_contain_text("This photo cannot be used", timeout=WAIT)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_is_too_large(plain: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """What the browser cannot read is sent as it is."""
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(2**20 + 1))
    service = serve(plain, "--max-body", "1")
    page = visit(service.url, told=("status of 413", "ERR_CONNECTION"))
    choose(page, file)
    expect(page.get_by_role("alert")).to_contain_text("too large", timeout=WAIT)


def test_an_item_that_is_not_there(service: Running, visit: Open) -> None:
    page = visit(f"{service.url}/?id=99999", told=("status of 404",))
    expect(page.get_by_role("alert")).to_contain_text("no item 99999", timeout=WAIT)


def test_a_picture_that_is_gone(artifact: Path, photos: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """It says so in its place; the answer and all others stay."""
    shutil.copytree(photos, tmp_path / "photos")
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    (tmp_path / "photos" / "red" / "0.png").unlink()
    service = serve(tmp_path / "index")
    page = visit(f"{service.url}/?word=red", told=("status of 404",))
    expect(page.locator(".tile")).to_have_count(8, timeout=WAIT)
    expect(page.locator(".frame.gone")).to_have_count(1, timeout=WAIT)


def test_an_address_that_makes_no_sense(service: Running, visit: Open) -> None:
    """What can be understood of it is shown."""
    page = visit(f"{service.url}/?id=0&box=2,nan,-1,x&among=everything&colour=red&dot=1")
    see_results(page)
    expect(page.locator("#crop")).to_have_count(0)


def test_an_index_without_photos(plain: Path, serve: Serve, visit: Open, upload: Path, tmp_path: Path) -> None:
    index = Path(shutil.copytree(plain, tmp_path / "index"))
    remove(index, where="id >= 0")
    service = serve(index)
    page = visit(service.url)
    expect(page.get_by_text("The index has no photos yet.")).to_be_visible(timeout=WAIT)
    choose(page, upload)
    expect(page.get_by_text(re.compile("No photo: the index has no images"))).to_be_visible(timeout=WAIT)
