"""What a shard says of itself: which part it is, and of which cut of an index; see `dqh.index.store.splitting`.

Written beside the rows as `shard.json`, and kept by whatever is done to the shard afterwards.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from dqh.errors import StoreError
from dqh.files import read_regular
from dqh.index.store.manifest import SHARD, Manifest
from dqh.index.store.system_errors import unreadable
from dqh.sealed import seal, unseal

_BYTES = 2**12
_CUT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """Which part of which cut a shard is.

    Attributes:
        number: from 0.
        of: parts of the cut.
        cut: the same for all parts of one cut, and for those of no other: of the index, its version, and `of`.
        version: of the index that was cut.
    """

    number: int
    of: int
    cut: str
    version: int

    def __post_init__(self) -> None:
        """Raise `ValueError` where no cut has such a part."""
        numbers = (self.number, self.of, self.version)
        are_whole = all(type(number) is int for number in numbers)
        if not are_whole or not 0 <= self.number < self.of or self.version < 1:
            raise ValueError(f"number, of and version must be whole, 0 ≤ number < of and 1 ≤ version, got {numbers}")
        if type(self.cut) is not str or not _CUT.fullmatch(self.cut):
            raise ValueError(f"cut must be 64 hexadecimal digits, got {self.cut!r}")

    def __str__(self) -> str:
        """In words, numbers from 0 as the folders of the shards have them."""
        return f"shard {self.number} of {self.of} (cut {self.cut[:8]} of version {self.version})"

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return seal(asdict(self))


def parts_of(manifest: Manifest, shards: int) -> tuple[Part, ...]:
    """The parts of the cut of a version of an index into so many shards."""
    cut = hashlib.sha256(b"%d shards of " % shards + manifest.to_bytes()).hexdigest()
    return tuple(Part(number, shards, cut, manifest.version) for number in range(shards))


def part_in(content: bytes) -> Part:
    """The part that the content of `shard.json` says; `ValueError` or `TypeError` where it is damaged."""
    return Part(**unseal(content))


def part_of(path: Path) -> Part | None:
    """Which part of a cut an index is; None where it was not cut from another one.

    Raises:
        StoreError: what it says of that is damaged, or cannot be read.
    """
    try:
        return part_in(read_regular(path / SHARD, most=_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path / SHARD}: {error}; copy the shard again, or cut the index anew: "
            "dqh split INDEX --shards N --out NEW"
        ) from error


def require_whole_index(path: Path) -> None:
    """Refuse new images for a shard: others of its cut have the next ids, or would give them to other images.

    Raises:
        StoreError: the index is a shard, or what it says of that is damaged.
    """
    if (part := part_of(path)) is not None:
        raise StoreError(
            f"{path} is {part}, which takes no new images, as other shards have the ids that they would get; put them "
            f"into the index that was cut, and cut it anew: dqh split INDEX --shards {part.of} --out NEW"
        )
