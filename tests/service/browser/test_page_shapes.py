"""Photos much wider or higher than others: outlines and dots lie on what they mark, captions beside one another."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Route, expect

from dqh.collection import index_images
from dqh.index.store import open_index
from tests.service.browser.conftest import WAIT, Open, picture, see_results
from tests.service.running import Running, running

pytestmark = pytest.mark.slow

MAGENTA = (255, 0, 255)
SHAPES = {
    "panorama": ((800, 100), "lamp", (150, 75, 350, 100)),
    "tower": ((200, 800), "chair", (100, 100, 200, 300)),
}
"""Sizes of photos, and one object each that the detector of the tests sees there.

Its boxes are in an input of 64 × 64 pixels, where the photos are 8 % of their sizes and lie in the top left. Times
12.5, 12, 6, 28, 14 is 150, 75, 350, 175, of which the panorama ends at a height of 100; and 8, 8, 24, 24 is 100, 100,
300, 300, of which the tower ends at a width of 200.
"""


@pytest.fixture(scope="module")
def long(artifact: Path, seer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of long photos, one object each of which is magenta, and of others."""
    root = tmp_path_factory.mktemp("long")
    (root / "photos").mkdir()
    for number, (name, (size, _, box)) in enumerate(SHAPES.items()):
        image = picture(number, (40, 160, 60), size)
        image.paste(MAGENTA, box)
        image.save(root / "photos" / f"{name}.png")
        picture(number, (40, 60, 200)).save(root / "photos" / f"other{number}.png")
    index_images(artifact, [root / "photos"], root / "index", objects=seer, device="cpu")
    return root / "index"


@pytest.fixture(scope="module")
def of_long(long: Path, seer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    messages = tmp_path_factory.mktemp("messages") / "long"
    with running(long, "--device", "cpu", "--detector", str(seer), messages=messages) as own:
        yield own


def id_of(index: Path, name: str) -> int:
    """Of a whole photo."""
    version = open_index(index).version
    rows = version.rows(np.flatnonzero(~version.objects))
    return next(row.id for row in rows if row.path.endswith(f"{name}.png"))


def shown(element: Locator) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Its pixels."""
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", SHAPES)
def test_an_outline_lies_on_its_object(of_long: Running, visit: Open, long: Path, name: str, width: int) -> None:
    """What is magenta on the screen is what the outline encloses, as far as the tile shows it."""
    page = visit(f"{of_long.url}/?id={id_of(long, 'other0')}&among=objects&word={SHAPES[name][1]}", width=width)
    see_results(page)
    frame = page.locator(f".frame:has(img[alt*='{name}.png'])")
    frame.scroll_into_view_if_needed()
    expect(frame.locator("img")).to_have_js_property("complete", True, timeout=WAIT)
    red, green, blue = np.moveaxis(shown(frame).astype(int), -1, 0)
    rows, columns = np.nonzero((red > 200) & (green < 60) & (blue > 200))
    area, box = frame.bounding_box(), frame.locator("rect").bounding_box()
    assert len(rows) > 100
    assert area is not None
    assert box is not None
    left, top = box["x"] - area["x"], box["y"] - area["y"]
    corner = min(area["width"], left + box["width"]), min(area["height"], top + box["height"])
    seen = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    # the outline is two pixels wide, its shadow another one, and JPEG has colours of two pixels each way
    assert seen == pytest.approx((max(0, left), max(0, top), *corner), abs=5)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", SHAPES)
def test_a_dot_stays_in_its_object(of_long: Running, visit: Open, long: Path, name: str, width: int) -> None:
    """Of objects beside and within one another, each dot is in its own, and all are in places of their own."""
    boxes = [
        *([0.3, 0.4, 0.4, 0.6], [0.31, 0.41, 0.39, 0.59], [0.32, 0.3, 0.38, 0.7], [0.34, 0.45, 0.36, 0.55]),
        *([0.9, 0.0, 1.0, 1.0], [0.94, 0.45, 0.96, 0.55], [0.0, 0.0, 0.01, 0.02], [0.0, 0.0, 1.0, 1.0]),
    ]
    seen = [
        {"box": box, "dot": [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], "object": "lamp", "score": 0.5}
        for box in boxes
    ]

    def answer(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, json=told.json() | {"objects": seen})

    page = visit("about:blank", width=width)
    page.route("**/v1/objects*", answer)
    page.goto(f"{of_long.url}/?id={id_of(long, name)}")
    points = page.locator(".dot .point")
    expect(points).to_have_count(len(boxes), timeout=WAIT)
    places = points.evaluate_all("""points => points.map((point) =>
        ["cx", "cy"].map((name) => parseFloat(point.getAttribute(name)) / 100))""")
    outside = [
        (x, y, box)
        for (x, y), box in zip(places, boxes, strict=True)
        if not (box[0] <= x <= box[2] and box[1] <= y <= box[3])
    ]
    assert outside == []
    assert len({tuple(place) for place in places}) == len(places)


def test_captions_lie_beside_one_another(of_long: Running, visit: Open, long: Path) -> None:
    """Names and distances under tiles of any width: within the tile, and not over one another."""
    page = visit(f"{of_long.url}/?id={id_of(long, 'other0')}", width=360)
    see_results(page)
    tiles = page.locator(".results .tile").evaluate_all("""tiles => tiles.map((tile) => {
        const sides = (own) => { const { left, right } = own.getBoundingClientRect(); return [left, right]; };
        const parts = [...tile.querySelectorAll(".caption > *")].filter((part) => part.checkVisibility());
        return { tile: sides(tile), parts: parts.map(sides), shown: parts.map(({ className }) => className) };
    })""")
    widths = [right - left for left, right in (tile["tile"] for tile in tiles)]
    assert min(widths) < 80 < 100 < max(widths)
    for tile in tiles:
        ends = [end for part in tile["parts"] for end in part]
        assert ends == sorted(ends), tile
        assert tile["tile"][0] <= ends[0], tile
        assert ends[-1] <= tile["tile"][1] + 0.5, tile
        assert "name" in tile["shown"]
    assert {tuple(tile["shown"]) for tile in tiles if tile["tile"][1] - tile["tile"][0] > 100} == {("name", "far")}
