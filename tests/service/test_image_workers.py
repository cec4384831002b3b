import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from dqh.data.pixels import decode
from dqh.errors import BadImageError
from dqh.service import image_workers as module
from dqh.service.image_workers import ImageWorkers
from tests.data.conftest import picture
from tests.service.conftest import encoded


@pytest.fixture(scope="module")
def workers() -> Iterator[ImageWorkers]:
    own = ImageWorkers(1, pixels=100_000, seconds=10)
    yield own
    own.close()


def turned() -> bytes:
    """A JPEG of 480 × 200 that EXIF turns, with a place and a comment."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0)}
    return encoded(picture(0, (480, 200)), "JPEG", exif=exif, comment=b"by me", icc_profile=b"profile", quality=95)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pixels_are_those_of_an_index(workers: ImageWorkers, kind: str) -> None:
    content = encoded(picture(1), kind)
    assert np.array_equal(np.asarray(workers.image(content)), np.asarray(decode(content)))


def test_sizes_are_of_the_upright_image(workers: ImageWorkers) -> None:
    assert workers.size(turned()) == workers.image(turned()).size == (200, 480)


def test_a_picture_is_small_upright_and_says_nothing_else(workers: ImageWorkers) -> None:
    content = workers.picture(turned(), side=240)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (100, 240))
        assert not image.getexif()
        assert not {"comment", "exif", "icc_profile"} & image.info.keys()
        small = np.asarray(image.convert("RGB"), np.int64)
    wanted = np.asarray(decode(turned()).resize((100, 240), Image.Resampling.LANCZOS), np.int64)
    assert np.abs(small - wanted).mean() < 6  # of 255, after two times JPEG


def test_a_small_image_stays_as_large(workers: ImageWorkers) -> None:
    with Image.open(io.BytesIO(workers.picture(encoded(picture(0), "PNG"), side=320))) as image:
        assert image.size == (24, 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "not an image in a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a known format"),
        (encoded(Image.new("RGB", (401, 250)), "PNG"), "100250 pixels|401 × 250"),
        (encoded(picture(0), "PNG")[:80], "cannot be decoded|truncated"),
    ],
)
def test_what_cannot_be_used(workers: ImageWorkers, content: bytes, message: str) -> None:
    with pytest.raises(BadImageError, match=message):
        workers.image(content)
    assert workers.size(encoded(picture(0), "PNG")) == (24, 20)


def test_what_takes_too_long_is_ended_and_the_next_is_decoded() -> None:
    large = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)), "PNG", compress_level=1
    )
    own = ImageWorkers(1, pixels=10**7, seconds=10)
    own.warm()
    own._seconds = 0.005
    with pytest.raises(BadImageError, match=r"not done after 0\.005 seconds"):
        own.image(large)
    own._seconds = 10
    assert own.size(encoded(picture(0), "PNG")) == (24, 20)
    own.close()


def test_memory_of_a_large_image_goes_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 10_000)
    own = ImageWorkers(1, pixels=10**6, seconds=10)
    own.size(encoded(picture(0), "PNG"))
    assert own._free.queue[0] is not None
    own.image(encoded(Image.new("RGB", (100, 100)), "PNG"))
    assert own._free.queue[0] is None
    assert own.size(encoded(picture(0), "PNG")) == (24, 20)
    own.close()
