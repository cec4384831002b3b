"""What a shard says of itself, and that it stays so, whatever is done to it."""

from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store import Writer, check, compact, open_index, remove
from dqh.index.store.manifest import SHARD
from dqh.index.store.part import Part, part_of, parts_of, require_whole_index
from dqh.index.store.splitting import split
from dqh.sealed import seal
from tests.index.store.conftest import EDITIONS, add, content, expected, replace

CUT = "0123456789abcdef" * 4
FIELDS = {"number": 1, "of": 2, "cut": CUT, "version": 3}


@pytest.fixture
def shards(index: Path, tmp_path: Path) -> tuple[Path, ...]:
    return split(index, tmp_path / "shards", shards=3)


def test_the_parts_of_a_cut(index: Path) -> None:
    """Equal for one version and number of shards alone."""
    version = open_index(index).version.manifest
    first = parts_of(version, 3)
    assert [(part.number, part.of, part.version) for part in first] == [(0, 3, 2), (1, 3, 2), (2, 3, 2)]
    assert {part.cut for part in first} == {parts_of(version, 3)[2].cut}
    with Writer(index) as writer:
        add(writer, [30])
        writer.commit()
    cuts = {parts_of(manifest, 3)[0].cut for manifest in (version, open_index(index).version.manifest)}
    assert len(cuts | {parts_of(version, 2)[0].cut}) == 3


def test_a_shard_says_which_part_it_is(index: Path, shards: tuple[Path, ...]) -> None:
    assert tuple(map(part_of, shards)) == parts_of(open_index(index).version.manifest, 3)
    assert part_of(index) is None
    assert str(Part(**FIELDS)) == "shard 1 of 2 (cut 01234567 of version 3)"


def test_it_stays_that_part(shards: tuple[Path, ...]) -> None:
    """Where rows are removed or replaced; and nothing is wrong with it."""
    own, before = shards[0], part_of(shards[0])
    first = next(number for number in EDITIONS if number in open_index(own).version.ids)
    with Writer(own) as writer:
        assert replace(writer, [first], 7).tolist() == [first]
        writer.commit()
    remove(own, where=f"id > {first}")
    compact(own)
    assert content(own) == expected({first: 7})
    assert part_of(own) == before
    found = check(own)
    assert (found.problems, found.leftovers, found.unchecked) == ((), (), (SHARD,))


def test_it_takes_no_new_images(index: Path, shards: tuple[Path, ...]) -> None:
    """Those that another shard has would get their ids."""
    require_whole_index(index)
    with (
        Writer(shards[1]) as writer,
        pytest.raises(
            StoreError, match=r"1 is shard 1 of 3 \(cut .*\), which takes no new images, .* --shards 3 --out"
        ),
    ):
        add(writer, [30])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "not the JSON that was written"),
        (seal(FIELDS).replace(b'"of":2', b'"of":3'), "does not match its hash"),
        (seal(FIELDS | {"more": 1}), "more"),
        (seal({"number": 1}), "missing"),
        (seal(FIELDS | {"number": 2}), "0 ≤ number < of"),
        (seal(FIELDS | {"number": -1}), "0 ≤ number < of"),
        (seal(FIELDS | {"of": 2.5}), "must be whole"),
        (seal(FIELDS | {"version": 0}), "1 ≤ version"),
        (seal(FIELDS | {"cut": "x"}), "64 hexadecimal digits, got 'x'"),
    ],
)
def test_what_is_damaged_is_told(shards: tuple[Path, ...], written: bytes, message: str) -> None:
    (shards[0] / SHARD).write_bytes(written)
    with pytest.raises(StoreError, match=message) as error:
        part_of(shards[0])
    assert "copy the shard again, or cut the index anew" in str(error.value)


def test_what_is_no_file_is_told(shards: tuple[Path, ...]) -> None:
    (shards[0] / SHARD).unlink()
    assert part_of(shards[0]) is None
    (shards[0] / SHARD).mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        part_of(shards[0])
    assert part_of(shards[1] / SHARD) is None, "it is no folder"
