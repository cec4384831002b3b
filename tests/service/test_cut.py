"""Which shards go with one another, by hand."""

import msgspec
import pytest

from dqh.index.store.part import Part
from dqh.service.cut import Cut, CutError, headers_of, read_part, read_version

ONE, OTHER = "a1" * 32, "b2" * 32


def part(number: int, of: int = 3, cut: str = ONE, version: int = 5) -> Part:
    return Part(number, of, cut, version)


def cut(*parts: Part | None, of: int = 3) -> Cut:
    """What shards at `http://0`, `http://1` … have said, of which there are `of`."""
    own = Cut([f"http://{number}" for number in range(of)])
    for number, said in enumerate(parts):
        own.take(number, said)
    return own


def test_all_parts_in_any_order() -> None:
    own = cut(part(2), part(0), part(1))
    own.require_all()
    own.take(0, part(2))  # as with its next answer


def test_indexes_that_were_not_cut_go_with_such() -> None:
    own = cut(None, None)
    own.require_all()


@pytest.mark.parametrize(
    ("known", "said", "message"),
    [
        (
            part(0),
            part(1, cut=OTHER, version=6),
            r"it is shard 1 of 3 \(cut b2b2b2b2 of version 6\), and http://0 is shard 0 of 3 "
            r"\(cut a1a1a1a1 of version 5\); name the shards of one cut",
        ),
        (part(0), part(0), r"it is shard 0 of 3 .*, and so is http://0; name each shard once"),
        (part(0), None, "it is no shard of a cut, and http://0 is shard 0 of 3"),
    ],
)
def test_who_does_not_go_with_the_first(known: Part, said: Part | None, message: str) -> None:
    own = cut(known)
    with pytest.raises(CutError, match=message):
        own.take(1, said)
    own.take(1, part(1))  # what it says anew counts


def test_an_index_that_was_not_cut_keeps_no_shard_out() -> None:
    """As what answers in the place of a shard that has not started yet."""
    own = cut(None)
    own.take(1, part(1))
    with pytest.raises(CutError, match="it is no shard of a cut, and http://1 is shard 1"):
        own.take(0, None)


def test_another_cut_may_come_one_by_one() -> None:
    """Once each has said that it is of that."""
    own = cut(part(0), part(1), part(2))
    for number in range(2):
        with pytest.raises(CutError):
            own.take(number, part(number, cut=OTHER))
    for number in (2, 0, 1):
        own.take(number, part(number, cut=OTHER))


def test_two_shards_may_change_places() -> None:
    own = cut(part(0), part(1), part(2))
    with pytest.raises(CutError, match="so is http://1"):
        own.take(0, part(1))
    own.take(1, part(0))
    own.take(0, part(1))


@pytest.mark.parametrize(
    ("parts", "of", "message"),
    [
        (
            (part(0), part(2)),
            2,
            r"2 addresses are too few for 3 shards \(cut a1a1a1a1\): none is of shard 1; name each",
        ),
        ((part(2),), 1, r"1 address is too few for 3 shards \(cut a1a1a1a1\): none is of shard 0, 1; name each"),
        ((part(2),), 2, r"2 addresses are too few for .*: none that answers is of shard 0, 1; name each"),
        ((part(0), part(1)), 4, r"4 addresses are too many for 3 shards \(cut a1a1a1a1\); name each shard once"),
    ],
)
def test_parts_without_an_address_are_named(parts: tuple[Part, ...], of: int, message: str) -> None:
    with pytest.raises(CutError, match=f"^{message}$"):
        cut(*parts, of=of).require_all()


def test_who_has_not_answered_may_be_any() -> None:
    cut(part(2)).require_all()
    cut().require_all()


def test_versions_of_a_part_only_rise() -> None:
    own = cut(part(0), part(1))
    for version in (4, 7, 7):
        own.require_no_older(part(0), version, seen=own.seen)
    own.require_no_older(part(1), 2, seen=own.seen)
    message = "^its index has version 6, version 7 was there before: an older copy, in which removed rows may be back; "
    with pytest.raises(CutError, match=message):
        own.require_no_older(part(0), 6, seen=own.seen)
    own.require_no_older(part(0), 7, seen=own.seen)  # it has caught up


def test_a_part_of_another_cut_begins_anew() -> None:
    own = cut(part(0))
    own.require_no_older(part(0), 7, seen=own.seen)
    own.require_no_older(part(0, cut=OTHER), 1, seen=own.seen)
    with pytest.raises(CutError, match="version 6, version 7 was there"):
        own.require_no_older(part(0), 6, seen=own.seen)


def test_an_answer_that_was_on_its_way_when_a_newer_one_came_is_none_of_an_older_copy() -> None:
    own = cut(part(0))
    asked = own.seen
    own.require_no_older(part(0), 7, seen=own.seen)
    own.require_no_older(part(0), 6, seen=asked)
    with pytest.raises(CutError, match="version 6, version 7 was there"):
        own.require_no_older(part(0), 6, seen=own.seen)


def test_what_was_not_cut_or_tells_no_version_may_have_any() -> None:
    """Another index may take the place of one that was not cut."""
    own = cut(None)
    for said, version in ((None, 7), (None, 6), (part(0), 3), (part(0), None)):
        own.require_no_older(said, version, seen=own.seen)


def test_what_is_told_by_headers() -> None:
    assert read_part(headers_of(part(1), 3)) == part(1)
    assert read_version(headers_of(part(1), 3)) == 3
    assert headers_of(None, 3) == {}
    assert read_part({}) is read_version({}) is None
    for nonsense in ("", "x", "-1", "0", "1" * 5000):
        with pytest.raises(ValueError, match="dqh-version must be a whole number from 1"):
            read_version({"dqh-version": nonsense})
    with pytest.raises(msgspec.DecodeError):
        read_part({"dqh-shard": '{"number":1,"of":1,"cut":"x","version":1}'})
