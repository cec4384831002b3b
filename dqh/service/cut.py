"""Whether the shards of a router are one another's: all parts of one cut of an index, each once.

A shard tells which part it is, and of which version, with every answer to who may ask, see `dqh.index.store.part`. An
index that was not cut tells nothing, and goes with such alone; whether all of these are there nobody can know, nor
whether one is an older copy: another index may have taken its place.
"""

import re
import threading
from collections.abc import Mapping, Sequence

import msgspec

from dqh.index.store.part import Part
from dqh.plural import counted

HEADER, VERSION = "dqh-shard", "dqh-version"

_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class CutError(Exception):
    """Shards are not those of one cut, or not all of them, or one is an older copy; the text says why."""


class Cut:
    """What shards say that they are; threads may share it.

    Who says so first decides of which cut the others have to be; an index that was not cut decides it for no part of a
    cut. What one says anew, as after a start, counts instead of what it said before.

    Args:
        addresses: of the shards.

    Attributes:
        seen: the newest version that each part was seen with; never changed, but replaced.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses, self._lock = tuple(addresses), threading.Lock()
        self._parts: dict[int, Part | None] = {}
        self.seen: Mapping[Part, int] = {}

    def take(self, number: int, part: Part | None) -> None:
        """Take note of what the shard at one of the addresses says.

        Raises:
            CutError: it is of another cut than others that were noted, or is what one of them is.
        """
        with self._lock:
            if number in self._parts and self._parts[number] == part:
                return
            self._parts.pop(number, None)
            if part is not None:
                self._parts = {other: own for other, own in self._parts.items() if own is not None}
            for other, own in self._parts.items():
                if problem := _difference(part, own, self._addresses[other]):
                    raise CutError(problem)
            self._parts[number] = part

    def require_no_older(self, part: Part | None, version: int | None, *, seen: Mapping[Part, int]) -> None:
        """Take note of the version that a part answered with, which only rises as long as it is one index.

        Args:
            part: that answered.
            version: of its index; None where it tells none.
            seen: as it was when the part was asked, as answers may overtake one another.

        Raises:
            CutError: it had a newer one, so that this is an older copy.
        """
        if part is None or version is None:
            return
        if version < seen.get(part, 0):
            raise CutError(
                f"its index has version {version}, version {seen[part]} was there before: an older copy, in which "
                "removed rows may be back; bring the newer one, or start the router again to take this one"
            )
        with self._lock:
            if version > self.seen.get(part, 0):
                self.seen = {**self.seen, part: version}

    def require_all(self) -> None:
        """Raise `CutError` where there are not as many addresses as parts, with the numbers of those that have none."""
        with self._lock:
            known = [part for part in self._parts.values() if part is not None]
        if not known or known[0].of == len(self._addresses):
            return
        cut = f"{counted(known[0].of, 'shard')} (cut {known[0].cut[:8]})"
        named = counted(len(self._addresses), "address is", "addresses are")
        if known[0].of < len(self._addresses):
            raise CutError(f"{named} too many for {cut}; name each shard once")
        numbers = sorted(set(range(known[0].of)) - {part.number for part in known})
        which = "" if len(known) == len(self._addresses) else " that answers"
        missing = ", ".join(map(str, numbers))
        raise CutError(f"{named} too few for {cut}: none{which} is of shard {missing}; name each")


def read_part(headers: Mapping[str, str]) -> Part | None:
    """What an answer says of the shard that it is from; `msgspec.DecodeError` where that makes no sense."""
    text = headers.get(HEADER)
    return None if text is None else msgspec.json.decode(text, type=Part)


def read_version(headers: Mapping[str, str]) -> int | None:
    """Which version of a shard an answer is from; `ValueError` where that makes no sense."""
    text = headers.get(VERSION)
    if text is not None and not _VERSION.fullmatch(text):
        raise ValueError(f"{VERSION} must be a whole number from 1 to 999,999,999, got {text[:20]!r}")
    return None if text is None else int(text)


def headers_of(part: Part | None, version: int) -> dict[str, str]:
    """What the answers of a shard say of it, and of its version."""
    return {} if part is None else {HEADER: msgspec.json.encode(part).decode("ascii"), VERSION: str(version)}


def _difference(one: Part | None, other: Part | None, address: str) -> str | None:
    """Why two indexes cannot be shards of one router; None where they can."""
    if one is None and other is None:
        return None
    if one is None or other is None or one.cut != other.cut:
        return f"it is {_told(one)}, and {address} is {_told(other)}; name the shards of one cut"
    if one.number == other.number:
        return f"it is {one}, and so is {address}; name each shard once"
    return None


def _told(part: Part | None) -> str:
    return "no shard of a cut" if part is None else str(part)
