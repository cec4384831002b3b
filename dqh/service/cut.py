"""Whether the shards of a router are one another's: all parts of one cut of an index, each once.

A shard tells which part it is with every answer to who may ask, see `dqh.index.store.part`. An index that was not cut
tells nothing, and goes with such alone; whether all of these are there nobody can know.
"""

import threading
from collections.abc import Mapping, Sequence

import msgspec

from dqh.index.store.part import Part
from dqh.plural import counted

HEADER = "dqh-shard"


class CutError(Exception):
    """Shards are not those of one cut, or not all of them; the text says why."""


class Cut:
    """What shards say that they are; threads may share it.

    Who says so first decides of which cut the others have to be; an index that was not cut decides it for no part of a
    cut. What one says anew, as after a start, counts instead of what it said before.

    Args:
        addresses: of the shards.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses, self._lock = tuple(addresses), threading.Lock()
        self._parts: dict[int, Part | None] = {}

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


def headers_of(part: Part | None) -> dict[str, str]:
    """What the answers of a shard say of it."""
    return {} if part is None else {HEADER: msgspec.json.encode(part).decode("ascii")}


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
