from pathlib import Path

import pytest

from dqh.index.store import live_rows
from dqh.index.store.live_rows import Known, LiveRows
from dqh.index.store.rows import Row
from tests.index.store.conftest import EDITIONS, opened, payload


@pytest.mark.parametrize("block", [4, 2**16])
def test_the_rows_of_a_version(index: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "_BLOCK", block)
    live = LiveRows(opened(index))
    assert [known.id for _, known in live] == sorted(EDITIONS)
    for number, edition in EDITIONS.items():
        (row,) = payload([number], edition).rows
        known = live.find((row.path, row.box))
        assert known is not None
        assert (known.id, known.content_hash, known.labels) == (number, row.content_hash, row.labels)
        assert live.has(number)
    assert not live.has(5)


def test_putting_and_removing() -> None:
    live = LiveRows(None)
    (row,) = payload([1]).rows
    live.put(1, row, 10)
    live.put(1, row._replace(content_hash=b"new"), 11)
    assert list(live) == [((row.path, row.box), Known(1, 11, b"new", row.labels))]
    assert live.find((row.path, None)) is None
    assert live.remove(1).position == 11
    assert list(live) == []
    assert not live.has(1)


def test_the_objects_of_an_image() -> None:
    """Boxes that nobody detected are none, nor are those of other images; what is removed goes."""
    live = LiveRows(None)
    one, other = (0.0, 0.0, 8.0, 8.0), (1.0, 0.0, 8.0, 8.0)
    rows = [
        Row("a", ("x",)),
        Row("a", ("x",), one, b"1", "dog", 0.5),
        Row("a", ("x",), (2.0, 0.0, 8.0, 8.0), b"1"),
        Row("a", ("x",), other, b"1", "cat", 0.25),
        Row("b", (), one, b"2", "dog", 0.75),
    ]
    for number, row in enumerate(rows):
        live.put(number, row, number)
    assert live.objects("a") == {
        one: Known(1, 1, b"1", ("x",), "dog", 0.5),
        other: Known(3, 3, b"1", ("x",), "cat", 0.25),
    }
    live.remove(1)
    assert list(live.objects("a")) == [other]
    live.remove(4)
    assert live.objects("b") == live.objects("none") == {}
