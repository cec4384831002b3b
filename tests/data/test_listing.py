"""What of a folder is an image, and what is told of the rest."""

import os
from pathlib import Path

import pytest
from PIL import Image

from dqh.data.images import EXTENSIONS, FORMATS, decode
from dqh.data.listing import ImageWalk, holds_image
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
    for name in [".DS_Store", "deep/.DS_Store", "desktop.ini", "a.txt", "deep/b.TXT", "c.json", "Makefile", "x.a b"]:
        (tmp_path / name).write_text("text")
    walk = ImageWalk()
    assert sorted(os.path.relpath(path, tmp_path) for path in walk.below(str(tmp_path))) == sorted(images)
    assert not caplog.messages
    walk.tell()
    hidden, by_content, others = caplog.messages
    assert hidden.startswith("8 hidden or file managers' own files and folders are left out: .DS_Store, ._1.jfif, ")
    assert by_content == "2 files are images by content: 1 of no known suffix, 1 .jpg_old"
    assert others == "5 files are no images and are left out: 2 of no known suffix, 2 .txt, 1 .json"


def test_nothing_is_told_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    save(tmp_path / "1.jpg", "JPEG")
    walk = ImageWalk()
    assert list(walk.below(str(tmp_path))) == [str(tmp_path / "1.jpg")]
    walk.tell()
    assert not caplog.messages
