"""The names that a writer creates for its next version, each noted before it is created, see `dqh.intent`.

One note serves a whole commit of up to 16 segments; further ones announce twice as many each, so that their number,
and that of the flushes they cost, grows with the logarithm of the segments.
"""

import os
import re
from collections import deque
from pathlib import Path

from dqh.errors import StoreError
from dqh.index.store.durable import temporary_of
from dqh.index.store.faults import Step, reached
from dqh.index.store.manifest import BESIDE, QUANTIZER, SEGMENTS, bitmap_name, manifest_name
from dqh.index.store.schema import LARGEST_VERSION, SEGMENT_FILES
from dqh.index.store.tags import tags_name
from dqh.intent import announce, notes

_BLOCK = 16
_SEGMENTS = 999_999
_OURS = re.compile(
    r"segments/[0-9]{9}-[0-9]{6}/(rows\.parquet|(codes|features|crc)\.npy)|deleted/[1-9][0-9]{0,8}\.bitmap"
    r"|tags/[1-9][0-9]{0,8}\.parquet|quantizer\.safetensors|\.v[1-9][0-9]{0,8}\.json\.new|\.((encoder|shard)\.json|(skipped|failed)\.csv)\.new"
)
"""What a writer of an index announces; a note of anything else is not one of ours."""


class Announcements:
    """What one version is made of, announced when the first of it is to be created.

    `version` is the number of the next one: the first behind `newest`, 0 for none, whose names nobody has taken. The
    lock of the folder is held.
    """

    def __init__(self, path: Path, newest: int) -> None:
        self._path = path
        self._first = newest == 0
        self._note: Path | None = None
        self._segments: deque[str] = deque()
        self._next, self._block = 0, _BLOCK
        self.version = newest + 1
        while any(os.path.lexists(path / name) for name in self._names()):
            self.version += 1

    def begin(self) -> Path:
        """The note that announces the files that every version may have, and the first segments.

        Raises:
            StoreError: no version can follow.
            FileExistsError: one of the names is taken.
            OSError: the note cannot be written.
        """
        if self.version > LARGEST_VERSION:
            raise StoreError(
                f"{self._path} is at version {self.version - 1}, and none beyond {LARGEST_VERSION} can follow; put the "
                "images into a new index: dqh index ARTIFACT IMAGES --out NEW"
            )
        if self._note is None:
            names = {*self._names(), *(str(temporary_of(Path(name))) for name in BESIDE)} - {
                manifest_name(self.version)
            }
            self._note = self._announce(names | ({QUANTIZER} if self._first else set()))
        return self._note

    def segment(self) -> str:
        """The name of the next segment, of which nothing exists.

        Raises:
            StoreError: there are too many segments.
            OSError: a note cannot be written.
        """
        self.begin()
        if not self._segments:
            self._announce(set())
        return self._segments.popleft()

    def _names(self) -> tuple[str, ...]:
        name = manifest_name(self.version)
        return name, str(temporary_of(Path(name))), bitmap_name(self.version), tags_name(self.version)

    def _announce(self, names: set[str]) -> Path:
        """Note some names, and those of the next block of segments."""
        chosen: list[str] = []
        while len(chosen) < self._block and self._next <= _SEGMENTS:
            segment = f"{self.version:09d}-{self._next:06d}"
            if not os.path.lexists(self._path / SEGMENTS / segment):
                chosen.append(segment)
            self._next += 1
        if not chosen:
            raise StoreError(f"{self._path} takes at most {_SEGMENTS + 1} segments a version; call commit() more often")
        files = {f"{SEGMENTS}/{segment}/{name}" for segment in chosen for name in SEGMENT_FILES}
        note = announce(self._path, names | files)
        reached(Step.ANNOUNCED, note)
        self._segments += chosen
        self._block *= 2
        return note


def announced(path: Path) -> dict[str, frozenset[str]]:
    """The notes of writers of an index by their name, with what each announces."""
    return {
        note.name: names
        for note, names in notes(path).items()
        if names and all(_OURS.fullmatch(name) for name in names)
    }
