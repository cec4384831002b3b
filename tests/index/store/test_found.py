import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dqh.index.store import Tag, Writer, compact, open_index, remove
from dqh.index.store.version import Version
from tests.index.store.conftest import HEADER, add, encoded, replace


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Twenty images in two segments, image 8 with a tag."""
    path = tmp_path / "index"
    with Writer(path, HEADER) as writer:
        add(writer, list(range(12)))
        writer.tag({"8\udcff.jpg": [Tag("red", 0.5)]})
        writer.commit()
        add(writer, list(range(12, 20)))
        writer.commit()
    return path


def test_nothing_is_looked_up_before_it_is_asked_for(tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up, rows = [], Version.rows

    def counted(version: Version, numbers: np.ndarray) -> list:
        looked_up.append(len(numbers))
        return rows(version, numbers)

    monkeypatch.setattr(Version, "rows", counted)
    found = open_index(tagged).search(encoded([8, 3]), k=5)
    assert found.ranking.ids[:, 0].tolist() == [8, 3]
    assert "path" not in repr(found)
    assert looked_up == []
    assert [hits[0].path for hits in found.hits] == ["8\udcff.jpg", "3\udcff.jpg"]
    assert [hits[0].tags for hits in found.hits] == [(Tag("red", 0.5),), ()]
    assert found.hits is found.hits
    assert looked_up == [len(np.unique(found.ranking.ids))]


def test_what_is_looked_up_later_is_of_the_version_that_was_searched(tagged: Path) -> None:
    """Whatever happens to the index in between, up to the loss of all its files."""
    at_once = open_index(tagged).search(encoded([8, 3, 15]), k=20)
    wanted = at_once.hits
    later = open_index(tagged).search(encoded([8, 3, 15]), k=20)
    with Writer(tagged) as writer:
        replace(writer, [8, 3], 1)
        writer.tag({"8\udcff.jpg": [Tag("blue", 0.25)]})
        writer.commit()
    remove(tagged, where="id in (3, 15)")
    compact(tagged)
    assert {hit.id for hit in open_index(tagged).search(encoded([8]), k=20).hits[0]} == {*range(20)} - {3, 15}
    for file in [*tagged.rglob("*")]:
        if file.is_file():
            file.unlink()
    assert later.hits == wanted
    assert [(hits[0].id, hits[0].labels) for hits in later.hits] == [
        (number, (f"class {number % 3}", "edition 0")) for number in (8, 3, 15)
    ]


def test_a_copy_in_another_process_has_the_hits_and_no_version(tagged: Path) -> None:
    found = open_index(tagged).search(encoded([8, 3]), k=5)
    content = pickle.dumps(found)
    assert len(content) < 5000
    copy = pickle.loads(content)
    assert (copy.version, copy.hits, copy.rule) == (None, found.hits, found.rule)
    assert np.array_equal(copy.ranking.ids, found.ranking.ids)


def test_hits_end_where_answers_do(tagged: Path) -> None:
    found = open_index(tagged).search(encoded([8, 3]), k=30, where="id < 3")
    assert [[hit.id for hit in hits] for hits in found.hits] == [
        [number for number in row if number >= 0] for row in found.ranking.ids.tolist()
    ]
    assert [len(hits) for hits in found.hits] == [3, 3]
    assert open_index(tagged).search(encoded([]), k=3).hits == ()


def test_answers_that_are_not_there_are_not_looked_at(tagged: Path) -> None:
    """20 of 500,000 wanted: the padding as numbers of Python would take 32 MB."""
    found = open_index(tagged).search(encoded([8]), k=500_000)
    tracemalloc.start()
    try:
        hits = found.hits
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()
    assert {hit.id for hit in hits[0]} == {*range(20)}
