"""Files of a table as images of an index, and lines that give nothing."""

from pathlib import Path

import pytest

from dqh.collection.tagging import UNKNOWN, require_some, tagging_of
from dqh.data.tag_table import TagLine
from dqh.errors import DataError
from dqh.index.store import Tag
from dqh.index.store.tags import MOST_TAGS

ROOT = "/photos"
TABLE = Path("/photos/tags.csv")
IMAGES = {"rooms/1.jpg", "1.jpg", "../out.jpg", "/old/absolute.jpg", "t.parquet#3"}


def line(file: str, tag: str = "sofa", weight: float = 1.0, fault: str = "", number: int = 1) -> TagLine:
    return TagLine(file, tag, weight, f"tags.csv:{number}", fault)


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("rooms/1.jpg", "rooms/1.jpg"),
        ("1.jpg", "1.jpg"),  # as the index calls it, before the file beside the table
        ("../1.jpg", "1.jpg"),
        ("ROOT/rooms/1.jpg", "rooms/1.jpg"),
        ("../../out.jpg", "../out.jpg"),
        ("ROOT/../out.jpg", "../out.jpg"),
        ("/old/absolute.jpg", "/old/absolute.jpg"),
        ("t.parquet#3", "t.parquet#3"),
        ("2.jpg", None),
    ],
)
def test_which_image_a_file_is(file: str, image: str | None, tmp_path: Path) -> None:
    """The table lies in the folder `rooms` of the root."""
    root = tmp_path / "photos"
    (root / "rooms").mkdir(parents=True)
    named = file.replace("ROOT", str(root))
    tagging = tagging_of([line(named)], root / "rooms" / "t.csv", str(root), is_there=IMAGES.__contains__)
    assert tagging.tags == ({} if image is None else {image: (Tag("sofa"),)})
    assert (tagging.unknown, tagging.unused) == ((0, {}) if image else (1, {"tags.csv:1": f"'2.jpg': {UNKNOWN}"}))


def test_lines_that_give_nothing_are_named() -> None:
    lines = [
        line("1.jpg", number=1),
        line("1.jpg", number=2),  # the same again, which is no fault
        line("1.jpg", weight=0.5, number=3),
        line("1.jpg", "lamp", 2.0, number=4),
        line("1.jpg", "\0", number=5),
        line("", fault="no file: ',x'", number=6),
        line("none.jpg", number=7),
        line("none.jpg", "lamp", number=8),
        line("rooms/1.jpg", "lamp", 0.25, number=9),
    ]
    tagging = tagging_of(lines, TABLE, ROOT, is_there=IMAGES.__contains__)
    assert tagging.tags == {"1.jpg": (Tag("sofa"),), "rooms/1.jpg": (Tag("lamp", 0.25),)}
    assert tagging.unknown == 2
    assert tagging.unused == {
        "tags.csv:3": "'1.jpg': the tag 'sofa' was given before with the weight 1",
        "tags.csv:4": "'1.jpg': a weight must lie above 0 and be at most 1, got 2",
        "tags.csv:5": "'1.jpg': a tag must not be empty, nor hold the character NUL, got '\\x00'",
        "tags.csv:6": "no file: ',x'",
        "tags.csv:7": f"'none.jpg': {UNKNOWN}",
        "tags.csv:8": f"'none.jpg': {UNKNOWN}",
    }


def test_too_many_tags_of_an_image() -> None:
    lines = [line("1.jpg", str(number), number=number) for number in range(MOST_TAGS + 1)]
    tagging = tagging_of(lines, TABLE, ROOT, is_there=IMAGES.__contains__)
    assert len(tagging.tags["1.jpg"]) == MOST_TAGS
    assert tagging.unused == {f"tags.csv:{MOST_TAGS}": f"'1.jpg': more than {MOST_TAGS} tags of an image"}


def test_a_table_of_other_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"none of the 2 files of .*tags.csv is an image of the index, first 'x.jpg';"):
        require_some([line("x.jpg"), line("y.jpg"), line("x.jpg")], TABLE, ROOT, is_there=IMAGES.__contains__)
    require_some([line("x.jpg"), line("1.jpg")], TABLE, ROOT, is_there=IMAGES.__contains__)
    require_some([], TABLE, ROOT, is_there=IMAGES.__contains__)
    require_some([line("x.jpg", fault="no tag")], TABLE, ROOT, is_there=IMAGES.__contains__)
