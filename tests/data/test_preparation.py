"""Leaks, decoding and unusable images before a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dqh.data import ImageFolder, Protocol, Split, prepare
from dqh.data.preparation import check_leaks, find_leaks
from dqh.data.splits import Roles
from dqh.errors import DataError, LeakError, TooManyBadImagesError
from dqh.inputs import InputSpec
from tests.data.memory import Memory

SPEC = InputSpec(size=8, resize=8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten pictures each, all different."""
    rng = np.random.default_rng(0)
    for number in range(20):
        file = tmp_path / "photos" / f"class{number % 2}" / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)).save(file)
    return tmp_path / "photos"


def prepared(
    root: Path, split: Split | None = None, *, duplicates: bool = False, limit: float = 0.2, **more: Any
) -> Any:
    source = ImageFolder(root=root, max_bad_fraction=limit)
    split = split or Protocol("counts", query=4, train=10).draw(source)
    file = root.parent / "skipped.csv"
    return prepare(source, split, SPEC, allow_duplicates=duplicates, skipped_file=file, **more)


def test_unusable_images_leave_their_roles_and_are_listed(photos: Path) -> None:
    (photos / "class0" / "00.png").write_bytes(b"")
    (photos / "class1" / "01.png").write_bytes(b"text")
    data = prepared(photos)
    kept = np.unique(np.concatenate(data.roles))
    assert len(kept) == 18
    assert {str(data.source.ids[row]) for row in data.store.skipped} == {"class0/00.png", "class1/01.png"}
    lines = (photos.parent / "skipped.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["path", "class0/00.png", "class1/01.png"]
    assert len(data.split.rows(data.source).database) == 16  # the split itself stays as drawn


def test_no_list_where_every_image_is_fine(photos: Path) -> None:
    assert prepared(photos).report_skipped() == 0
    assert not (photos.parent / "skipped.csv").exists()


def test_too_many_unusable_images_stop_the_run_and_are_still_listed(photos: Path) -> None:
    (photos / "class0" / "00.png").write_bytes(b"")
    with pytest.raises(TooManyBadImagesError, match="1 of 20 images"):
        prepared(photos, limit=0.01)
    assert "class0/00.png" in (photos.parent / "skipped.csv").read_text()


def test_a_query_found_again_stops_the_run_unless_allowed(photos: Path) -> None:
    split = Protocol("counts", query=4, train=10).draw(ImageFolder(root=photos))
    (photos / split.database[0]).write_bytes((photos / split.query[0]).read_bytes())
    with pytest.raises(LeakError, match="1 of 4 queries"):
        prepared(photos, split)
    assert prepared(photos, split, duplicates=True).leaks.by_content == 1


def test_a_role_without_a_usable_image_is_named(photos: Path) -> None:
    split = Protocol("counts", query=4, train=10).draw(ImageFolder(root=photos))
    for name in split.query:
        (photos / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 4 query images can be used; see .*skipped\.csv"):
        prepared(photos, split, limit=1.0)


def test_only_the_roles_asked_for_are_decoded(photos: Path) -> None:
    split = Protocol("counts", query=4, train=6, database=6, database_includes_train=False).draw(
        ImageFolder(root=photos)
    )
    (photos / split.train[0]).write_bytes(b"")
    assert prepared(photos, split, roles=("query", "database")).store.skipped == {}


def roles(query, database, train=(), validation=()):
    return Roles(*(np.array(rows, dtype=np.int64) for rows in (query, database, train, validation)))


#                  row: 0  1  2  3  4  5
CONTENT = {"values": [7, 7, 8, 9, 8, 7]}


def test_a_clean_split_has_no_leaks():
    source = Memory(np.zeros(6, int))
    leaks = find_leaks(source, roles([0, 1], [2, 3, 4], [2], [5]))
    assert leaks == (0, 0, ())
    assert check_leaks(source, roles([0, 1], [2, 3]), allow_duplicates=False) == leaks


@pytest.mark.parametrize("place", ["database", "train", "validation"])
def test_a_query_in_any_other_role_always_stops(place):
    source = Memory(np.zeros(6, int))
    split = roles([0, 1], [3], [4], [5])._replace(**{place: np.array([1])})
    assert find_leaks(source, split)[:2] == (1, 0)
    with pytest.raises(LeakError, match=r"1 of 2 queries of memory are in train.*'row/1' = 'row/1'"):
        check_leaks(source, split, allow_duplicates=True)


@pytest.mark.parametrize("place", ["database", "train", "validation"])
def test_equal_content_is_found_in_any_other_role(place):
    """Queries 0 and 1 hold 7 as row 5 does, query 3 holds 9 as no other does."""
    source = Memory(np.zeros(6, int), **CONTENT)
    split = roles([0, 1, 3], [2])._replace(**{place: np.array([2, 5])})
    leaks = find_leaks(source, split)
    assert leaks == (0, 2, (("row/0", "row/5"), ("row/1", "row/5")))
    assert check_leaks(source, split, allow_duplicates=True) == leaks
    with pytest.raises(LeakError, match=r"2 of 3 queries .*'row/0' = 'row/5'.* split\.allow_duplicates=true"):
        check_leaks(source, split, allow_duplicates=False)


def test_duplicates_among_queries_alone_are_no_leak():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0, 1], [2, 3]))[:2] == (0, 0)


def test_a_shared_query_is_not_counted_twice():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0], [0, 5]))[:2] == (1, 0)


def test_a_duplicate_of_a_shared_row_counts_by_content():
    """Row 0 is in both roles; query 1 holds the same content as it."""
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0, 1], [0]))[:2] == (1, 1)


def test_images_that_cannot_be_read_are_left_out():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT, bad=[0, 5]), roles([0, 1], [5]))[:2] == (0, 0)


def test_only_a_few_examples_are_kept():
    source = Memory(np.zeros(40, int), values=[1] * 40)
    leaks = find_leaks(source, roles(range(20), range(20, 40)))
    assert (leaks.by_content, len(leaks.examples)) == (20, 5)
