from pathlib import Path

import pytest

from dqh.index.store import live_rows
from dqh.index.store.live_rows import Known, LiveRows
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
