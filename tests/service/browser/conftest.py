"""The page in a real browser, before a service in a process of its own that has photos, labels, objects and tags."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from dqh.collection import index_images
from dqh.detection.writing import save_detector
from tests.collection.conftest import artifact
from tests.detection.conftest import NAMES, THREE, head, network, written
from tests.service.running import Running, running

__all__ = ["artifact"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKUP = {"label": "<i>blue", "file": "<img src=x onerror=alert(1)>", "tag": "<b>bold</b>"}
"""Of the blue photos: names that would be something else if they were taken for HTML."""

COLOURS = {"red": (200, 40, 40), MARKUP["label"]: (40, 60, 200), "green": (40, 160, 60)}
WAIT = 30_000
"""Milliseconds for what a busy machine does late."""

Open = Callable[..., Page]
Serve = Callable[..., Running]


def picture(seed: int, colour: tuple[int, int, int], size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Blocks around a colour."""
    generator = np.random.default_rng(seed)
    blocks = np.array(colour) + generator.integers(-40, 40, (6, 8, 3))
    return Image.fromarray(blocks.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


@pytest.fixture(scope="session")
def seer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a detector that sees a lamp of .75, another of .4, and a chair of .5 in every photo."""
    root = tmp_path_factory.mktemp("seer")
    save_detector(written(network(head(THREE)), root / "three.onnx"), root / "three", classes=NAMES)
    return root / "three"


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos each of three colours, whose folders are their labels; of some, sides differ."""
    root = tmp_path_factory.mktemp("photos")
    for label, colour in COLOURS.items():
        (root / label).mkdir()
        for number in range(8):
            name = f"{MARKUP['file']}{number}.png" if label == MARKUP["label"] else f"{number}.png"
            size = ((240, 180), (180, 240), (300, 120))[number % 3]
            picture(number, colour, size).save(root / label / name)
    lines = [f'"{label}/{file.name}","{MARKUP["tag"]}"' for label in COLOURS for file in (root / label).glob("<*")]
    (root / "tags.csv").write_text("".join(f"{line}\n" for line in lines))
    return root


@pytest.fixture(scope="session")
def collection(artifact: Path, photos: Path, seer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the photos, with objects and tags."""
    index = tmp_path_factory.mktemp("collection") / "index"
    index_images(artifact, [photos], index, objects=seer, tags=photos / "tags.csv", device="cpu")
    return index


@pytest.fixture(scope="session")
def plain(artifact: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the photos without objects and tags; nobody writes to it."""
    index = tmp_path_factory.mktemp("plain") / "index"
    index_images(artifact, [photos], index, device="cpu")
    return index


@pytest.fixture(scope="session")
def service(collection: Path, seer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that tests share."""
    messages = tmp_path_factory.mktemp("messages") / "shared"
    with running(collection, "--device", "cpu", "--detector", str(seer), "--originals", messages=messages) as own:
        yield own


@pytest.fixture(scope="session")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that the index does not have, whose name is no markup either."""
    file = tmp_path_factory.mktemp("upload") / "<u>mine.png"
    picture(99, COLOURS["red"], (320, 240)).save(file)
    return file


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is here to show the page; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        own = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield own
        own.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(index, "--option", …)` starts a service for one test, a router where there is no index."""
    with ExitStack() as stack:

        def start(index: Path | None, *arguments: str) -> Running:
            device = () if index is None else ("--device", "cpu")
            messages = tmp_path / f"messages{len(list(tmp_path.glob('messages*')))}"
            return stack.enter_context(running(index, *device, *arguments, messages=messages))

        yield start


@pytest.fixture
def visit(browser: Browser, serve: Serve) -> Iterator[Open]:
    """`visit(url, …)` opens a page in a context of its own; in the end none of them may have told an error.

    Pages end before the services of a test, whichever it names first: one that has still to load a picture would tell
    of a service that is gone. `told` are parts of messages that may be there, as what Chromium itself says of a status.
    """
    errors: list[str] = []
    allowed: list[str] = []
    with ExitStack() as stack:

        def start(url: str, *, told: tuple[str, ...] = (), width: int = 1280, height: int = 900, **how: Any) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, **how)
            stack.callback(context.close)
            allowed.extend(told)
            page = context.new_page()
            page.set_default_timeout(WAIT)
            page.on("console", lambda message: errors.extend(told_by(message)))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}") or dialog.dismiss())
            page.goto(url)
            return page

        yield start
    assert [error for error in errors if not any(part in error for part in allowed)] == []


def told_by(message: ConsoleMessage) -> list[str]:
    return [message.text] if message.type in ("error", "warning") else []


def choose(page: Page, file: Path) -> None:
    """Bring a photo."""
    page.locator("input[type=file]").first.set_input_files(file)


def see_results(page: Page) -> Locator:
    """The answers, once they are there."""
    tiles = page.locator(".results .tile")
    expect(tiles.first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("heading", name="like this")).to_be_visible()
    return tiles


def see_dots(page: Page) -> Locator:
    """The dots, once they are there."""
    dots = page.locator(".dot")
    expect(dots).to_have_count(3, timeout=WAIT)
    return dots


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the photo by a mouse, from one place to another, shares of its sides."""
    area = page.locator(".overlay").bounding_box()
    assert area is not None
    points = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=5)
    page.mouse.up()


def until(page: Page, condition: str) -> None:
    """Wait until something holds in the page; Playwright's own way would need `eval`, which the policy forbids."""
    holds = page.evaluate(f"""async () => {{
        const end = performance.now() + {WAIT};
        while (!({condition}) && performance.now() < end) await new Promise(requestAnimationFrame);
        return Boolean({condition});
    }}""")
    assert holds, f"{condition} does not hold"
