"""From the bytes of an image to pixels: every format and mode, and what is said of what is none."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from dqh.data import pixels
from dqh.data.pixels import decode, to_rgb, turn_of
from dqh.errors import BadImageError

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def two_tone(mode: str = "RGB") -> Image.Image:
    """6 × 4, left half red, right half green."""
    image = Image.new("RGB", (6, 4), RED)
    image.paste(GREEN, (3, 0, 6, 4))
    return image.convert(mode)


def exif_rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn 90° clockwise to see it upright
    return encode(two_tone(), "PNG", exif=exif)


def animated() -> bytes:
    return encode(Image.new("RGB", (6, 4), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (6, 4), GREEN)])


def half_transparent() -> bytes:
    image = two_tone("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    return encode(image, "PNG")


def grey16() -> Image.Image:
    return Image.fromarray(np.array([[0, 0x12FF], [0x8000, 0xFFFF]], dtype=np.uint16))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG", "WEBP"])
def test_every_format_gives_the_same_picture(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    image = decode(encode(two_tone(), kind, **options))
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image), np.asarray(two_tone()), atol=4 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        pytest.param(encode(two_tone("P"), "PNG"), {(0, 0): RED, (5, 3): GREEN}, id="palette"),
        pytest.param(animated(), {(0, 0): RED, (5, 3): RED}, id="animated GIF, first frame"),
        pytest.param(half_transparent(), {(0, 0): WHITE, (1, 1): RED, (5, 3): GREEN}, id="transparent is white"),
        pytest.param(encode(Image.new("1", (6, 4), 1), "PNG"), {(0, 0): WHITE}, id="one bit"),
        pytest.param(encode(Image.new("LA", (6, 4), (0, 0)), "PNG"), {(0, 0): WHITE}, id="grey with alpha"),
        pytest.param(encode(two_tone("CMYK"), "TIFF"), {(0, 0): RED, (5, 3): GREEN}, id="CMYK"),
        pytest.param(encode(Image.new("CMYK", (6, 4)), "JPEG"), {(0, 0): WHITE}, id="CMYK JPEG"),
        # rotated clockwise: the left half becomes the upper one, 4 wide and 6 high
        pytest.param(exif_rotated(), {(0, 0): RED, (3, 0): RED, (0, 5): GREEN, (3, 5): GREEN}, id="EXIF orientation"),
        # the high byte of 0x12FF is 0x12, of 0x8000 0x80
        pytest.param(encode(grey16(), "PNG"), {(1, 0): (0x12,) * 3, (0, 1): (0x80,) * 3, (1, 1): WHITE}, id="16 bit"),
        pytest.param(encode(grey16(), "TIFF"), {(1, 0): (0x12,) * 3, (0, 1): (0x80,) * 3}, id="16-bit TIFF"),
        pytest.param(b"P5 2 1 65535 " + struct.pack(">HH", 0x12FF, 0xFFFF), {(0, 0): (0x12,) * 3}, id="16-bit PGM"),
        pytest.param(
            encode(Image.new("L", (6, 4)), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff"), {(0, 0): (0,) * 3}, id="EXIF"
        ),
    ],
)
def test_odd_images_are_usable(content, pixels):
    image = decode(content)
    assert image.mode == "RGB"
    assert {at: image.getpixel(at) for at in pixels} == pixels


def odd_exif(number: int, value: bytes) -> bytes:
    """EXIF with orientation 6, and beside it one value of a type that is written otherwise than it is read."""
    entries = struct.pack("<HHIHxx", 0x0112, 3, 1, 6) + struct.pack("<HHI", 0x011A, number, 1)
    entries += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", 8 + 2 + 2 * 12 + 4)
    behind = value if len(value) > 4 else b""
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + behind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("number", "value"),
    [
        pytest.param(5, struct.pack("<ii", -1, 3), id="negative rational"),
        pytest.param(8, struct.pack("<h", -5), id="signed short below 0"),
        pytest.param(9, struct.pack("<i", 70_000), id="more than a short holds"),
        pytest.param(11, struct.pack("<f", float("nan")), id="NaN"),
    ],
)
def test_orientation_counts_whatever_stands_beside_it(kind, number, value):
    """Red on the left stands above once the image is turned clockwise."""
    image = decode(encode(two_tone(), kind, exif=odd_exif(number, value)))
    assert image.size == (4, 6)
    assert image.getpixel((1, 0))[0] > 200 > 100 > image.getpixel((1, 5))[0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_once(kind, orientation):
    """As Pillow turns it; neither it nor what is cut out of it is turned again."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(two_tone(), kind, exif=exif)
    image = decode(content)
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    assert np.array_equal(np.asarray(image), np.asarray(wanted))
    assert turn_of(image) is turn_of(image.crop((0, 0, 3, 3))) is turn_of(image.resize((9, 9))) is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0"])
def test_exif_that_cannot_be_read_says_nothing(kind, exif):
    assert decode(encode(two_tone(), kind, exif=exif)).size == (6, 4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I"])
def test_strips_give_what_the_whole_gives(mode, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    grey = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    image = {"I;16": grey, "I": grey.convert("I")}.get(mode) or Image.fromarray(values).convert(
        "RGB" if mode in ("CMYK", "P", "YCbCr", "HSV", "LAB") else "RGBA"
    )
    if mode == "LAB":
        image = Image.frombytes("LAB", image.size, image.tobytes())
    elif image.mode != mode:
        image = image.convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = to_rgb(image)
    monkeypatch.setattr(pixels, "_STRIP", 15)  # two rows of seven
    assert np.array_equal(to_rgb(image), whole)


def test_transparent_rgb_shows_white():
    image = two_tone()
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=RED)
    assert decode(stream.getvalue()).getpixel((0, 0)) == WHITE


def test_what_does_not_fit_in_memory_is_unusable(monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    content = encode(two_tone(), "PNG")
    monkeypatch.setattr(pixels, "to_rgb", full)
    with pytest.raises(BadImageError, match="not enough memory to decode"):
        decode(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "empty", id="0 bytes"),
        pytest.param(b"hello, I am text", "not an image in a known format", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image in a known format", id="EPS"),
        pytest.param(encode(Image.effect_noise((64, 64), 50), "JPEG")[:900], "cannot be decoded", id="truncated JPEG"),
        pytest.param(encode(Image.effect_noise((64, 64), 50), "PNG")[:900], "cannot be decoded", id="truncated PNG"),
        pytest.param(encode(two_tone(), "PNG").replace(b"IDAT", b"IDAX"), "known format|decoded", id="damaged PNG"),
        pytest.param(encode(Image.new("RGB", (101, 100)), "PNG"), "101 × 100 pixels, above max_pixels", id="large"),
        pytest.param(encode(Image.new("F", (2, 2)), "TIFF"), "float pixels", id="float"),
        pytest.param(encode(Image.new("I", (2, 2), 1 << 20), "TIFF"), "32-bit integer", id="32-bit integer"),
    ],
)
def test_unusable_images_say_why(content, reason):
    with pytest.raises(BadImageError, match=reason) as caught:
        decode(content, max_pixels=10_000)
    assert "0x" not in str(caught.value)  # reasons are the same in every run


@pytest.mark.parametrize(("side", "reason"), [(10_000, "above max_pixels"), (50_000, "exceeds limit")])
def test_a_bomb_is_refused_by_its_header(side, reason):
    """A header that promises more than there is; above its own limit Pillow is the one to refuse."""
    png = bytearray(encode(Image.new("L", (8, 8)), "PNG"))
    png[16:24] = struct.pack(">II", side, side)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(BadImageError, match=reason):
            decode(bytes(png))


@pytest.mark.parametrize(
    ("least", "size"), [(None, (640, 480)), (480, (640, 480)), (240, (320, 240)), (60, (80, 60)), (9, (80, 60))]
)
def test_a_jpeg_is_decoded_at_a_part_of_its_size(least, size):
    """At a half, a quarter or an eighth, as long as the shorter side keeps what is asked for."""
    content = encode(two_tone().resize((640, 480), Image.Resampling.NEAREST), "JPEG", quality=95)
    small = decode(content, least=least)
    assert small.size == size
    whole = np.asarray(decode(content).resize(size, Image.Resampling.BOX), int)
    assert np.abs(np.asarray(small, int) - whole).mean() < 2  # of 255
    assert decode(encode(two_tone(), "PNG"), least=1).size == (6, 4)
