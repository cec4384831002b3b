"""Runs over images in stores: the index of the same images on a disk, by URL."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh import remote
from dqh.collection import TooManyUnusableError, index_images, search_images
from dqh.data.parquet_table import Tables
from dqh.errors import DataError, RemoteError
from dqh.index.store import check, open_index, remove
from tests.collection.test_making import rows_of, skipped_of
from tests.data.conftest import png
from tests.data.test_photo_names import table
from tests.stores import stored

__all__ = ["stored"]


def upload(root: Path, url: str) -> None:
    for file in sorted(root.rglob("*.png")):
        remote.put(file, f"{url}/{file.relative_to(root).as_posix()}")


def features_of(index: Path) -> bytes:
    version = open_index(index).version
    return version.read_features(np.arange(len(version))).tobytes()


def test_images_of_a_store_make_the_index_of_the_same_images_on_a_disk(
    artifact: Path, folder: Callable[[int], Path], stored: str, tmp_path: Path
) -> None:
    root = folder(5)
    (root / "a" / "bad.png").write_text("text")
    upload(root, stored)
    own = index_images(artifact, [root], tmp_path / "own", device="cpu", max_bad_fraction=0.5)
    done = index_images(artifact, [stored], tmp_path / "index", device="cpu", max_bad_fraction=0.5)
    assert (done.added, done.skipped) == (own.added, own.skipped) == (5, 1)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "own")
    assert features_of(tmp_path / "index") == features_of(tmp_path / "own")
    assert open_index(tmp_path / "index").version.manifest.root == stored
    assert check(tmp_path / "index").problems == ()
    ((path, reason),) = skipped_of(tmp_path / "index").items()
    assert (path, {str(root / "a" / "bad.png"): reason}) == (f"{stored}/a/bad.png", skipped_of(tmp_path / "own"))
    answers = search_images(tmp_path / "index", [f"{stored}/a/2.png"], k=1, device="cpu")
    assert answers.found.hits[0][0].path == "a/2.png"


def test_only_what_is_new_or_has_other_bytes_is_encoded_again(
    artifact: Path, folder: Callable[[int], Path], stored: str, tmp_path: Path
) -> None:
    """An object that is written anew with as many bytes has changed; one that is written as it was has not."""
    root, index = folder(4), tmp_path / "index"
    for number in (1, 2):
        (root / f"{number}.ppm").write_bytes(b"P6 2 2 255\n" + bytes(12))
        remote.put(root / f"{number}.ppm", f"{stored}/{number}.ppm")
    upload(root, stored)
    index_images(artifact, [stored], index, device="cpu")
    before = rows_of(index)
    remote.put_bytes(b"P6 2 2 255\n" + bytes([0] * 11 + [9]), f"{stored}/1.ppm")
    remote.put_bytes(b"P6 2 2 255\n" + bytes(12), f"{stored}/2.ppm")
    remote.put_bytes(png(9), f"{stored}/b/9.png")
    remote.remove(f"{stored}/a/0.png")
    remote.put_bytes(b"", f"{stored}/a/2.png")
    done = index_images(artifact, [stored], index, device="cpu", max_bad_fraction=0.5)
    assert (done.added, done.replaced, done.unchanged, done.skipped, done.stale) == (1, 1, 3, 1, 1)
    after = rows_of(index)
    assert after.keys() == before.keys() | {"b/9.png"}
    assert {path: row[0] for path, row in before.items()}.items() <= {
        path: row[0] for path, row in after.items()
    }.items()
    assert skipped_of(index) == {f"{stored}/a/2.png": "empty (0 bytes); the index keeps its row of when it was usable"}
    assert len(remove(index, paths=[f"{stored}/a/0.png", "a/2.png"])) == 2
    assert "a/0.png" not in rows_of(index)


def test_paths_of_several_places_are_kept_whole_but_below_the_root(
    artifact: Path, folder: Callable[[int], Path], stored: str, tmp_path: Path
) -> None:
    root, index, other = folder(2), tmp_path / "index", "memory://other/1.png"
    upload(root, stored)
    remote.put_bytes(png(7), other)
    remote.put_bytes(f"a/0.png\n{other}\n{root}/b/1.png\n".encode(), f"{stored}/list")
    index_images(artifact, [f"{stored}/list"], index, device="cpu")
    assert list(rows_of(index)) == ["a/0.png", other, f"{root}/b/1.png"]
    again = index_images(artifact, [stored, other, root / "b"], index, device="cpu")
    assert (again.added, again.unchanged, again.relabelled) == (1, 2, 1)
    assert len(remove(index, paths=[other, f"{root}/b/1.png"])) == 2
    index_images(artifact, [root, stored], tmp_path / "own", device="cpu")
    assert list(rows_of(tmp_path / "own")) == ["a/0.png", "b/1.png", f"{stored}/a/0.png", f"{stored}/b/1.png"]
    remote.remove(other)


def test_rows_of_a_table_in_a_store(
    artifact: Path, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table goes by its URL alone; what of it cannot be read later costs its rows."""
    url, index = f"{stored}/t.parquet", tmp_path / "index"
    remote.put_bytes(table({"image": [png(1), png(2), png(3)], "label": ["hat", "shoe", "hat"]}), url)
    done = index_images(artifact, [url], index, device="cpu")
    assert (done.added, list(rows_of(index))) == (3, ["t.parquet#0", "t.parquet#1", "t.parquet#2"])
    remote.put_bytes(table({"image": [png(1), png(9), png(3)], "label": ["hat", "shoe", "hat"]}), url)
    done = index_images(artifact, [url], index, device="cpu")
    assert (done.unchanged, done.replaced) == (2, 1)
    tables = Tables([url])
    assert tables.content(0, 1, max_bytes=10**6) == png(9)


def test_a_store_that_goes_away_costs_its_images_and_keeps_its_rows(
    artifact: Path, folder: Callable[[int], Path], stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder(3), stored)
    index_images(artifact, [stored], tmp_path / "index", device="cpu")
    before = rows_of(tmp_path / "index")

    def gone(url: str, *, most: int) -> bytes:
        raise OSError(5, "no answer", url)

    monkeypatch.setattr(remote, "read", gone)
    with pytest.raises(TooManyUnusableError, match="3 of 3 images cannot be used"):
        index_images(artifact, [stored], tmp_path / "index", device="cpu")
    assert rows_of(tmp_path / "index") == before
    assert skipped_of(tmp_path / "index")[f"{stored}/a/0.png"].startswith("cannot be read: no answer; the index keeps")


@pytest.mark.slow
def test_processes_that_decode_read_stores_too(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root = folder(5)
    index_images(artifact, [root], tmp_path / "own", device="cpu")
    index_images(artifact, [f"file://{root}"], tmp_path / "index", device="cpu", workers=2)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "own")


@pytest.mark.parametrize(
    ("url", "kind"), [("s3://NAME:PASS@bucket/photos", RemoteError), ("memory://nowhere", DataError)]
)
def test_nothing_is_made_where_a_store_is_not_taken(
    url: str, kind: type[Exception], artifact: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kind) as raised:
        index_images(artifact, [url], tmp_path / "index", device="cpu")
    assert "PASS@" not in str(raised.value) + caplog.text
    assert not (tmp_path / "index").exists()


def test_no_secret_of_a_list_is_written_or_told(
    artifact: Path, stored: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    remote.put_bytes(png(1), f"{stored}/1.png")
    secret = "s3://NAME:PASS@bucket/1.png"
    lines = f"1.png hat\n{secret} hat\n{secret} hat\n{secret} 1 2\n{secret} hat hat hat\n1.png?sig=PASS hat\n"
    remote.put_bytes(lines.encode(), f"{stored}/list")
    told: Any = index_images(artifact, [f"{stored}/list"], tmp_path / "index", device="cpu", max_bad_fraction=1)
    assert (told.added, told.skipped) == (1, 5)
    written = b"".join(file.read_bytes() for file in (tmp_path / "index").rglob("*") if file.is_file())
    assert b"PASS" not in written
    assert "PASS" not in caplog.text + str(told)
