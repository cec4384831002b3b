from pathlib import Path

import pytest

from dqh.errors import NoStoreError, WhereError
from dqh.index.store import compact, info, remove
from tests.index.store.conftest import EDITIONS, ENCODER, content, expected


def test_info(index: Path) -> None:
    found = info(index)
    assert (found.version, found.rows, found.deleted, found.segments, found.next_id) == (2, 23, 4, 4, 25)
    assert (found.encoder_id, found.code_kind, found.bits, found.feature_size) == (ENCODER, "binary", 12, 6)
    assert (found.root, found.precision) == ("/photos", "float32")
    assert found.bytes == sum(path.stat().st_size for path in index.rglob("*") if path.is_file())


def test_removing_by_path_and_by_filter(index: Path) -> None:
    """2.jpg, and of class 0 what has an id above 15: 18, 21 and 24."""
    assert remove(index, paths=["2\udcff.jpg"], where="label = 'class 0' and id > 15") == (2, 18, 21, 24)
    assert content(index) == expected({n: e for n, e in EDITIONS.items() if n not in (2, 18, 21, 24)})
    assert info(index).version == 3
    assert remove(index, where="id > 1000") == ()
    assert info(index).version == 3


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
