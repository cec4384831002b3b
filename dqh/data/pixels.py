"""From the bytes of an encoded image to RGB pixels, whatever they hold; caps are checked before decoding.

Colour profiles are not applied, and of several frames or pages the first is taken. This file and `dqh.data.caps` need
numpy and Pillow alone, and are part of `verify_onnx.py`, so that services read images as this package does.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from dqh.data.caps import MAX_PIXELS, Pieces, check_header, check_memory, converting, turning
from dqh.errors import BadImageError

MAX_BYTES = 128 * 2**20
"""Default cap on the size of one encoded image, bytes."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "AVIF")
"""Pillow's names of the formats that are decoded."""

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP = 2**18  # pixels that are converted at a time


def check_bytes(size: int, *, max_bytes: int) -> None:
    """Raise `BadImageError` where an encoded image is empty or above `max_bytes`."""
    if size == 0:
        raise BadImageError("empty (0 bytes)")
    if size > max_bytes:
        raise BadImageError(f"larger than max_bytes={max_bytes}")


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS, least: int | None = None) -> Image.Image:
    """The first frame of an encoded image, upright, as 8-bit RGB.

    The orientation in EXIF is applied, and the image tells none any more. 16-bit grey keeps its high byte, as Pillow
    does for 16-bit RGB. What is transparent shows white.

    Args:
        content: of a file in one of `FORMATS`.
        max_pixels: cap on width × height, checked in the header before anything is decoded.
        least: pixels of the shorter side that are enough, for a small picture of it: a JPEG of twice as many or more is
            decoded at a half, a quarter or an eighth of its size, in a fraction of the time. None for all pixels.

    Raises:
        BadImageError: the content is empty, no such image, too large, damaged, or has no fixed white (32-bit
            integer and float pixels).
    """
    check_bytes(len(content), max_bytes=len(content))
    try:
        image: Image.Image = Image.open(Pieces(content), formats=FORMATS)
        check_header(image, content, max_pixels=max_pixels)
        if least is not None:
            image.draft(None, (least, least))  # which leaves both sides at least so long
        image.load()
        turn = turn_of(image)
        if turn is not None:  # the value of a mirroring is 0
            check_memory(image, content, turning(image), max_pixels=max_pixels)
            image = image.transpose(turn)  # what was opened goes before its copy in RGB comes
            _forget_turn(image)
        if not is_rgb(image):
            check_memory(image, content, converting(image), max_pixels=max_pixels)
        return to_rgb(image)
    except BadImageError:
        raise
    except MemoryError as error:
        raise BadImageError("not enough memory to decode it") from error
    except UnidentifiedImageError as error:
        raise BadImageError(f"not an image in a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # a damaged file makes the decoders raise nearly anything: it becomes the reason
        raise BadImageError(f"cannot be decoded: {error or type(error).__name__}") from error


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """How an image is to be turned or mirrored to stand upright; None where it does.

    Of all that EXIF says the orientation alone is read: values beside it may be anything.

    Args:
        image: loaded, since a PNG may have its EXIF behind the pixels.
    """
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except MemoryError:
        raise
    except Exception:  # EXIF that cannot be read says nothing, and the pixels are whole
        return None


def _forget_turn(image: Image.Image) -> None:
    """Take the orientation out of a turned image: Pillow copies it into that, and into all that is cut out."""
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}


def centre_of(image: Image.Image, side: int, *, interpolation: str) -> NDArray[np.uint8]:
    """The centre of an image, its shorter side resized to R pixels: see `dqh.data.images.to_array`."""
    width, height = image.size
    square = min(width, height)
    left, top = (width - square) // 2, (height - square) // 2
    box = (left, top, left + square, top + square)
    if square != side:
        image = image.resize((side, side), _FILTERS[interpolation], box=box)
    elif width != height:
        image = image.crop(box)
    return np.asarray(image).transpose(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """An image as 8-bit RGB, as `decode` makes it; `BadImageError` where its pixels have no fixed white."""
    if is_rgb(image):
        return image
    if image.mode == "F":
        raise BadImageError("float pixels, which have no fixed white")
    rgb = Image.new("RGB", image.size)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):  # a strip at a time, so that nothing large is there a third time
        box = (0, top, image.width, min(top + rows, image.height))
        rgb.paste(_strip_to_rgb(image.crop(box)), box)
    return rgb


def is_rgb(image: Image.Image) -> bool:
    """Whether an image is opaque 8-bit RGB."""
    return image.mode == "RGB" and not image.has_transparency_data


def _strip_to_rgb(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I"):
        values = np.asarray(strip)
        if values.min() < 0 or values.max() > 65535:
            raise BadImageError("32-bit integer pixels, which have no fixed white")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")
    return strip.convert("RGB")
