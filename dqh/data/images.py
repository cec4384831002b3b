"""From the bytes of an image file to RGB pixels, whatever the file holds; caps are checked before decoding.

Colour profiles are not applied, and of several frames or pages the first is taken.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from dqh.data.caps import MAX_PIXELS, Pieces, check_header, check_memory, converting, turning
from dqh.data.source import content_hash
from dqh.errors import BadImageError, ConfigError, SystemLimitError
from dqh.files import open_regular
from dqh.inputs import InputSpec

MAX_BYTES = 128 * 2**20
"""Default cap on the size of one encoded image, bytes."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "AVIF")
"""Pillow's names of the formats that are decoded."""

EXTENSIONS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".avifs"),
    }
)
"""Their suffixes, in lower case: files with one are taken for images without a look at their content."""

_PILLOW_LIMIT = 2 * MAX_PIXELS  # Pillow itself refuses above this
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
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
_STRIP = 2**18  # pixels that are converted at a time


@dataclass(frozen=True)
class Limits:
    """The caps on one image.

    Args:
        max_pixels: width × height as the header states them, 1 … 178,956,970 (where Pillow stops).
        max_bytes: size of the encoded image, bytes.

    Raises:
        ConfigError: a cap is outside its range.
    """

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.max_pixels <= _PILLOW_LIMIT:
            problems.append(f"max_pixels must be in 1 … {_PILLOW_LIMIT}, got {self.max_pixels}")
        if self.max_bytes < 1:
            problems.append(f"max_bytes must be at least 1, got {self.max_bytes}")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class ImageFiles:
    """Image files below one folder.

    Args:
        root: the folder.
        limits: the caps on one image.
    """

    root: Path
    limits: Limits

    def read(self, path: str) -> Image.Image:
        """The RGB image of the file at `path`, relative to the root.

        Raises:
            BadImageError: it cannot be read or decoded.
            SystemLimitError: this process may open no more files.
        """
        return decode(self._content(path), max_pixels=self.limits.max_pixels)

    def shorter_side(self, path: str) -> int:
        """Pixels of the shorter side of the image at `path`, relative to the root, by its header alone.

        Raises:
            BadImageError: it cannot be read.
        """
        try:
            with Image.open(Pieces(self._content(path)), formats=FORMATS) as image:
                return min(image.size)
        except BadImageError:
            raise
        except Exception as error:  # as in `decode`
            raise BadImageError(f"cannot be decoded: {error or type(error).__name__}") from error

    def content_hash(self, path: str) -> bytes:
        """16 bytes from the bytes of the file at `path`, relative to the root.

        Raises:
            BadImageError: it cannot be read.
        """
        return content_hash(self._content(path))

    def _content(self, path: str) -> bytes:
        file = self.root / path
        try:
            with open_regular(file, links=True) as stream:
                content = stream.read(self.limits.max_bytes + 1)
        except (OSError, ValueError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in _NO_MORE_FILES:  # which says nothing of the image
                raise SystemLimitError(
                    f"{file} was not read: {error.strerror}; let this process open more files (ulimit -n 1024), and "
                    "run the command again"
                ) from error
            raise BadImageError(_reason(file, error)) from error
        check_bytes(len(content), max_bytes=self.limits.max_bytes)
        return content


def has_image_name(name: str) -> bool:
    """Whether a file name ends like that of an image.

    Example:
        >>> has_image_name("photo.JPG"), has_image_name("notes.txt")
        (True, False)
    """
    return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122 (a Path a name is 10× slower)


def check_bytes(size: int, *, max_bytes: int) -> None:
    """Refuse an encoded image that is empty or too large.

    Raises:
        BadImageError: `size` is 0 or above `max_bytes`.
    """
    if size == 0:
        raise BadImageError("empty (0 bytes)")
    if size > max_bytes:
        raise BadImageError(f"larger than max_bytes={max_bytes}")


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame of an encoded image, upright, as 8-bit RGB.

    The orientation in EXIF is applied. 16-bit grey keeps its high byte, as Pillow does for 16-bit RGB. What is
    transparent shows white.

    Args:
        content: of a file in one of `FORMATS`.
        max_pixels: cap on width × height, checked in the header before anything is decoded.

    Raises:
        BadImageError: the content is empty, no such image, too large, damaged, or has no fixed white (32-bit
            integer and float pixels).
    """
    check_bytes(len(content), max_bytes=len(content))
    try:
        image: Image.Image = Image.open(Pieces(content), formats=FORMATS)
        check_header(image, content, max_pixels=max_pixels)
        image.load()
        if turn := turn_of(image):
            check_memory(image, content, turning(image), max_pixels=max_pixels)
            image = image.transpose(turn)  # what was opened goes before its copy in RGB comes
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


def to_array(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """The centre of an image, its shorter side resized to R = `spec.resize`.

    The centre square is resized in one step, so that a very long image costs no more than a square one; its
    neighbours outside the square enter the filter as they would if the whole image had been resized.

    Args:
        image: RGB.
        spec: gives R and the interpolation.

    Returns:
        (3, R, R) uint8, read-only; in memory the channels are last, as networks compute fastest.
    """
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if side != spec.resize:
        box = (left, top, left + side, top + side)
        image = image.resize((spec.resize, spec.resize), _FILTERS[spec.interpolation], box=box)
    elif width != height:
        image = image.crop((left, top, left + side, top + side))
    return np.asarray(image).transpose(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """An image as 8-bit RGB: see `decode`.

    Raises:
        BadImageError: its pixels have no fixed white.
    """
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


def _reason(file: Path, error: Exception) -> str:
    """Why a file cannot be read."""
    if isinstance(error, MemoryError):
        return "not enough memory to read it"
    if isinstance(error, IsADirectoryError):
        try:
            os.scandir(file).close()
        except OSError as refused:
            return f"a folder that cannot be listed: {refused.strerror or refused}"
        return "a folder, not a file"
    if isinstance(error, FileNotFoundError) and file.is_symlink():
        return "dangling link"
    return f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else f"cannot be read: {error}"
