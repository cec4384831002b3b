"""Leaks, decoding and unusable images before a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dqh.data import ImageFolder, Protocol, Split, prepare
from dqh.errors import DataError, LeakError, TooManyBadImagesError
from dqh.inputs import InputSpec

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
