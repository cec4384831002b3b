"""Indexes of before: the first two, of bits and of product-quantized codes, are of 28 November 2026, before any note.

They open, answer, grow, shrink. The first one:

Images 0 … 9 in version 1; version 2 replaces 3, deletes 5, adds 10. A graph is kept beside it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dqh.encoded import Encoded
from dqh.errors import MismatchError
from dqh.index.store import Header, Row, Writer, check, open_index, remove
from dqh.index.store.rows import PLAIN_SCHEMA
from tests.index.store.conftest import HEADER, add, content, encoded, expected, opened

DATA = Path(__file__).parent / "data"
KEPT = json.loads((DATA / "index_v1_pq_answers.json").read_text())
EDITIONS = {number: int(number == 3) for number in range(11) if number != 5}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    shutil.copytree(DATA / "index_v1_binary", tmp_path / "index")
    return tmp_path / "index"


def test_it_is_whole(older: Path) -> None:
    found = check(older)
    assert (found.version, found.rows, found.problems, found.leftovers) == (2, 10, (), ())
    assert found.unchecked == ("encoder.json", "skipped.csv")
    assert content(older) == expected(EDITIONS)


@pytest.mark.parametrize("engine", ["auto", "binary_hnsw"])
def test_it_answers(older: Path, engine: str) -> None:
    found = open_index(older, engine=engine).search(encoded([3], 1), k=1, pool=10)
    assert (found.hits[0][0].id, found.hits[0][0].distance) == (3, 0)


def test_it_goes_on(older: Path) -> None:
    """Its kept engine carries its hash, and goes with its version."""
    assert len(list((older / "cache").iterdir())) == 1
    with Writer(older, HEADER) as writer:
        assert add(writer, [11]).tolist() == [11]
        assert writer.commit(beside={"skipped.csv": b"path,reason\n"}) == 3
        assert not list((older / "cache").iterdir())
        assert writer.compact() == 4
    remove(older, where="id = 0")
    assert content(older) == expected({number: edition for number, edition in (EDITIONS | {11: 0}).items() if number})
    found = check(older)
    assert found.problems == found.leftovers == ()
    assert found.unchecked == ("encoder.json", "skipped.csv")


def test_what_a_killed_writer_of_then_left_is_named_and_stays(older: Path) -> None:
    """It was not announced, so nobody can tell whose it is; the next version takes another number."""
    left = older / "segments" / "000000003-000000"
    left.mkdir()
    for file in (left / "codes.npy", older / ".v3.json.new"):
        file.write_bytes(b"a part")
    with Writer(older, HEADER) as writer:
        add(writer, [11])
        assert writer.commit() == 4
    assert check(older).unchecked[0] == ".v3.json.new"
    assert "segments/000000003-000000/codes.npy" in check(older).unchecked


class TestProductQuantized:
    """Twelve digits by a network that was trained for one epoch: ten, then two more, then the sixth removed.

    `index_v1_pq_answers.json` holds three of them as they were encoded, and what the code of that day answered.
    """

    @pytest.fixture
    def digits(self, tmp_path: Path) -> Path:
        shutil.copytree(DATA / "index_v1_pq", tmp_path / "index")
        return tmp_path / "index"

    def test_it_is_whole(self, digits: Path) -> None:
        found = check(digits)
        assert (found.version, found.rows, found.problems, found.leftovers) == (3, 11, (), ())

    def test_it_answers_the_same_ids(self, digits: Path) -> None:
        found = open_index(digits).search(queries(), k=5, pool=10)
        answers = [[[hit.id, hit.path] for hit in hits] for hits in found.hits]
        assert answers == [[hit[:2] for hit in hits] for hits in KEPT["answers"]["fine"]]
        distances = [[hit.code_distance for hit in hits] for hits in found.hits]
        np.testing.assert_allclose(distances, [[hit[2] for hit in hits] for hits in KEPT["answers"]["fine"]], rtol=1e-5)

    def test_it_goes_on(self, digits: Path) -> None:
        """The first query is added once more: its ids are the next, and it is as near as its twin."""

        header = Header.of(digits, opened(digits).manifest)
        new, query = [Row("again.png", ("0",), None, b"again")], queries()
        with Writer(digits, header) as writer:
            added = writer.add(new, query.codes[:1], query.features[:1].astype(np.float16))
            assert (added.tolist(), writer.commit()) == ([12], 4)
        found = open_index(digits).search(query, k=2, pool=12)
        assert {hit.id for hit in found.hits[0]} == {0, 12}
        assert check(digits).problems == ()


def queries() -> Encoded:
    """The digits as they were encoded."""
    return Encoded(
        np.array(KEPT["codes"], np.uint8),
        np.array(KEPT["embedding"], np.float32),
        np.array(KEPT["features"], np.float32),
        KEPT["encoder_id"],
    )


class TestObjects:
    """Format 2, written on 29 November 2026: two images with an object each; then a.jpg changed, and its object too."""

    @pytest.fixture
    def seen(self, tmp_path: Path) -> Path:
        shutil.copytree(DATA / "index_v2_objects", tmp_path / "index")
        return tmp_path / "index"

    def test_it_is_whole_and_answers(self, seen: Path) -> None:
        found = check(seen)
        assert (found.version, found.rows, found.problems, found.leftovers) == (2, 4, (), ())
        assert [(row.id, row.path, row.object, row.score) for row, *_ in content(seen)] == [
            (0, "a.jpg", None, None),
            (2, "b.jpg", None, None),
            (3, "b.jpg", "cat", 0.75),
            (4, "a.jpg", "horse", 0.25),
        ]
        snapshot, query = open_index(seen), encoded([4])
        assert [hit.object for hit in snapshot.search(query, k=2, among="objects").hits[0]] == ["horse", "cat"]
        assert {hit.id for hit in snapshot.search(query, k=4, among="images").hits[0]} == {0, 2}

    def test_it_goes_on_with_its_detector_alone(self, seen: Path) -> None:
        with pytest.raises(MismatchError, match="holds objects of detector 5ee2"):
            Writer(seen, HEADER)
        with Writer(seen, HEADER._replace(detector_id="5ee2" * 16)) as writer:
            assert add(writer, [5]).tolist() == [5]
            writer.commit()
            writer.compact()
        assert [row.object for row, *_ in content(seen)] == [None, None, "cat", "horse", None]
        assert check(seen).problems == ()


def test_an_index_without_objects_keeps_its_format(older: Path) -> None:
    """Whatever is done to it, who read it before reads it still."""
    with Writer(older, HEADER) as writer:
        add(writer, [11])
        writer.commit()
        writer.compact()
    (manifest,) = older.glob("v*.json")
    assert json.loads(manifest.read_text())["format_version"] == 1
    for file in older.rglob("rows.parquet"):
        assert pq.read_schema(file).equals(PLAIN_SCHEMA)
