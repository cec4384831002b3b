"""What of a folder is an image, and what is told of the rest."""

import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from dqh.data import caps, listing
from dqh.data.images import EXTENSIONS
from dqh.data.listing import ImageWalk, holds_image
from dqh.data.pixels import FORMATS, decode
from dqh.errors import BadImageError


def save(path: Path, kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (9, 7), (200, 30, 20)).save(file, kind)
    return path


def test_suffixes_are_those_that_pillow_registers_for_what_is_decoded() -> None:
    registered = Image.registered_extensions()
    assert {suffix for suffix, kind in registered.items() if kind in FORMATS} == EXTENSIONS


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_that_is_decoded_is_told_by_content(kind: str, tmp_path: Path) -> None:
    file = save(tmp_path / "scan", kind)
    assert holds_image(str(file))
    assert decode(file.read_bytes()).size == (9, 7)


@pytest.mark.parametrize(
    "content",
    [b"", b"a.png 0 1\n", b"BMW, Audi\n", b"P6 is a test\n", b"P1\n", b"II*\0", b"\xff\xd8", b"GIF", b"PK\3\4" * 9],
)
def test_text_and_rubbish_is_no_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not holds_image(str(tmp_path / "file"))
    with pytest.raises(BadImageError):
        decode(content)


def test_a_look_at_a_header_reads_no_more_than_the_caps_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow reads what a field of a TIFF names: here 900 MB of a file that is nearly all hole."""
    field = struct.pack("<HHII", 40_000, 1, 900_000_000, 0)
    with (tmp_path / "file").open("wb") as file:
        file.write(b"II*\0" + struct.pack("<IH", 8, 1) + field)
        file.truncate(1_000_000_000)
    monkeypatch.setattr(listing, "MAX_BYTES", 10_000_000)
    tracemalloc.start()
    assert not holds_image(str(tmp_path / "file"))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_tiny_pieces_are_read_up_to_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "file", "JPEG")
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content[:2] + b"\xff\xfe\0\2" * 1000 + content[2:])
    assert holds_image(str(tmp_path / "file"))
    monkeypatch.setattr(caps, "MAX_READS", 1000)
    assert not holds_image(str(tmp_path / "file"))


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not holds_image(str(tmp_path / "pipe"))
    assert not holds_image(str(tmp_path / "nowhere"))


def test_what_is_left_out_is_counted_in_a_line_a_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    images = ["1.jfif", "deep/2.JPE", "3.avif", "4", "5.jpg_old", "damaged.pgm"]
    for name, kind in zip(images, ["JPEG", "JPEG", "AVIF", "PNG", "JPEG"], strict=False):
        save(tmp_path / name, kind)
    (tmp_path / "damaged.pgm").write_text("P5")
    for name in [".ipynb_checkpoints/1.jpg", "__MACOSX/2.jpg", "._1.jfif", "deep/._2.jpg", "deep/Thumbs.db"]:
        save(tmp_path / name, "JPEG")
    for name in [
        "IMG_1.HEIC",
        "deep/2.heic",
        "3.nef",
        ".DS_Store",
        "deep/.DS_Store",
        "desktop.ini",
        "a.txt",
        "deep/b.TXT",
        "c.json",
        "Makefile",
        "x.a b",
    ]:
        (tmp_path / name).write_text("text")
    walk = ImageWalk()
    assert sorted(os.path.relpath(path, tmp_path) for path in walk.below(str(tmp_path))) == sorted(images)
    assert not caplog.messages
    walk.tell()
    hidden, by_content, photos, others = caplog.messages
    assert hidden.startswith("8 hidden or file managers' own files and folders are left out: .DS_Store, ._1.jfif, ")
    assert by_content == "2 files are images by content: 1 of no known suffix, 1 .jpg_old"
    assert (
        photos == "3 photos are of formats that are not decoded and left out: 2 .heic, 1 .nef; save them as JPEG or PNG"
    )
    assert others == "5 files are no images and are left out: 2 of no known suffix, 2 .txt, 1 .json"


def test_backups_and_unfinished_downloads_are_no_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a folder that is named so, the images are; a JPEG that is named like an archive is one."""
    caplog.set_level("INFO")
    left_out = ["1.png~", "1.jpg.BAK", "2.jpg.orig", "2.jpg.tmp", "deep/3.jpg.part", "deep/4.jpg.crdownload"]
    images = ["1.png", "old.bak/1.jpg", "5.tar.gz"]
    for name in [*left_out, *images]:
        save(tmp_path / name, "JPEG")
    walk = ImageWalk()
    assert sorted(os.path.relpath(path, tmp_path) for path in walk.below(str(tmp_path))) == sorted(images)
    walk.tell()
    assert caplog.messages == [
        "6 backups or unfinished downloads are left out: 1.jpg.BAK, 1.png~, 2.jpg.orig, 2.jpg.tmp, 3.jpg.part, …",
        "1 file is an image by content: 1 .gz",
    ]


def test_nothing_is_told_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    save(tmp_path / "1.jpg", "JPEG")
    walk = ImageWalk()
    assert list(walk.below(str(tmp_path))) == [str(tmp_path / "1.jpg")]
    walk.tell()
    assert not caplog.messages
