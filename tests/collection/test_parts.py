"""Images and the objects in them on their way into an index: encoded exactly, decoded once, all or nothing of each."""

import csv
import io
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.collection import index_images, parts, remembered_artifact, search_images
from dqh.collection.objects import Part
from dqh.collection.parts import ImagesAndObjects, Parts, WholeImages
from dqh.collection.watched_store import WatchedStore
from dqh.data import Photos
from dqh.encoding.encoded_rows import EncodedRows
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.errors import DetectorError, MismatchError, NoDetectorError, NoStoreError
from dqh.index.store import StoredRow, Writer, check, compact, open_index, remove
from dqh.index.store.faults import Step, watched
from tests.collection.seer import GREEN, RED, Seer, photo, photos
from tests.data.conftest import picture, png

WHOLE = Part()


@pytest.fixture(scope="module")
def encoder(artifact: Path) -> LoadedEncoder:
    return load_encoder(artifact, device="cpu")


def rows_of(index: Path) -> list[StoredRow]:
    version = open_index(index).version
    return version.rows(np.arange(len(version)))


def summary(index: Path) -> list[tuple[int, str, str | None]]:
    """Id, path and object of each row."""
    return [(row.id, row.path, row.object) for row in rows_of(index)]


def indexed(artifact: Path, root: Path, index: Path, **arguments: Any) -> Any:
    return index_images(artifact, [root], index, **{"objects": Seer(), "device": "cpu", **arguments})


def run(photos: Photos, encoder: LoadedEncoder, seer: Seer, **arguments: Any) -> tuple[ImagesAndObjects, list[Parts]]:
    encoding = ImagesAndObjects(photos, encoder, seer, **{"batch_size": 256, "workers": 2, **arguments})
    return encoding, list(encoding.run(range(len(photos))))


@pytest.mark.parametrize("batch_size", [1, 3, 256])
@pytest.mark.parametrize("workers", [0, 3])
def test_an_object_is_encoded_as_a_box_is(
    encoder: LoadedEncoder, tmp_path: Path, batch_size: int, workers: int
) -> None:
    """The pixels that enter the network are the same to the last bit; features come of other batches."""
    collection = Photos([photos(tmp_path)])
    encoding, found = run(collection, encoder, Seer(), batch_size=batch_size, workers=workers)
    numbers = [(row, part) for batch in found for row, part in zip(batch.rows.tolist(), batch.parts, strict=True)]
    assert [(row, part.object) for row, part in numbers] == [
        (0, None),
        (0, "red"),
        (0, "green"),
        (1, None),
        (2, None),
        (2, "red"),
        (3, None),
        (3, "blue"),
    ]
    assert numbers[1][1] == Part(RED, "red", float(np.float32(0.9)))
    assert (encoding.left_out, encoding.skipped) == (1, {})
    codes, features = (np.concatenate([batch[field] for batch in found]) for field in (2, 3))
    for place, (row, part) in enumerate(numbers):
        wanted = encoder.encode([collection.photos[row].path], box=part.box)
        assert codes[place].tolist() == wanted.codes[0].tolist()
        np.testing.assert_allclose(features[place], wanted.features[0], rtol=1e-5, atol=1e-6)


def test_the_pixels_of_an_object_are_those_of_its_box(
    encoder: LoadedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection, seen = Photos([photos(tmp_path)]), []

    def caught(*, store: Any, rows: Any = None, batch_size: int = 256, padded: bool = False) -> EncodedRows:
        if isinstance(store, np.ndarray):
            seen.append(store)
        else:
            seen.extend(array for array, _ in store.arrays([rows], size=encoder.interface.spec.size))
        return plain(store=store, rows=rows, batch_size=batch_size, padded=padded)

    plain = encoder.run
    monkeypatch.setattr(encoder, "run", caught)
    _, (found,) = run(collection, encoder, Seer())
    (entered,) = seen
    for place, (row, part) in enumerate(zip(found.rows.tolist(), found.parts, strict=True)):
        encoder.encode([collection.photos[row].path], box=part.box)
        assert np.array_equal(entered[place], seen[-1][0])
    assert len(entered) == 8


@pytest.mark.parametrize("of_table", [False, True])
def test_each_image_is_decoded_once(
    encoder: LoadedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_table: bool
) -> None:
    """Rows of a table are read one at a time, which keeps the group that was read last."""
    root, read = photos(tmp_path / "photos"), []
    if of_table:
        contents = [file.read_bytes() for file in sorted(root.rglob("*.png"))] * 5
        pq.write_table(pa.table({"image": contents}), root / "table.parquet", row_group_size=3)
    collection = Photos([root / "table.parquet" if of_table else root])
    plain = Photos.read

    def counted(self: Photos, row: int) -> Any:
        read.append(row)
        return plain(self, row)

    monkeypatch.setattr(Photos, "read", counted)
    seer = Seer()
    _, found = run(collection, encoder, seer, workers=4)
    assert sorted(read) == list(range(len(collection)))
    assert seer.shown == len(collection)
    whole = [row for batch in found for row, part in zip(batch.rows.tolist(), batch.parts, strict=True) if not part.box]
    assert whole == list(range(len(collection)))


def test_what_cannot_be_used_takes_nothing_else_along(encoder: LoadedEncoder, tmp_path: Path) -> None:
    """A file that is no image, and a photo on which the detector fails, between others."""
    root = photos(tmp_path)
    (root / "a" / "bad.png").write_bytes(b"text")
    photo(root / "a" / "fails.png", 5, fails=(0, 0, 4, 4))
    encoding, found = run(Photos([root]), encoder, Seer())
    names = [Path(each.path).name for each in Photos([root]).photos]
    used = {names[row] for batch in found for row in batch.rows.tolist()}
    assert used == {"both.png", "none.png", "red.png", "small.png"}
    assert {names[row]: reason.partition(":")[0] for row, reason in encoding.skipped.items()} == {
        "bad.png": "not an image in a known format (JPEG, PNG, BMP, WEBP, GIF, TIFF, PPM, AVIF)",
        "fails.png": "the detector fails on it",
    }


def test_a_detector_that_fails_on_all_ends_the_run(
    encoder: LoadedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_HOPELESS", 3)
    for number in range(4):
        photo(tmp_path / f"{number}.png", number, fails=(0, 0, 4, 4))
    with pytest.raises(DetectorError, match=r"^none of the first 3 images can be searched for objects; the last: the"):
        run(Photos([tmp_path]), encoder, Seer())
    photo(tmp_path / "0.png", 0)
    encoding, _ = run(Photos([tmp_path]), encoder, Seer())
    assert sorted(encoding.skipped) == [1, 2, 3]


@pytest.mark.parametrize("what", ["nan", "large"])
def test_an_image_whose_object_cannot_be_encoded_is_skipped_whole(
    encoder: LoadedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The third row that is encoded, which is the green object of the first image."""
    plain = encoder.run

    def spoilt(*, store: Any, rows: Any, batch_size: int, padded: bool) -> EncodedRows:
        encoded = plain(store=store, rows=rows, batch_size=batch_size, padded=padded)
        if what == "large":
            encoded.features[2] = 1e6
            return encoded
        store.skipped[2] = "the network answers NaN or infinity for it"
        kept = np.arange(len(rows)) != 2
        return encoded._replace(
            rows=encoded.rows[kept], codes=encoded.codes[kept], features=encoded.features[kept], embedding=None
        )

    monkeypatch.setattr(encoder, "run", spoilt)
    encoding, (found,) = run(Photos([photos(tmp_path)]), encoder, Seer())
    assert found.rows.tolist() == [1, 2, 2, 3, 3]
    assert len(found.codes) == len(found.features) == len(found.parts) == 5
    reasons = {"nan": "the network answers NaN or infinity for it", "large": "its features do not fit into float16"}
    where = ",".join(map(str, GREEN))
    assert encoding.skipped == {0: f"of the object in {where}: {reasons[what]}"}


def test_whole_images_have_one_row_each(encoder: LoadedEncoder, tmp_path: Path) -> None:
    collection = Photos([photos(tmp_path)])
    (tmp_path / "b" / "red.png").write_bytes(b"text")
    encoding = WholeImages(WatchedStore(collection, encoder.interface.spec), encoder, batch_size=256)
    (found,) = encoding.run(range(4))
    assert (found.rows.tolist(), list(found.parts)) == ([0, 1, 3], [WHOLE] * 3)
    assert list(encoding.skipped) == [2]
    assert encoding.left_out == 0


def test_an_index_has_images_and_objects(artifact: Path, tmp_path: Path) -> None:
    """Objects have labels and hash of their image; ids are in the order of the images, whatever the portions."""
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    done = indexed(artifact, root, index, portion=3)
    assert (done.added, done.objects, done.detected, done.left_out, done.rows, done.version) == (4, 4, 4, 1, 8, 2)
    wanted = [
        (0, "a/both.png", None),
        (1, "a/both.png", "red"),
        (2, "a/both.png", "green"),
        (3, "a/none.png", None),
        (4, "b/red.png", None),
        (5, "b/red.png", "red"),
        (6, "b/small.png", None),
        (7, "b/small.png", "blue"),
    ]
    assert summary(index) == wanted
    rows = rows_of(index)
    assert [row.labels for row in rows] == [("a",)] * 4 + [("b",)] * 4
    assert len({row.content_hash for row in rows[:3]}) == 1
    assert (rows[1].box, rows[1].score) == (tuple(map(float, RED)), float(np.float32(0.9)))
    indexed(artifact, root, tmp_path / "other", portion=1, batch_size=2, workers=0)
    assert summary(tmp_path / "other") == wanted
    seer = Seer()
    done = indexed(artifact, root, index, objects=seer)
    assert (done.unchanged, done.detected, done.objects, seer.shown, done.version) == (4, 0, 4, 0, 2)
    assert check(index).problems == ()


def test_a_changed_image_has_other_objects_and_its_old_id(artifact: Path, tmp_path: Path) -> None:
    """The box of the old content that is there again is another object, with an id of its own."""
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    indexed(artifact, root, index)
    photo(root / "a" / "both.png", 7, red=RED, blue=(24, 4, 44, 36))
    photo(root / "b" / "red.png", 8)
    done = indexed(artifact, root, index)
    assert (done.replaced, done.unchanged, done.detected, done.objects, done.version) == (2, 2, 2, 3, 2)
    assert summary(index) == [
        (0, "a/both.png", None),
        (3, "a/none.png", None),
        (4, "b/red.png", None),
        (6, "b/small.png", None),
        (7, "b/small.png", "blue"),
        (8, "a/both.png", "red"),
        (9, "a/both.png", "blue"),
    ]
    compact(index)
    assert len(rows_of(index)) == 7
    assert check(index).problems == ()


def test_labels_of_an_image_are_those_of_its_objects(artifact: Path, tmp_path: Path) -> None:
    root, index, names = photos(tmp_path / "photos"), tmp_path / "index", tmp_path / "list.txt"
    indexed(artifact, root, index)
    before = summary(index)
    names.write_text("photos/a/both.png room\nphotos/a/none.png a\n")
    seer = Seer()
    done = index_images(artifact, [names], index, objects=seer, device="cpu")
    assert (done.relabelled, done.unchanged, seer.shown) == (1, 1, 0)
    assert summary(index) == before
    assert [row.labels for row in rows_of(index)[:4]] == [("room",)] * 3 + [("a",)]
    assert [row.object for row in rows_of(index)[:3]] == [None, "red", "green"]


def test_what_is_removed_comes_back_whole(artifact: Path, tmp_path: Path) -> None:
    """An image goes with its objects; an object alone stays away until its image changes, or is put in again."""
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    indexed(artifact, root, index)
    assert remove(index, paths=["a/both.png"]) == (0, 1, 2)
    assert remove(index, where="object = 'blue'") == (7,)
    done = indexed(artifact, root, index)
    assert (done.added, done.unchanged, done.objects) == (1, 3, 3)
    assert [row for row in summary(index) if row[0] > 6] == [
        (8, "a/both.png", None),
        (9, "a/both.png", "red"),
        (10, "a/both.png", "green"),
    ]


def test_objects_that_lost_their_image_are_replaced_with_it(artifact: Path, tmp_path: Path) -> None:
    """As a program may leave them that deletes rows by itself."""
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    indexed(artifact, root, index)
    with Writer(index) as writer:
        writer.delete([0])
        writer.commit()
    indexed(artifact, root, index)
    assert [row for row in summary(index) if row[1] == "a/both.png"] == [
        (8, "a/both.png", None),
        (9, "a/both.png", "red"),
        (10, "a/both.png", "green"),
    ]


def test_an_image_that_fails_later_keeps_all_its_rows(artifact: Path, tmp_path: Path) -> None:
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    indexed(artifact, root, index)
    before = rows_of(index)
    photo(root / "a" / "both.png", 7, fails=(0, 0, 4, 4))
    done = indexed(artifact, root, index, max_bad_fraction=0.5)
    assert (done.skipped, done.stale, done.unchanged, done.objects) == (1, 1, 3, 4)
    assert rows_of(index) == before
    (line,) = csv.DictReader(io.StringIO((index / "skipped.csv").read_text()))
    assert line["reason"] == (
        "the detector fails on it: it does not like this photo; the index keeps its row of when it was usable"
    )


def test_the_detector_is_remembered_and_another_one_refused(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, index, place = photos(tmp_path / "photos"), tmp_path / "index", tmp_path / "seer"
    place.mkdir()
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    indexed(artifact, root, index, objects=place)
    assert remembered_artifact(index) == artifact
    photo(root / "new.png", 9, green=GREEN)
    done = indexed(artifact, root, index, objects=None)
    assert (done.added, done.detected) == (1, 1)
    with pytest.raises(MismatchError, match=r"holds objects of detector 5ee2.*, detector ooo.* --objects DETECTOR"):
        indexed(artifact, root, index, objects=Seer("o" * 64))
    place.rmdir()
    with pytest.raises(NoDetectorError, match="which is not there; name it: --objects DETECTOR"):
        indexed(artifact, root, index, objects=None)
    index_images(artifact, [root], tmp_path / "plain", device="cpu")
    with pytest.raises(MismatchError, match="was made without objects, detector 5ee2"):
        indexed(artifact, root, tmp_path / "plain")
    assert check(index).problems == ()


def state(index: Path) -> dict[str, tuple[bytes, list[tuple[int, str | None]]]]:
    """Of each image the hash that all its rows have, and their ids and objects."""
    images: dict[str, tuple[bytes, list[tuple[int, str | None]]]] = {}
    for row in rows_of(index):
        content, objects = images.setdefault(row.path, (row.content_hash, []))
        assert row.content_hash == content
        objects.append((row.id, row.object))
    return images


@pytest.mark.slow
def test_a_run_that_dies_at_any_step_leaves_no_image_with_half_of_its_objects(artifact: Path, tmp_path: Path) -> None:
    """What a killed process leaves is what its files are at that moment: the folder is copied at every step.

    A portion of two images is new, then two change, one of which loses an object and one all. Each copy opens as a
    version before or after a commit; the next run makes the same of it as one that was never stopped.
    """
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    copies: list[tuple[Path, int]] = []
    published: list[dict] = []

    def copy(step: Step, file: Path) -> None:
        if step is Step.LINKED:
            published.append(state(index))
        if step in (Step.FILE_HALF, Step.FOLDER_MADE, Step.FILE_SYNCED):
            return
        here = tmp_path / "copies" / f"{len(copies)}"
        shutil.copytree(index, here)
        copies.append((here, len(published)))

    with watched(copy):
        indexed(artifact, root, index, portion=2)
        photo(root / "a" / "both.png", 7, red=RED)
        photo(root / "b" / "red.png", 8)
        indexed(artifact, root, index, portion=2)
    assert [sum(len(objects) for _, objects in images.values()) for images in published] == [4, 8, 6]
    assert published[-1] == state(index)
    assert len(copies) > 40
    for here, version in copies:
        if version:
            assert state(here) == published[version - 1]
        else:
            with pytest.raises(NoStoreError):
                open_index(here)
    for here, version in copies[:: len(copies) // 12]:
        indexed(artifact, root, here, portion=2)
        found = state(here)
        assert {path: content for path, (content, _) in found.items()} == {
            path: content for path, (content, _) in published[-1].items()
        }
        assert {path: [name for _, name in objects] for path, (_, objects) in found.items()} == {
            path: [name for _, name in objects] for path, (_, objects) in published[-1].items()
        }
        assert version != len(published) or found == published[-1]
        assert check(here).problems == check(here).leftovers == ()


def test_an_interrupted_portion_leaves_nothing_of_itself(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is stopped between the objects that go and those that come."""
    root, index = photos(tmp_path / "photos"), tmp_path / "index"
    indexed(artifact, root, index)
    before = state(index)
    photo(root / "a" / "both.png", 7, red=RED)
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            indexed(artifact, root, index)
    assert state(index) == before
    done = indexed(artifact, root, index)
    assert (done.replaced, done.objects) == (1, 3)


def test_threads_end_with_the_run(encoder: LoadedEncoder, tmp_path: Path) -> None:
    """Also where what follows does not want all."""
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    before = threading.active_count()
    encoding = ImagesAndObjects(Photos([tmp_path]), encoder, Seer(), batch_size=1, workers=3)
    iterator = encoding.run(range(8))
    next(iterator)
    iterator.close()
    assert threading.active_count() == before


def test_a_detector_in_a_folder(artifact: Path, kept: Path, tmp_path: Path) -> None:
    """A network of constants sees two lamps and a chair in any photo of 64 × 64 pixels; where it lies is remembered."""
    root, index = tmp_path / "photos", tmp_path / "index"
    root.mkdir()
    picture(1, (64, 64)).save(root / "1.png")
    index_images(artifact, [root], index, objects=kept, device="cpu")
    assert [(row.object, row.box) for row in rows_of(index)] == [
        (None, None),
        ("lamp", (16, 16, 48, 48)),
        ("chair", (8, 8, 24, 24)),
        ("lamp", (12, 6, 28, 14)),
    ]
    assert [row.score for row in rows_of(index)[1:]] == pytest.approx([0.75, 0.5, 0.4])
    picture(2, (64, 64)).save(root / "2.png")
    done = index_images(artifact, [root], index, device="cpu")
    assert (done.added, done.unchanged, done.objects) == (1, 1, 6)
    found = search_images(index, [root / "2.png"], dot=(22.0, 10.0), objects=True, k=1, device="cpu")
    assert found.boxes == ((12, 6, 28, 14),)
    ((hit,),) = found.found.hits
    assert (hit.path, hit.object, hit.box) == ("2.png", "lamp", (12, 6, 28, 14))
