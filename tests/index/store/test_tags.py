"""Tags beside the rows of an index: what may be one, how they are kept, and what goes with an image."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.errors import StoreError
from dqh.index.store import Header, Row, Tag, Writer, check, compact, open_index, remove
from dqh.index.store.durable import FileEntry
from dqh.index.store.tags import (
    MOST_TAGS,
    TAG_BYTES,
    TagsEntry,
    checked_tags,
    parsed_tags,
    problem_of,
    stored_tags,
    write_tags,
)
from dqh.quantizers import Threshold
from tests.index.store.conftest import EDITIONS, add, content, encoded, expected, flip, opened, payload, replace

ODD = "0\udcff.jpg"
"""The path of image 0, a byte of which is no UTF-8."""


def path_of(number: int) -> str:
    return payload([number]).rows[0].path


def give(index: Path, tags: dict[int, list[Tag]]) -> int:
    with Writer(index) as writer:
        writer.tag({path_of(number): own for number, own in tags.items()})
        return writer.commit()


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (Tag(""), "a tag must not be empty"),
        (Tag("a\0b"), "nor hold the character NUL"),
        (Tag("\udcff"), "a tag must be Unicode"),
        (Tag("é" * TAG_BYTES), f"a tag must have at most {TAG_BYTES} bytes, got {2 * TAG_BYTES}: 'éé"),
        (Tag("sofa", 0.0), "a weight must lie above 0 and be at most 1, got 0"),
        (Tag("sofa", 1e-60), "a weight must lie above 0"),
        (Tag("sofa", 1.5), "got 1.5"),
        (Tag("sofa", float("nan")), "got nan"),
        (Tag("sofa", float("inf")), "got inf"),
    ],
)
def test_what_is_no_tag(tag: Tag, message: str) -> None:
    assert message in problem_of(tag)
    with pytest.raises(ValueError, match="'a': a "):
        checked_tags({"a": [tag]})


def test_markup_and_letters_that_steer_a_terminal_are_text(index: Path) -> None:
    words = ["<script>alert(1)</script>", "\x1b[31mred", "two\nlines", "日本 🌻", "'; DROP TABLE images; --", " "]
    give(index, {0: [Tag(word) for word in words]})
    assert {tag.word for tag in opened(index).tags[ODD]} == set(words)


def test_order_and_numbers() -> None:
    """By falling weight, then by word; as float32; images without any are left out."""
    tags = checked_tags({"b": [Tag("x", 0.1), Tag("z"), Tag("y")], "a": [], "c": [Tag("z")]})
    assert tags == {"b": (Tag("y"), Tag("z"), Tag("x", 0.10000000149011612)), "c": (Tag("z"),)}
    assert tags["b"][1] is tags["c"][0]
    with pytest.raises(ValueError, match="'a' has a tag twice; give it once"):
        checked_tags({"a": [Tag("x", 0.5), Tag("x")]})
    with pytest.raises(ValueError, match=f"'a' has {MOST_TAGS + 1} tags, an image may have {MOST_TAGS}"):
        checked_tags({"a": [Tag(str(number)) for number in range(MOST_TAGS + 1)]})


def test_they_come_with_a_version_and_stay(index: Path) -> None:
    """A commit of images leaves the file as it is; the same tags again make no version."""
    assert give(index, {0: [Tag("green"), Tag("round", 0.5)], 1: [Tag("green")]}) == 3
    version = opened(index)
    assert version.tags == {ODD: (Tag("green"), Tag("round", 0.5)), path_of(1): (Tag("green"),)}
    assert (version.manifest.format_version, list(index.glob("tags/*"))) == (3, [index / "tags" / "3.parquet"])
    assert give(index, {1: [Tag("green")], 0: [Tag("round", 0.5), Tag("green")]}) == 3
    with Writer(index) as writer:
        add(writer, [40])
        replace(writer, [0], 5)
        assert writer.commit() == 4
    assert opened(index).tags == version.tags
    assert list(index.glob("tags/*")) == [index / "tags" / "3.parquet"]
    assert compact(index) == 5
    assert opened(index).tags == version.tags
    assert check(index).problems == check(index).leftovers == check(index).unchecked == ()


def test_another_table_replaces_all(index: Path) -> None:
    give(index, {0: [Tag("green")], 1: [Tag("blue")]})
    assert give(index, {2: [Tag("red")]}) == 4
    assert opened(index).tags == {path_of(2): (Tag("red"),)}
    assert list(index.glob("tags/*")) == [index / "tags" / "4.parquet"]
    assert give(index, {}) == 5
    assert opened(index).tags == {}
    assert opened(index).manifest.format_version == 1
    assert list(index.glob("tags/*")) == []
    assert check(index).problems == check(index).unchecked == ()
    assert content(index) == expected(EDITIONS)


def test_an_image_that_goes_loses_its_tags(index: Path) -> None:
    """Image 0 comes again, and is a new one; all of the last one go with it."""
    give(index, {0: [Tag("green")], 1: [Tag("blue")]})
    assert remove(index, paths=[ODD]) == (0,)
    assert opened(index).tags == {path_of(1): (Tag("blue"),)}
    with Writer(index) as writer:
        add(writer, [0])
        writer.commit()
    assert opened(index).tags == {path_of(1): (Tag("blue"),)}
    remove(index, where="id = 1")
    assert opened(index).manifest.tags is None


def test_an_image_that_goes_before_the_commit(index: Path) -> None:
    with Writer(index) as writer:
        writer.tag({ODD: [Tag("green")], path_of(1): [Tag("blue")]})
        writer.delete([0])
        writer.commit()
    assert opened(index).tags == {path_of(1): (Tag("blue"),)}


def test_a_part_of_an_image_keeps_its_tags(tmp_path: Path) -> None:
    """The whole image goes, and a box of it stays."""
    _, codes, _, features = payload([0, 1])
    with Writer(tmp_path / "i", Header("id", Threshold(12), 6)) as writer:
        writer.add([Row("a"), Row("a", box=(0, 0, 1, 1))], codes, features)
        writer.tag({"a": [Tag("x")]})
        writer.commit()
        writer.delete([0])
        writer.commit()
    assert opened(tmp_path / "i").tags == {"a": (Tag("x"),)}


def test_tags_of_nobody(index: Path) -> None:
    with (
        Writer(index) as writer,
        pytest.raises(ValueError, match=r"1 of 2 images with tags are not in .*, first 'none'"),
    ):
        writer.tag({"none": [Tag("a")], ODD: [Tag("a")]})
    assert opened(index).manifest.version == 2


def test_answers_have_them(index: Path) -> None:
    give(index, {0: [Tag("green"), Tag("round", 0.5)]})
    ((first, second),) = open_index(index).search(encoded([0]), k=2).hits
    assert (first.id, first.tags, second.tags) == (0, (Tag("green"), Tag("round", 0.5)), ())


def test_who_has_a_version_open_keeps_its_tags(index: Path) -> None:
    give(index, {0: [Tag("green")]})
    before = opened(index)
    give(index, {0: [Tag("red")]})
    assert before.tags == {ODD: (Tag("green"),)}


def test_damage_is_found(index: Path) -> None:
    give(index, {0: [Tag("green")]})
    file = index / "tags" / "3.parquet"
    flip(file, 40)
    with pytest.raises(StoreError, match=r"3\.parquet is damaged: it does not match the hash"):
        opened(index)
    (problem,) = check(index).problems
    assert problem.file == "tags/3.parquet"
    file.unlink()
    with pytest.raises(StoreError, match="is incomplete"):
        open_index(index)
    file.symlink_to("elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        open_index(index)


def test_tags_of_images_that_are_not_there_are_told(index: Path) -> None:
    """As a writer that does not know of `has_image` would leave them."""
    give(index, {0: [Tag("green")], 1: [Tag("green")]})
    with Writer(index) as writer:
        writer.delete([0])
        writer._tags.of_next = lambda live, *, gone: None  # type: ignore[method-assign]
        writer.commit()
    (problem,) = check(index).problems
    assert problem == ("tags/3.parquet", "1 images with tags are not in the index")


def written(folder: Path, columns: dict[str, pa.Array]) -> TagsEntry:
    """A file as somebody else may make it, of two images and two words."""
    (folder / "tags").mkdir()
    schema = pa.schema([pa.field(name, column.type, nullable=False) for name, column in columns.items()])
    pq.write_table(pa.table(columns, schema=schema), folder / "tags" / "1.parquet")
    return TagsEntry(1, 2, 2, FileEntry("0" * 64, (folder / "tags" / "1.parquet").stat().st_size))


def columns(
    paths: list[bytes], words: list[str], weights: list[float], kind: pa.DataType | None = None
) -> dict[str, pa.Array]:
    return {
        "path": pa.array(paths, pa.binary()),
        "tag": pa.array(words, pa.string()),
        "weight": pa.array(weights, kind or pa.float32()),
    }


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (columns([b"a", b"b"], ["x", "y"], [1, 2]), "a weight must lie above 0 and be at most 1, got 2"),
        (columns([b"a", b"b"], ["x", ""], [1, 1]), "a tag must not be empty"),
        (columns([b"a", b"a"], ["x", "x"], [1, 1]), "has a tag twice"),
        (
            columns([b"a", b"b", b"a"], ["x", "y", "y"], [1, 1, 1]),
            "it has 2 images and 1 tags, wanted 2 and 2, each image in one place",
        ),
        (columns([b"a", b"b"], ["x", "x"], [1, 1]), "it has 2 images and 1 tags, wanted 2 and 2"),
        (columns([b"a"] * 513, list(map(str, range(513))), [1] * 513), "it has 513 rows"),
        (columns([b"a", b"b"], ["x", "y"], [1, 1], pa.float64()), r"columns \['path', 'tag', 'weight'\], wanted"),
    ],
)
def test_files_that_make_no_sense(made: dict[str, pa.Array], message: str, tmp_path: Path) -> None:
    entry = written(tmp_path, made)
    with pytest.raises(ValueError, match=message):
        parsed_tags((tmp_path / entry.name).read_bytes(), entry)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"PAR1" + b"\xff" * 20 + b"PAR1"])
def test_what_is_no_table(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no Parquet file, or its footer is too long|it cannot be read"):
        parsed_tags(content, TagsEntry(1, 2, 2, FileEntry("0" * 64, 1)))


def test_a_file_of_its_own(tmp_path: Path) -> None:
    """`pyarrow` alone reads it; what is not there is written by nobody."""
    tags = checked_tags({os.fsdecode(b"caf\xe9"): [Tag("x", 0.5)], "b": [Tag("y")]})
    entry = write_tags(tmp_path, 7, tags)
    assert entry is not None
    assert (entry.version, entry.images, entry.words, entry.name) == (7, 2, 2, "tags/7.parquet")
    rows = pq.read_table(tmp_path / entry.name).to_pylist()
    assert {"path": b"caf\xe9", "tag": "x", "weight": 0.5} in rows
    assert stored_tags(tmp_path, entry) == tags
    assert write_tags(tmp_path, 8, {}) is None
    with pytest.raises(FileExistsError):
        write_tags(tmp_path, 7, tags)
