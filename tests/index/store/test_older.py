"""An index that the code of 28 November 2026 wrote, before anything was announced: it opens, answers, grows, shrinks.

Images 0 … 9 in version 1; version 2 replaces 3, deletes 5, adds 10. A graph is kept beside it.
"""

import shutil
from pathlib import Path

import pytest

from dqh.index.store import Writer, check, open_index, remove
from tests.index.store.conftest import HEADER, add, content, encoded, expected

EDITIONS = {number: int(number == 3) for number in range(11) if number != 5}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    shutil.copytree(Path(__file__).parent / "data" / "index_v1_binary", tmp_path / "index")
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
