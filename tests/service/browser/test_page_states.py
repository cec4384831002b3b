"""What the page says where something is missing, refused, busy or gone, each as the service itself brings it about."""

import re
import shutil
import socket
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dqh.collection import index_images
from dqh.index.store import remove
from tests.service.browser.conftest import MARKUP, WAIT, Open, Serve, choose, drag, picture, see_dots, see_results
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
    """It has no parts to mark, and to send it again is no use."""
    file = tmp_path / "letter.jpg"
    file.write_text("Dear reader")
    page = visit(service.url, told=("status of 422",))
    choose(page, file)
    expect(page.get_by_role("alert")).to_contain_text("This photo cannot be used", timeout=WAIT)
    expect(page.locator(".stage")).to_contain_text("Your browser cannot show this photo.")
    expect(page.locator("#mark, .overlay, figcaption .hint")).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
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


@pytest.mark.parametrize(
    ("address", "title", "text"),
    [
        ("?id=99999", "This photo is not in the index", "no item 99999"),
        ("?cluster=999", "This cluster is not there", "this service has no clusters"),
        ("?clusters", "There are no clusters", "this service has no clusters"),
    ],
)
def test_what_is_not_there_is_explained(service: Running, visit: Open, address: str, title: str, text: str) -> None:
    """With a way home, and without a stage for what cannot come."""
    page = visit(f"{service.url}/{address}", told=("status of 404", "status of 409"))
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=WAIT)
    expect(page.locator("main")).to_contain_text(text)
    expect(page.locator(".stage, [role=alert]")).to_have_count(0)
    page.get_by_role("link", name="To the start").click()
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    page.go_back()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize(
    ("word", "more"),
    [
        ("nonsense", ""),
        ("constructor", ""),
        (MARKUP["tag"], " Tags filter the answers of a search; photos are chosen here by labels."),
    ],
)
def test_a_word_that_is_no_label(service: Running, visit: Open, word: str, more: str) -> None:
    """Nor a tag, be it called as something that every object of JavaScript has."""
    page = visit(f"{service.url}/?word={word}")
    told = page.locator(".alone p")
    expect(told).to_have_text(f"No photo of the index has the label “{word}”.{more}", timeout=WAIT)
    expect(page.locator(".tile")).to_have_count(0)
    page.get_by_role("button", name="All photos").click()
    expect(page.locator(".tile")).to_have_count(24, timeout=WAIT)
    expect(page).to_have_url(f"{service.url}/")


@pytest.mark.parametrize("word", ["nonsense", "constructor"])
def test_a_word_that_no_answer_has(service: Running, visit: Open, word: str) -> None:
    page = visit(f"{service.url}/?id=0&word={word}")
    expect(page.locator(".alone p")).to_have_text("None of the answers has what is asked for.", timeout=WAIT)
    page.get_by_role("button", name="Clear the filters").click(timeout=WAIT)
    assert see_results(page).count() == 23


def test_a_picture_that_is_gone(artifact: Path, photos: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """It says so in its place; the answer and all others stay."""
    shutil.copytree(photos, tmp_path / "photos")
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    (tmp_path / "photos" / "red" / "0.png").unlink()
    service = serve(tmp_path / "index")
    page = visit(f"{service.url}/?word=red", told=("status of 404",))
    expect(page.locator(".tile")).to_have_count(8, timeout=WAIT)
    expect(page.locator(".frame.gone")).to_have_count(1, timeout=WAIT)
    page.locator(".tile:has(.frame.gone) .open").click()
    large = page.get_by_role("dialog").locator(".large")
    expect(large).to_contain_text("cannot be read any more", timeout=WAIT)
    shutil.copy(photos / "red" / "0.png", tmp_path / "photos" / "red" / "0.png")
    large.get_by_role("button", name="Try again").click()
    expect(large.locator("img")).to_have_js_property("naturalWidth", 240, timeout=WAIT)
    (tmp_path / "photos" / "red" / "0.png").unlink()
    page.get_by_role("dialog").get_by_role("button", name="Search from this").click()
    assert see_results(page).count() == 23  # by its code


def test_an_item_whose_photo_is_gone(artifact: Path, photos: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """The stage says so, and offers no part of it; what looks like it is found by its code."""
    shutil.copytree(photos, tmp_path / "photos")
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    (tmp_path / "photos" / "green" / "0.png").unlink()
    page = visit(f"{serve(tmp_path / 'index').url}/?id=8", told=("status of 404",))
    assert see_results(page).count() == 23
    expect(page.locator(".stage")).to_contain_text("cannot be read any more", timeout=WAIT)
    expect(page.locator("#mark, .overlay, figcaption .hint")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_busy_service_has_no_picture_now(plain: Path, serve: Serve, visit: Open) -> None:
    page = visit("about:blank", told=("status of 503",))
    problem = {"status": 503, "title": "", "detail": "too many requests at a time", "request_id": "0"}
    page.route("**/preview", lambda route: route.fulfill(status=503, json=problem))
    page.goto(serve(plain).url)
    page.locator(".tile .open").first.click()
    expect(page.get_by_role("dialog").locator(".large")).to_contain_text("too many requests at a time", timeout=WAIT)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".large img")).to_have_js_property("complete", True, timeout=WAIT)
    assert page.locator(".large img").evaluate("image => image.naturalWidth") > 0


def test_an_upload_that_the_browser_cannot_show(service: Running, visit: Open, tmp_path: Path) -> None:
    """A TIFF: the stage has its shape and says why it is empty; dots and box work."""
    picture(5, (200, 40, 40), (300, 120)).save(tmp_path / "scan.tif")
    page = visit(service.url)
    choose(page, tmp_path / "scan.tif")
    see_dots(page)
    see_results(page)
    stage = page.locator(".stage")
    expect(stage).to_contain_text("Your browser cannot show this photo. It is searched by all the same.")
    area = stage.bounding_box()
    assert area is not None
    assert area["width"] / area["height"] == pytest.approx(300 / 120, rel=0.02)
    drag(page, (0.2, 0.2), (0.8, 0.8))
    expect(page.locator("#crop")).to_be_visible()
    expect(page.locator("#answers")).to_have_text("24 photos like this part", timeout=WAIT)


def test_what_the_index_has_is_told_anew(plain: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """After an answer of another version: its count of photos, and its labels."""
    index = Path(shutil.copytree(plain, tmp_path / "index"))
    page = visit(serve(index).url, told=("status of 404",))  # of thumbnails that come after the removal
    expect(page.locator(".size")).to_have_text("24 photos", timeout=WAIT)
    labels = page.get_by_role("group", name="Photos of a label").get_by_role("button")
    expect(labels).to_have_count(3)
    remove(index, where="label = 'green'")

    def is_told() -> bool:
        page.get_by_role("button", name="Others").click()
        return page.locator(".size").inner_text() == "16 photos"

    assert any(is_told() for _ in range(500))
    expect(labels).to_have_count(2)


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
