"""What one image may cost, looked up in its header before anything is decoded: pixels, scans, memory.

The memory is that of Pillow's decoders and of what `dqh.data.images` does with their pixels, measured a format at a
time: see `benchmarks/attacks_images.py`.
"""

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from dqh.errors import BadImageError

MAX_PIXELS = 89_478_485
"""Default cap on width × height: a quarter of a GiB of RGB, above which Pillow warns of a decompression bomb."""

MAX_MEMORY = 500_000_000
"""Bytes that the decoding of one image may take, its file included; who raises `max_pixels` raises it in proportion."""

MAX_SCANS = 100
"""Scans of a JPEG. Encoders make about ten, and each costs as much as a whole image."""

MAX_READS = 1_000_000
"""Pieces in which Pillow's own loops may read a file: chunks of a PNG, segments of a JPEG, runs of a BMP."""

MAX_STRIPS = 100_000
"""Parts that Pillow hands to a decoder one by one, as the strips of a TIFF."""

MAX_PLAIN = 1_000_000
"""Pixels of a PPM in plain text, whose numbers Pillow reads one by one."""

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)  # that a decoder stops at, parameters behind it
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA

_RGB = 4  # bytes a pixel, in Pillow's memory
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_CANVASES = 12  # RGBA of WebP twice or the planes of AVIF, and the copy that is handed over
_STRIP_BYTES = 10_000_000  # of the strips that are converted, and of a decoder's own


class Pieces(io.BytesIO):
    """The content of a file for Pillow, in at most `MAX_READS` pieces: its loops over tiny ones take minutes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; `BadImageError` where there were too many pieces."""
        self._left -= 1
        if self._left < 0:
            raise BadImageError(f"more than {MAX_READS:,} pieces to read; save it anew with an ordinary program")
        return super().read(size)


class FilePieces(io.RawIOBase):
    """A file of the caller's for Pillow's look at its header: in at most `MAX_READS` pieces and `most` bytes."""

    def __init__(self, file: BinaryIO, *, most: int) -> None:
        super().__init__()
        self._file, self._pieces, self._bytes = file, MAX_READS, most

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; `BadImageError` where there were too many pieces, or too many bytes."""
        most = self._bytes + 1
        content = self._file.read(most if size is None or size < 0 else min(size, most))
        self._pieces, self._bytes = self._pieces - 1, self._bytes - len(content)
        if min(self._pieces, self._bytes) < 0:
            raise BadImageError("its header takes too much reading; save it anew with an ordinary program")
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The byte that comes next."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True


def check_header(image: Image.Image, content: bytes, *, max_pixels: int) -> None:
    """Refuse an image that would cost too much.

    Raises:
        BadImageError: it has too many pixels, scans or parts, or would take too much memory.
    """
    width, height = image.size
    if width * height > max_pixels:
        raise BadImageError(f"{width} × {height} pixels, above max_pixels={max_pixels}")
    if image.format in ("JPEG", "MPO") and scans_of(content) > MAX_SCANS:  # MPO: a JPEG with others behind it
        raise BadImageError(f"a JPEG of more than {MAX_SCANS} scans; save it anew with an ordinary program")
    tiles = getattr(image, "tile", ())
    if len(tiles) > MAX_STRIPS:
        raise BadImageError(f"{len(tiles)} strips, above {MAX_STRIPS}; save it anew with an ordinary program")
    if tiles and tiles[0][0] == "ppm_plain" and width * height > MAX_PLAIN:
        raise BadImageError(f"{width} × {height} pixels in plain text, above {MAX_PLAIN}; save it as binary PPM")
    check_memory(image, content, _stored(image) + _decoder(image, content), max_pixels=max_pixels)


def check_memory(image: Image.Image, content: bytes, a_pixel: int, *, max_pixels: int) -> None:
    """Refuse an image whose next step would take too much memory.

    `a_pixel` is in bytes that are there at a time; memory goes by `max_pixels` where that is above `MAX_PIXELS`.

    Raises:
        BadImageError: it does.
    """
    memory = len(content) + image.width * image.height * a_pixel + _STRIP_BYTES
    most = MAX_MEMORY * max(1.0, max_pixels / MAX_PIXELS)
    if memory > most:
        raise BadImageError(
            f"{image.width} × {image.height} pixels of a {image.format} ({image.mode}) take {memory / 1e6:.0f} MB to "
            f"decode, above {most / 1e6:.0f} MB; make it smaller"
        )


def turning(image: Image.Image) -> int:
    """Bytes a pixel while an image is turned: it is there twice."""
    return 2 * _stored(image)


def converting(image: Image.Image) -> int:
    """Bytes a pixel while an image is converted to RGB."""
    return _stored(image) + _RGB


def scans_of(content: bytes) -> int:
    r"""How many scans a JPEG has, or, where they are few, at least as many; counting stops behind `MAX_SCANS`.

    Example:
        >>> scans_of(b"\xff\xd8\xff\xda\x00\x02data\xff\xd9")
        1
    """
    most = content.count(b"\xff\xda")  # those in thumbnails and behind the end among them
    if most <= MAX_SCANS:
        return most
    return sum(1 for _ in islice((kind for kind, _ in _segments(content) if kind == _SOS), MAX_SCANS + 1))


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Marker of each segment of a JPEG, and where its parameters begin, as libjpeg comes by them."""
    position = 0
    while marker := _MARKER.search(content, position):
        position, kind = marker.end(), marker[1][0]
        if kind == _EOI:
            return
        if kind != _SOI:
            yield kind, position + 2
            position += max(2, int.from_bytes(content[position : position + 2], "big"))


def _stored(image: Image.Image) -> int:
    return _STORED.get(image.mode, _RGB)


def _decoder(image: Image.Image, content: bytes) -> int:
    """Bytes a pixel that a decoder keeps beside the pixels that it hands over."""
    if image.format in ("WEBP", "AVIF"):
        return _CANVASES
    if image.format == "TIFF":  # a strip, which may be the whole
        tags: Any = getattr(image, "tag_v2", {})
        return -(-int(sum(tags.get(ExifTags.Base.BitsPerSample, (8,)))) // 8)
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    first = next((content[start] for kind, start in _segments(content) if kind == _SOS), 0) if layers else 0
    if first == len(layers) and "progressive" not in image.info:  # all in one scan
        return 0
    widest = max(across * down for _, across, down, _ in layers)
    return -(-2 * sum(across * down for _, across, down, _ in layers) // widest)  # int16 coefficients
