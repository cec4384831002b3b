from pathlib import Path

import numpy as np
import pytest

from dqh.errors import NoStoreError, StoreError, WhereError
from dqh.index.store import Row, Tag, Writer, check, compact, info, relabel, remove, upkeep
from dqh.index.store.upkeep import frequent_tags
from tests.index.store.conftest import EDITIONS, ENCODER, HEADER, add, content, expected, opened, payload


def test_info(index: Path) -> None:
    found = info(index)
    assert (found.version, found.rows, found.deleted, found.segments, found.next_id) == (2, 23, 4, 4, 25)
    assert (found.encoder_id, found.code_kind, found.bits, found.feature_size) == (ENCODER, "binary", 12, 6)
    assert (found.root, found.precision, found.detector_id) == ("/photos", "float32", None)
    assert found.bytes == sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
    assert (found.tagged, found.tags, frequent_tags(index, most=3)) == (0, 0, {})


def test_tags_in_figures(index: Path) -> None:
    """Two images have `blue`, one `red`, one `green`; of equal ones the first by word."""
    paths = [row.path for row in payload([0, 1, 2, 3]).rows]
    with Writer(index) as writer:
        writer.tag(
            {paths[0]: [Tag("blue"), Tag("red")], paths[1]: [Tag("blue")], paths[2]: [Tag("green")], paths[3]: []}
        )
        writer.tag({paths[0]: [Tag("blue"), Tag("red")], paths[1]: [Tag("blue", 0.1)], paths[2]: [Tag("green")]})
        writer.commit()
    assert (info(index).tagged, info(index).tags) == (3, 3)
    assert frequent_tags(index, most=2) == {"blue": 2, "green": 1}
    assert remove(index, paths=[paths[0]]) == (0,)
    assert frequent_tags(index, most=9) == {"blue": 1, "green": 1}
    assert info(index).bytes == sum(path.stat().st_size for path in index.rglob("*") if path.is_file())


def test_removing_by_path_and_by_filter(index: Path) -> None:
    """2.jpg, and of class 0 what has an id above 15: 18, 21 and 24."""
    assert remove(index, paths=["2\udcff.jpg"], where="label = 'class 0' and id > 15") == (2, 18, 21, 24)
    assert content(index) == expected({n: e for n, e in EDITIONS.items() if n not in (2, 18, 21, 24)})
    assert info(index).version == 3
    assert remove(index, where="id > 1000") == ()
    assert info(index).version == 3


def test_removing_by_the_path_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, or relative to the folder one is in; what the index calls so comes first, and takes no other along.

    The root holds a.jpg, b.jpg, c.jpg and sub/a.jpg. In sub, `a.jpg` is the one of the root, as the index calls it, and
    `../b.jpg` one that it does not call so; the image outside the root has its absolute path.
    """
    root, outside = tmp_path / "photos", str(tmp_path / "out.jpg")
    (root / "sub").mkdir(parents=True)
    names = ["a.jpg", "b.jpg", "c.jpg", "sub/a.jpg", outside]
    _, codes, _, features = payload(list(range(len(names))))
    with Writer(tmp_path / "index", HEADER._replace(root=str(root))) as writer:
        writer.add([Row(name) for name in names], codes, features)
        writer.commit()
    monkeypatch.chdir(root / "sub")
    assert remove(tmp_path / "index", paths=["a.jpg", "../b.jpg"]) == (0, 1)
    assert remove(tmp_path / "index", paths=[str(root / "c.jpg"), "c.jpg"]) == (2,)
    with pytest.raises(ValueError, match=rf"1 of 2 paths .*first '../b.jpg'; name them .* the root {root}, or"):
        remove(tmp_path / "index", paths=["../b.jpg", "a.jpg"])
    assert remove(tmp_path / "index", paths=["a.jpg", "../../out.jpg"]) == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "name what to remove: give paths or where"),
        ({"where": "id"}, WhereError, "expected one of"),
        ({"paths": ["0\udcff.jpg", "none.jpg"]}, ValueError, "1 of 2 paths are not in .*, first 'none.jpg'"),
    ],
)
def test_what_cannot_be_removed(index: Path, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        remove(index, **arguments)
    assert content(index) == expected(EDITIONS)


def test_compaction(index: Path) -> None:
    before = info(index)
    assert compact(index) == 3
    after = info(index)
    assert (after.rows, after.deleted, after.segments, after.next_id) == (before.rows, 0, 1, before.next_id)
    assert after.bytes < before.bytes
    assert content(index) == expected(EDITIONS)


def test_no_index(tmp_path: Path) -> None:
    for use in (info, compact):
        with pytest.raises(NoStoreError, match="no index at"):
            use(tmp_path / "none")
    with pytest.raises(NoStoreError, match="no index at"):
        remove(tmp_path / "none", where="id = 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("block", [2, 4096])
def test_labels_change_and_nothing_else(index: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BLOCK", block)
    numbers = [24, 3, 2, 18, 0]
    rows = [payload([number], EDITIONS[number]).rows[0]._replace(labels=("new", str(number))) for number in numbers]
    with Writer(index, segment_rows=3) as writer:
        relabel(writer, rows)
        assert writer.commit() == 3
    wanted = [
        (row._replace(labels=("new", str(row.id))) if row.id in numbers else row, *rest)
        for row, *rest in expected(EDITIONS)
    ]
    assert content(index) == wanted
    with Writer(index) as writer:
        relabel(writer, [])
        assert writer.commit() == 3


def test_rows_that_are_not_there_or_not_committed(index: Path) -> None:
    (row,) = payload([0], EDITIONS[0]).rows
    with Writer(index) as writer:
        with pytest.raises(ValueError, match=r"'0.*' is not in the index with this content; add or replace it"):
            relabel(writer, [row._replace(content_hash=b"other")])
        with pytest.raises(ValueError, match=r"'none.jpg' is not in the index"):
            relabel(writer, [row._replace(path="none.jpg")])
        add(writer, [30])
        with pytest.raises(StoreError, match=r"has rows among them that are not committed; call commit\(\) first"):
            relabel(writer, payload([30]).rows)
        writer.commit()
        relabel(writer, [payload([30]).rows[0]._replace(labels=())])
        writer.commit()
    version = opened(index)
    assert version.rows(np.array([len(version) - 1]))[0].labels == ()


def test_damaged_features_are_not_carried_over(index: Path) -> None:
    file = index / "segments" / "000000001-000000" / "features.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    rows = [payload([number], edition).rows[0]._replace(labels=()) for number, edition in EDITIONS.items()]
    with Writer(index) as writer, pytest.raises(StoreError, match=r"features.npy is damaged"):
        relabel(writer, rows)
    assert opened(index).manifest.version == 2


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """a.jpg (0) with a dog (1) and a box that nobody detected (2), b.jpg (3), c.jpg (4) with a cat (5)."""
    box, other = (0.0, 0.0, 8.0, 8.0), (0.0, 0.0, 9.0, 9.0)
    rows = [
        Row("a.jpg", ("x",), None, b"1"),
        Row("a.jpg", ("x",), box, b"1", "dog", 0.5),
        Row("a.jpg", ("x",), other, b"1"),
        Row("b.jpg", ("y",), None, b"2"),
        Row("c.jpg", ("y",), None, b"3"),
        Row("c.jpg", ("y",), box, b"3", "cat", 0.75),
    ]
    _, codes, _, features = payload(list(range(6)))
    with Writer(tmp_path / "seen", HEADER._replace(detector_id="seer")) as writer:
        writer.add(rows, codes, features)
        writer.commit()
    return tmp_path / "seen"


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        ({"paths": ["a.jpg"]}, (0, 1, 2)),
        ({"where": "id = 0"}, (0, 1)),
        ({"where": "label = 'y'"}, (3, 4, 5)),
        ({"where": "object = 'dog'"}, (1,)),
        ({"where": "not score >= 0"}, (0, 1, 2, 3, 4, 5)),
        ({"where": "id = 2"}, (2,)),
        ({"paths": ["b.jpg"], "where": "score > .6"}, (3, 5)),
    ],
)
def test_the_objects_of_an_image_go_with_it(seen: Path, arguments: dict, gone: tuple[int, ...]) -> None:
    """A box that nobody detected goes by the path, or by a filter that holds of it."""
    assert info(seen).detector_id == "seer"
    assert remove(seen, **arguments) == gone
    version = opened(seen)
    assert version.ids.tolist() == [number for number in range(6) if number not in gone]
    assert check(seen).problems == ()


def test_objects_stay_what_they_are_under_other_labels_and_compaction(seen: Path) -> None:
    before = content(seen)
    with Writer(seen) as writer:
        relabel(writer, [Row("c.jpg", ("z",), (0, 0, 8, 8), b"3")])
        writer.delete([0])
        writer.commit()
        assert writer.objects("c.jpg")[0.0, 0.0, 8.0, 8.0].labels == ("z",)
    row, *rest = before[5]
    wanted = [*before[1:5], (row._replace(labels=("z",)), *rest)]
    assert content(seen) == wanted
    assert opened(seen).objects.tolist() == [True, False, False, False, True]
    compact(seen)
    assert content(seen) == wanted
    assert wanted[-1][0].object == "cat"
