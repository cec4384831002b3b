"""Image files: which names they have, how they are opened, and what one of them may cost.

How their content becomes pixels is in `dqh.data.pixels`.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.caps import MAX_PIXELS, Pieces
from dqh.data.pixels import FORMATS, MAX_BYTES, centre_of, check_bytes, decode, turn_of
from dqh.data.source import content_hash
from dqh.errors import BadImageError, ConfigError, SystemLimitError
from dqh.files import open_regular
from dqh.inputs import InputSpec

if TYPE_CHECKING:
    from torch import Tensor

_Images = TypeVar("_Images", NDArray[Any], "Tensor")

EXTENSIONS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".avifs"),
    }
)
"""Suffixes of these formats, in lower case: files with one are taken for images without a look at their content."""

_PILLOW_LIMIT = 2 * MAX_PIXELS  # Pillow itself refuses above this
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
_SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
)
_MAY_TURN = (b"eXIf", b"Raw profile type", b"adobe.xmp")  # what PNG files tell of an orientation stands behind these


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
    """Image files below one folder, and the caps on one image."""

    root: Path
    limits: Limits

    def read(self, path: str) -> Image.Image:
        """The RGB image of the file at `path`, relative to the root.

        Raises:
            BadImageError: it cannot be read or decoded.
            SystemLimitError: this process may open no more files.
        """
        return decode(self.content(path), max_pixels=self.limits.max_pixels)

    def shorter_side(self, path: str) -> int:
        """Pixels of the shorter side of the image at `path`, relative to the root, by its header alone.

        Raises:
            BadImageError: it cannot be read.
        """
        try:
            with Image.open(Pieces(self.content(path)), formats=FORMATS) as image:
                return min(image.size)
        except BadImageError:
            raise
        except Exception as error:  # as in `decode`
            raise BadImageError(f"cannot be decoded: {error or type(error).__name__}") from error

    def upright_size(self, path: str) -> tuple[int, int]:
        """Width and height of the image at `path`, relative to the root, as `read` returns it.

        See `upright_size`.

        Raises:
            BadImageError: it cannot be read.
        """
        return upright_size(self.content(path), max_pixels=self.limits.max_pixels)

    def content_hash(self, path: str) -> bytes:
        """16 bytes from the bytes of the file at `path`, relative to the root.

        Raises:
            BadImageError: it cannot be read.
        """
        return content_hash(self.content(path))

    def content(self, path: str) -> bytes:
        """The bytes of the file at `path`, relative to the root.

        Raises:
            BadImageError: it cannot be read, or is larger than the caps allow.
            SystemLimitError: this process may open no more files.
        """
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


def upright_size(content: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height of an encoded image as `dqh.data.pixels.decode` returns it.

    The header of a JPEG, and of a PNG that says nothing of an orientation, is enough; others are decoded.

    Raises:
        BadImageError: it cannot be read.
    """
    try:
        with Image.open(Pieces(content), formats=FORMATS) as image:
            if image.format in ("JPEG", "MPO"):
                return image.size[::-1] if turn_of(image) in _SIDEWAYS else image.size
            if image.format == "PNG" and not any(mark in content for mark in _MAY_TURN):
                return image.size
    except BadImageError:
        raise
    except Exception as error:  # as in `decode`
        raise BadImageError(f"cannot be decoded: {error or type(error).__name__}") from error
    return decode(content, max_pixels=max_pixels).size


def has_image_name(name: str) -> bool:
    """Whether a file name ends like that of an image.

    Example:
        >>> has_image_name("photo.JPG"), has_image_name("notes.txt")
        (True, False)
    """
    return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122 (a Path a name is 10× slower)


def to_array(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """The centre of an image, its shorter side resized to R = `spec.resize`.

    The centre square is resized in one step, so that a very long image costs no more than a square one; its
    neighbours outside the square enter the filter as they would if the whole image had been resized.

    Of an RGB image (3, R, R) uint8, read-only; in memory the channels are last, as networks compute fastest.
    """
    return centre_of(image, spec.resize, interpolation=spec.interpolation)


def centre_crop(images: _Images, size: int | None) -> _Images:
    """The middle `size` × `size` pixels of (N, 3, R, R), as a view; all of them for None, and vectors as they are.

    Raises:
        ValueError: `size` is larger than the images.
    """
    if size is None or images.ndim == 2 or images.shape[-1] == size:
        return images
    if size > images.shape[-1]:
        raise ValueError(f"size={size} is larger than the images, which have {images.shape[-1]} pixels a side")
    start = (images.shape[-1] - size) // 2
    cropped: _Images = images[:, :, start : start + size, start : start + size]
    return cropped


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
