"""What is refused before it is decoded."""

import io
import struct
import zlib

import pytest
from PIL import Image

from dqh.data import caps
from dqh.data.caps import scans_of
from dqh.data.pixels import decode
from dqh.errors import BadImageError


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def progressive(scans: int, *, thumbnail: bytes = b"") -> bytes:
    """A JPEG of so many scans: the last one of an ordinary file again and again, behind a thumbnail in its comment."""
    jpeg = encode(Image.new("RGB", (24, 16), "red"), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    again = scans - jpeg.count(b"\xff\xda")
    segment = b"\xff\xfe" + struct.pack(">H", len(thumbnail) + 2) + thumbnail if thumbnail else b""
    return jpeg[:2] + segment + jpeg[2:-2] + jpeg[last:-2] * again + jpeg[-2:]


@pytest.mark.parametrize("scans", [99, 100])
def test_as_many_scans_as_are_allowed(scans: int) -> None:
    assert scans_of(progressive(scans)) == scans
    assert decode(progressive(scans)).size == (24, 16)


@pytest.mark.parametrize("scans", [101, 20_000])
def test_more_scans_are_refused_unread(scans: int) -> None:
    assert scans_of(progressive(scans)) == 101
    with pytest.raises(BadImageError, match="a JPEG of more than 100 scans"):
        decode(progressive(scans))


@pytest.mark.parametrize("scans", [99, 101])
def test_scans_count_where_other_pictures_lie_behind_the_first(scans: int) -> None:
    several = encode(Image.new("RGB", (8, 8)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    start = several.index(b"\xff\xe2")  # of the list of pictures, by which Pillow calls the format MPO
    end = start + 2 + int.from_bytes(several[start + 2 : start + 4], "big")
    content = b"\xff\xd8" + several[start:end] + progressive(scans)[2:]
    assert Image.open(io.BytesIO(content)).format == "MPO"
    if scans <= 100:
        assert decode(content).size == (24, 16)
    else:
        with pytest.raises(BadImageError, match="a JPEG of more than 100 scans"):
            decode(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(progressive(20, thumbnail=progressive(99)), id="in a thumbnail"),
        pytest.param(progressive(20) + b"\xff\xda" * 200, id="behind the end"),
        pytest.param(progressive(20, thumbnail=b"\xff\xda" * 200), id="in a comment"),
    ],
)
def test_markers_that_are_no_scans_do_not_count(content: bytes) -> None:
    assert scans_of(content) == 20
    assert decode(content).size == (24, 16)


@pytest.mark.parametrize(
    "padding", [b"\xff" * 9, b"junk", b"\xff\x00\xff\xd0"], ids=["fill bytes", "junk", "stuffed and restart"]
)
def test_scans_are_counted_as_the_decoder_comes_by_them(padding: bytes) -> None:
    assert scans_of(progressive(150).replace(b"\xff\xda", padding + b"\xff\xda")) == 101


@pytest.mark.parametrize(
    ("kind", "options", "a_pixel"),
    [
        pytest.param("JPEG", {}, 4, id="JPEG"),
        # int16 coefficients, of chroma at a quarter of the pixels: 2 + 1/2 + 1/2, and 4 of RGB
        pytest.param("JPEG", {"progressive": True}, 7, id="progressive JPEG"),
        pytest.param("JPEG", {"progressive": True, "subsampling": 0}, 10, id="progressive JPEG 4:4:4"),
        pytest.param("WEBP", {}, 16, id="WebP"),
        pytest.param("PNG", {}, 4, id="PNG"),
        pytest.param("TIFF", {}, 7, id="TIFF"),
    ],
)
def test_memory_is_bounded_by_the_header(
    kind: str, options: dict[str, object], a_pixel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(Image.new("RGB", (40, 25), "red"), kind, **options)
    needed = len(content) + 1000 * a_pixel + caps._STRIP_BYTES
    monkeypatch.setattr(caps, "MAX_MEMORY", needed)
    decode(content)
    monkeypatch.setattr(caps, "MAX_MEMORY", needed - 1)
    with pytest.raises(BadImageError, match=rf"40 × 25 pixels of a {kind} \(RGB\) take 10 MB to decode, above 10 MB"):
        decode(content)
    decode(content, max_pixels=2 * caps.MAX_PIXELS)  # who allows more pixels allows more memory


def test_one_component_a_scan_takes_the_memory_of_several_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sequential JPEG of which the first scan holds one of three components: libjpeg keeps its coefficients."""
    jpeg = encode(Image.new("RGB", (40, 25), "red"), "JPEG", subsampling=0)
    scan = jpeg.index(b"\xff\xda")
    content = jpeg[:scan] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + jpeg[scan:]
    monkeypatch.setattr(caps, "MAX_MEMORY", len(content) + 1000 * 10 + caps._STRIP_BYTES - 1)
    with pytest.raises(BadImageError, match="MB to decode"):
        decode(content)


@pytest.mark.parametrize(("mode", "a_pixel"), [("RGBA", 8), ("P", 5), ("CMYK", 8), ("I;16", 6)])
def test_conversion_counts(mode: str, a_pixel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("L", (40, 25), 7).convert(mode)
    content = encode(image, "JPEG" if mode == "CMYK" else "PNG")
    monkeypatch.setattr(caps, "MAX_MEMORY", len(content) + 1000 * a_pixel + caps._STRIP_BYTES - 1)
    with pytest.raises(BadImageError, match="MB to decode"):
        decode(content)


def test_turning_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(Image.new("RGB", (40, 25), "red"), "JPEG", exif=exif)
    monkeypatch.setattr(caps, "MAX_MEMORY", len(content) + 1000 * 8 + caps._STRIP_BYTES - 1)
    with pytest.raises(BadImageError, match="MB to decode"):
        decode(content)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_chunks() -> bytes:
    png = encode(Image.new("L", (8, 8)), "PNG")
    return png[:33] + chunk(b"vpAg", b"") * 400 + png[33:]


def jpeg_segments() -> bytes:
    jpeg = encode(Image.new("L", (8, 8)), "JPEG")
    return jpeg[:2] + b"\xff\xfe\x00\x02" * 400 + jpeg[2:]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png_chunks(), id="PNG of many chunks"),
        pytest.param(jpeg_segments(), id="JPEG of many segments"),
        pytest.param(b"P5 20 20 254\n" + bytes(400), id="PGM that is read pixel by pixel"),
    ],
)
def test_a_file_of_too_many_pieces_is_refused(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    decode(content)
    monkeypatch.setattr(caps, "MAX_READS", 300)
    with pytest.raises(BadImageError, match="more than 300 pieces to read"):
        decode(content)


def test_pixels_as_text_are_capped() -> None:
    assert decode(b"P2 1000 1000 255\n" + b"7 " * 10**6).getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(BadImageError, match="1001 × 1000 pixels in plain text, above 1000000; save it as binary PPM"):
        decode(b"P2 1001 1000 255\n" + b"7 " * 1001000)


def test_strips_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(Image.new("L", (8, 80)), "TIFF", tiffinfo={278: 1})
    decode(content)
    monkeypatch.setattr(caps, "MAX_STRIPS", 79)
    with pytest.raises(BadImageError, match="80 strips, above 79"):
        decode(content)
