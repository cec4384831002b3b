import errno
import os
import socket

import numpy as np
import pytest
from PIL import Image

from dqh.data import images
from dqh.data.images import ImageFiles, Limits, has_image_name, to_array
from dqh.errors import BadImageError, ConfigError, SystemLimitError
from dqh.inputs import InputSpec
from tests.data.test_pixels import encode, two_tone

RED = (255, 0, 0)


def test_an_image_of_the_right_size_is_not_resampled():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    array = to_array(Image.fromarray(pixels), InputSpec(size=5, resize=5))
    np.testing.assert_array_equal(array, pixels[:, 1:6].transpose(2, 0, 1))
    assert array.transpose(1, 2, 0).flags.c_contiguous  # channels last in memory


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("width", "height"), [(48, 24), (24, 48), (12, 36)])
def test_to_array_is_resize_then_centre_crop(width, height, interpolation):
    """Where the sides divide, resizing the whole image and cropping its centre is the same.

    Up to one grey level: Pillow rounds between its two passes, whose order depends on the shape.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, side = Image.fromarray(pixels), 8
    scale = side / min(width, height)
    whole = image.resize(
        (round(width * scale), round(height * scale)), getattr(Image.Resampling, interpolation.upper())
    )
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    wanted = np.asarray(whole.crop((left, top, left + side, top + side))).transpose(2, 0, 1)
    array = to_array(image, InputSpec(size=side, resize=side, interpolation=interpolation))
    np.testing.assert_allclose(array.astype(int), wanted.astype(int), atol=1)


def test_a_very_long_image_costs_no_more_than_a_square_one():
    array = to_array(Image.new("RGB", (1_000_000, 1), RED), InputSpec(size=64, resize=64))
    assert array.shape == (3, 64, 64)
    assert (array[0] == 255).all()


def test_a_file_that_does_not_fit_in_memory_is_unusable(monkeypatch, tmp_path):
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr(images, "open_regular", full)
    with pytest.raises(BadImageError, match="not enough memory to read"):
        ImageFiles(tmp_path, Limits()).content_hash("a.png")


@pytest.mark.parametrize(
    ("limits", "match"),
    [({"max_pixels": 0}, "max_pixels"), ({"max_pixels": 10**9}, "max_pixels"), ({"max_bytes": 0}, "max_bytes")],
)
def test_impossible_limits_are_refused(limits, match):
    with pytest.raises(ConfigError, match=match):
        Limits(**limits)


def test_files_that_are_no_images_say_what_they_are(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "huge.jpg").write_bytes(bytes(101))
    files = ImageFiles(tmp_path, Limits(max_bytes=100))
    for name, reason in {
        "folder.jpg": "a folder",
        "dangling.jpg": "dangling link",
        "absent.jpg": "cannot be read: No such file",
        "huge.jpg": "larger than max_bytes=100",
    }.items():
        with pytest.raises(BadImageError, match=reason):
            files.read(name)
        with pytest.raises(BadImageError, match=reason):
            files.content_hash(name)


def test_regular_files_alone_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "linked pipe.jpg").symlink_to("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(tmp_path / "socket.jpg"))
    (tmp_path / "photo.png").write_bytes(encode(two_tone(), "PNG"))
    (tmp_path / "linked.png").symlink_to("photo.png")
    files = ImageFiles(tmp_path, Limits())
    for name, kind in {"pipe": "named pipe", "linked pipe": "named pipe", "zero": "device", "socket": "socket"}.items():
        with pytest.raises(BadImageError, match=f"a {kind} where a regular file is wanted"):
            files.read(f"{name}.jpg")
    assert files.read("linked.png").size == (6, 4)


def test_names_of_images():
    names = ["a.jpg", "b.JPEG", "c.d.Png", "e.ppm", "f.tif", "g.gif"]
    assert all(map(has_image_name, names))
    assert not any(map(has_image_name, ["a.txt", "jpg", ".jpg", "a.jpg.part"]))


def test_a_limit_of_open_files_is_no_fault_of_the_image(tmp_path, monkeypatch):
    def refused(*given, **named):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(images, "open_regular", refused)
    with pytest.raises(SystemLimitError, match=r"a.png was not read: Too many open files; .*ulimit -n 1024"):
        ImageFiles(tmp_path, Limits()).content_hash("a.png")


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_upright_size_is_that_of_the_decoded_image(tmp_path, suffix, orientation):
    """Also of a TIFF, which Pillow turns itself."""
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (12, 8), (200, 30, 40)).save(tmp_path / f"a.{suffix}", exif=exif)
    files = ImageFiles(tmp_path, Limits())
    assert files.upright_size(f"a.{suffix}") == files.read(f"a.{suffix}").size
    assert files.upright_size(f"a.{suffix}") == ((8, 12) if (orientation or 1) > 4 else (12, 8))


def test_the_upright_size_of_a_jpeg_needs_no_pixels(tmp_path):
    """Cut behind its header, it has a size and no image."""
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg", quality=95)
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:700])
    files = ImageFiles(tmp_path, Limits())
    assert files.upright_size("a.jpg") == (400, 300)
    with pytest.raises(BadImageError):
        files.read("a.jpg")


def test_what_has_no_size(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    files = ImageFiles(tmp_path, Limits())
    for name, match in {"a.jpg": "cannot be decoded", "no.jpg": "cannot be read: No such file"}.items():
        with pytest.raises(BadImageError, match=match):
            files.upright_size(name)
