"""Other labels for rows that stay as they are otherwise."""

from pathlib import Path

import numpy as np
import pytest

from dqh.errors import StoreError
from dqh.index.store import Writer, relabel, relabelling
from tests.index.store.conftest import EDITIONS, add, content, expected, opened, payload


@pytest.mark.parametrize("block", [2, 4096])
def test_labels_change_and_nothing_else(index: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relabelling, "_BLOCK", block)
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
