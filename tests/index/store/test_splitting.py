"""Cutting an index into shards: the same rows with the same ids, whole images, nothing half-made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.errors import ConfigError, NoStoreError, StoreError
from dqh.index.store import Header, Row, Writer, open_index, remove, splitting
from dqh.index.store.manifest import ENCODER
from dqh.index.store.tags import Tag
from dqh.quantizers import Threshold

BITS, SIZE, IMAGES = 16, 3, 11


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Eleven images in two segments, four of them with an object that came later, one image gone, two with tags."""
    random = np.random.default_rng(0)
    header = Header("an id", Threshold(BITS), SIZE, root="/photos", detector_id="seer")
    folder = tmp_path / "index"

    def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
        codes = random.integers(0, 256, (count, BITS // 8), np.uint8)
        return codes, random.normal(size=(count, SIZE)).astype(np.float32)

    with Writer(folder, header) as writer:
        writer.add([Row(f"{number}.jpg", (f"label {number % 3}",)) for number in range(IMAGES)], *arrays(IMAGES))
        writer.commit(beside={ENCODER: b'{"artifact": "/artifact"}\n'})
        objects = [Row(f"{number}.jpg", (), (0, 0, 1, 1), b"", "cup", 0.5) for number in (9, 0, 4, 1)]
        writer.add(objects, *arrays(len(objects)))
        writer.tag({"0.jpg": (Tag("word", 0.5),), "10.jpg": (Tag("other", 1.0),)})
        writer.commit()
    remove(folder, paths=["5.jpg"])
    return folder


Known = dict[int, tuple[object, ...]]


def known(folder: Path) -> Known:
    """All of the rows of an index by their ids."""
    version = open_index(folder).version
    (batch,) = version.batches(100)
    return {
        row.id: (row, code.tobytes(), feature.tobytes(), version.tags.get(row.path, ()))
        for row, code, feature in zip(batch.rows, batch.codes, batch.features, strict=True)
    }


@pytest.mark.parametrize("shards", [1, 3, 10])
def test_shards_have_the_rows_of_the_index_with_their_ids(index: Path, tmp_path: Path, shards: int) -> None:
    folders = splitting.split(index, tmp_path / "shards", shards=shards)
    assert [folder.name for folder in folders] == [str(number) for number in range(shards)]
    parts = [known(folder) for folder in folders]
    assert {number: row for part in parts for number, row in part.items()} == known(index)
    assert sum(map(len, parts)) == len(known(index)) == 14
    paths = [{row[0].path for row in part.values()} for part in parts]
    assert sum(map(len, paths)) == IMAGES - 1, "an image is in one shard"
    assert max(map(len, paths)) - min(map(len, paths)) <= 1
    manifests = [open_index(folder).version.manifest for folder in folders]
    assert {(one.root, one.detector_id, one.encoder_id) for one in manifests} == {("/photos", "seer", "an id")}
    assert {(folder / ENCODER).read_bytes() for folder in folders} == {(index / ENCODER).read_bytes()}


def test_images_of_a_shard_follow_one_another(index: Path, tmp_path: Path) -> None:
    folders = splitting.split(index, tmp_path / "shards", shards=3)
    first = [sorted(number for number in known(folder) if number < IMAGES) for folder in folders]
    assert first == [[0, 1, 2, 3], [4, 6, 7], [8, 9, 10]]


@pytest.mark.parametrize("shards", [0, -1, 11])
def test_impossible_numbers_are_refused_before_anything_is_made(index: Path, tmp_path: Path, shards: int) -> None:
    with pytest.raises(ConfigError, match=rf"at least 1 and at most as many as the 10 images of .*, got {shards}"):
        splitting.split(index, tmp_path / "shards", shards=shards)
    assert not (tmp_path / "shards").exists()


def test_what_is_there_stays(index: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").write_text("mine")
    with pytest.raises(StoreError, match="is there already; name a folder that is not"):
        splitting.split(index, tmp_path / "shards", shards=2)
    assert [file.name for file in (tmp_path / "shards").iterdir()] == ["mine"]


def test_where_a_shard_fails_nothing_is_left(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy: Callable[..., None] = splitting._copy

    def fails(version: object, rows: object, folder: Path, *more: object) -> None:
        if folder.name == "1":
            raise StoreError("the disk is full")
        copy(version, rows, folder, *more)

    monkeypatch.setattr(splitting, "_copy", fails)
    with pytest.raises(StoreError, match="the disk is full"):
        splitting.split(index, tmp_path / "new" / "shards", shards=2)
    assert not (tmp_path / "new" / "shards").exists()


def test_a_shard_is_not_cut_again(index: Path, tmp_path: Path) -> None:
    """Its parts would be a cut of their own, which a router takes for whole."""
    first, _ = splitting.split(index, tmp_path / "shards", shards=2)
    with pytest.raises(StoreError, match=r"is shard 0 of 2 \(cut .*\) already, .*cut the index that it was cut from"):
        splitting.split(first, tmp_path / "again", shards=2)
    assert not (tmp_path / "again").exists()


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        splitting.split(tmp_path / "none", tmp_path / "shards", shards=2)
    assert not (tmp_path / "shards").exists()
