"""What URLs stand for: folders, images, lists and tables in stores."""

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh import remote
from dqh.data import Photos, read_photo
from dqh.data.images import Limits
from dqh.data.source import content_hash
from dqh.errors import BadImageError, DataError, RemoteError
from tests.data.conftest import png
from tests.stores import stored

__all__ = ["stored"]


def table(columns: dict[str, list]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content, row_group_size=2)
    return content.getvalue()


def test_a_folder_in_a_store_gives_its_images_by_name_with_the_folder_they_lie_in(
    stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    names = ("a/0.png", "b/1.PNG", "top.png", ".thumbnails/1.png", ".thumbnails/2.png", "b/c", "b/1.png~", "a/x.txt")
    for name in names:
        remote.put_bytes(png(len(name)), f"{stored}/{name}")
    photos = Photos([f"{stored}/"])
    assert [(photo.path.removeprefix(stored), photo.labels) for photo in photos.photos] == [
        ("/a/0.png", ("a",)),
        ("/b/1.PNG", ("b",)),
        ("/top.png", None),
    ]
    assert photos.common_folder == stored
    assert photos.content_hash(0) == content_hash(png(7))
    assert photos.read(0).size == read_photo(f"{stored}/a/0.png").size == (24, 20)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "1 hidden or file manager's own file or folder is left out",
        "1 backup or unfinished download is left out",
        "2 objects are not named like images and left out, as each look into one is a request; name images among them "
        "in a list",
    ]


def test_a_list_in_a_store_is_read_as_one_on_a_disk(stored: str, folder: Callable[[int], Path]) -> None:
    """Lines are relative to its folder, URLs, or paths of this machine; a URL that is not taken is a fault."""
    own = folder(1) / "a" / "0.png"
    lines = (
        "a/0.png hat\n../other/1 2.png shoe\n"
        f"{stored}/c.png hat\n{own} hat\nhttps://host/d.png hat\ns3://NAME:PASS@bucket/e.png hat\n"
    )
    remote.put_bytes(lines.encode(), f"{stored}/lists.txt")
    photos = Photos([f"{stored}/lists.txt"])
    above = stored.rpartition("/")[0]
    assert [(photo.path, photo.labels) for photo in photos.photos[:4]] == [
        (f"{stored}/a/0.png", ("hat",)),
        (f"{above}/other/1 2.png", ("shoe",)),
        (f"{stored}/c.png", ("hat",)),
        (str(own), ("hat",)),
    ]
    assert [photo.path.rpartition(":")[2] for photo in photos.photos[4:]] == ["5", "6"]
    assert photos.photos[4].fault.startswith("https://host/d.png is of no store that is read")
    assert photos.photos[5].fault.startswith("a URL with a password, key or signature in it")
    assert "PASS" not in str(photos.photos)
    assert photos.common_folder == stored
    with pytest.raises(BadImageError, match=r"^cannot be read: No such file or directory$"):
        photos.read(0)


def test_a_table_in_a_store_stands_for_its_rows(stored: str) -> None:
    content = table({"image": [png(1), png(2), None, png(4)], "label": ["hat", None, "hat", "shoe"]})
    remote.put_bytes(content, f"{stored}/t.parquet")
    photos = Photos([f"{stored}/t.parquet"])
    assert [(photo.path, photo.labels) for photo in photos.photos] == [
        (f"{stored}/t.parquet#0", ("hat",)),
        (f"{stored}/t.parquet#1", ()),
        (f"{stored}/t.parquet#2", ("hat",)),
        (f"{stored}/t.parquet#3", ("shoe",)),
    ]
    hashes = dict(photos.content_hashes(range(4)))
    assert [hashes[row] for row in (0, 1, 3)] == [content_hash(png(number)) for number in (1, 2, 4)]
    assert str(hashes[2]) == "the row holds no image bytes"
    assert read_photo(f"{stored}/t.parquet#3").tobytes() == photos.read(3).tobytes()
    with pytest.raises(BadImageError, match="row must be in 0"):
        read_photo(f"{stored}/t.parquet#4")


def test_a_single_object_is_an_image_a_table_or_a_list_by_name_and_content(stored: str) -> None:
    for name in ("1.png", "2", "3.parquet", "4"):
        remote.put_bytes(b"text" if name == "4" else png(1), f"{stored}/{name}")
    photos = Photos([f"{stored}/1.png", f"{stored}/2"])
    assert [photo.path for photo in photos.photos] == [f"{stored}/1.png", f"{stored}/2"]
    with pytest.raises(DataError, match=r"3.parquet cannot be read: .*magic bytes"):
        Photos([f"{stored}/3.parquet"])
    assert [photo.path for photo in Photos([f"{stored}/4"]).photos] == [f"{stored}/text"]


def test_what_images_of_several_places_have_in_common(stored: str, folder: Callable[[int], Path]) -> None:
    own = folder(1)
    for name in ("a/1.png", "a/b/2.png"):
        remote.put_bytes(png(1), f"{stored}/{name}")
    assert Photos([f"{stored}/a/b", f"{stored}/a"]).common_folder == f"{stored}/a"
    assert Photos([f"{stored}/a/1.png", own]).common_folder == f"{stored}/a"
    assert Photos([own, f"{stored}/a"]).common_folder == str(own)


def test_the_caps_on_an_image_hold_in_a_store(stored: str) -> None:
    content = png(1)
    remote.put_bytes(content, f"{stored}/1.png")
    remote.put_bytes(b"", f"{stored}/2.png")
    photos = Photos([stored], limits=Limits(max_bytes=len(content) - 1))
    with pytest.raises(BadImageError, match=f"larger than max_bytes={len(content) - 1}"):
        photos.read(0)
    with pytest.raises(BadImageError, match=r"empty \(0 bytes\)"):
        photos.read(1)
    with pytest.raises(BadImageError, match="24 × 20 pixels, above max_pixels=479"):
        Photos([f"{stored}/1.png"], limits=Limits(max_pixels=479)).read(0)


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("{stored}/none", DataError, "no images at {stored}/none: give folders, list files"),
        ("s3://N:PASS@bucket/a", RemoteError, "s3://***@bucket/a holds a password"),
        ("https://host/a", RemoteError, "https://host/a is of no store that is read"),
    ],
)
def test_a_url_of_nothing(url: str, kind: type[Exception], message: str, stored: str) -> None:
    with pytest.raises(kind) as raised:
        Photos([url.format(stored=stored)])
    assert message.format(stored=stored) in str(raised.value)


def test_a_store_that_cannot_be_reached_is_told_before_anything_is_read(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is named itself or by the lines of a list; that it does not tell of one image is no such thing."""
    remote.put_bytes(f"{stored}/1.png\n".encode(), f"{stored}/list")
    entry = remote.entry
    error: OSError = OSError(5, "no answer")

    def asked(url: str) -> remote.Entry | None:
        if url.endswith("list"):
            return entry(url)
        raise error

    monkeypatch.setattr(remote, "entry", asked)
    for named in (stored, f"{stored}/list"):
        with pytest.raises(DataError, match="cannot be reached: no answer; look at the name, the network, and"):
            Photos([named])
    error = PermissionError(13, "Forbidden")
    assert len(Photos([f"{stored}/list"])) == 1
    with pytest.raises(DataError, match="cannot be reached: Forbidden"):
        Photos([stored])
