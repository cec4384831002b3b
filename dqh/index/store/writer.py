"""The one writer of an index: what it adds, replaces and deletes becomes a new version at once, or not at all.

n rows of a batch, B bits a code, F feature dimensions.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dqh.errors import StoreError
from dqh.index.store.announcing import Announcements
from dqh.index.store.durable import make_folder
from dqh.index.store.header import Header, require_same_encoder
from dqh.index.store.leftovers import remove_leftovers, unlisted
from dqh.index.store.live_rows import Key, Known, LiveRows
from dqh.index.store.manifest import LOCK, Manifest, SegmentEntry, manifest_name
from dqh.index.store.part import require_whole_index
from dqh.index.store.pending import Pending, checked_batch
from dqh.index.store.pending_tags import PendingTags
from dqh.index.store.place import (
    newest_version,
    read_manifest,
    require_maps,
    require_no_links,
    require_place,
)
from dqh.index.store.publishing import publish_version, put_beside, require_possible
from dqh.index.store.row_ids import row_ids
from dqh.index.store.rows import Box, Row, checked_row
from dqh.index.store.system_errors import uncertain, unreadable, unwritable
from dqh.index.store.tags import Tags
from dqh.index.store.version import Version, deleted_rows
from dqh.locks import locked_file

logger = logging.getLogger(__name__)

SEGMENT_ROWS = 2**16
_SEGMENT_BYTES = 2**28
_NAMED = 5


class Writer:
    """Begins at the newest version and makes the next ones.

    Rows go into segments as they come, and appear together with all other changes by `commit`. A writer that ends
    without it, however it ends, leaves the version that it began with; the next writer removes what it left behind.
    Whatever it creates is announced first, and nothing is removed or replaced but what a version or such a note lists.
    Memory: about 300 bytes a row, and `segment_rows` rows, at most 256 MiB of features.

    Attributes:
        path: folder of the index.
        manifest: of the newest version; None before the first commit of a new index.

    Args:
        path: folder of the index; made where it is missing.
        header: needed to make an index; compared with that of an existing one, `root` aside, which stays as it is.
        segment_rows: most rows of a segment.

    Raises:
        ValueError: the header says what no index may have.
        NoStoreError: there is no index and no `header`, or the folder holds something else.
        MismatchError: the index was made with another encoder.
        StoreError: another writer is at work, the newest version is damaged, the index holds links, or its file system
            cannot do what an index needs.

    Example:
        >>> import tempfile
        >>> from dqh.quantizers import Threshold
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Writer(folder.name, Header("an id", Threshold(8), feature_size=2)) as writer:
        ...     ids = writer.add([Row("a.jpg", ("dress",))], np.array([[7]], np.uint8), np.ones((1, 2), np.float32))
        ...     print(ids, writer.commit())
        [0] 1
    """

    def __init__(self, path: str | Path, header: Header | None = None, *, segment_rows: int = SEGMENT_ROWS) -> None:
        if segment_rows < 1:
            raise ValueError(f"segment_rows must be at least 1, got {segment_rows}")
        self.path = Path(path)
        self.manifest: Manifest | None = None
        self._live: LiveRows | None = None
        self._held = ExitStack()
        self._closed = self._locked = self._begun = False
        self._next_id = 0
        with self._writing():
            require_place(self.path, new=header is not None)
            make_folder(self.path)
            self._held.enter_context(locked_file(self.path / LOCK, error=StoreError))
            self._locked = True
            self._begin(header, segment_rows)
            self._begun = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index; what was not committed is forgotten."""
        if self._closed:
            return
        self._closed = True
        try:
            version = newest_version(self.path)
            if self._locked:
                remove_leftovers(self.path, None if version is None else read_manifest(self.path, version))
        except (OSError, StoreError) as error:
            logger.warning("%s: files of an unfinished commit stay until the next writer: %s", self.path, error)
        finally:
            self._held.close()

    def opened(self) -> Version:
        """The newest version, without the changes since; nobody removes its files while this writer is there.

        Raises:
            StoreError: there is none yet, or a file of it is damaged or missing.
        """
        self._require_open()
        if self.manifest is None:
            raise StoreError(f"{self.path} has no version yet; call commit() first")
        try:
            return Version(self.path, self.manifest)
        except OSError as error:
            raise unreadable(self.path, error) from error

    def find(self, path: str, box: Box | None = None) -> Known | None:
        """What the index, with the changes so far, has of an image, or of a part of it.

        Raises:
            ValueError: an impossible path or box.
        """
        return self._rows().find((path, checked_row(Row(path, box=box)).box))

    def objects(self, path: str) -> dict[Box, Known]:
        """What the index, with the changes so far, has of the objects that a detector saw in an image, by box."""
        return self._rows().objects(path)

    def known(self) -> Iterator[tuple[Key, Known]]:
        """All rows, with the changes so far: path and box, and what is known of them."""
        yield from self._rows()

    def add(
        self,
        rows: Sequence[Row],
        codes: NDArray[np.uint8],
        features: NDArray[np.float32] | NDArray[np.float16],
        *,
        ids: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Append images that the index does not have.

        Args:
            rows: n of them; path and box of each are new.
            codes: (n, ⌈B / 8⌉) uint8, the unused bits of the last byte zero.
            features: (n, F) float32 or float16, finite in float16, as which they are kept.
            ids: (n,) of these rows where they come from another index: ascending, each above all that were given
                before; None for the next ones.

        Returns:
            (n,) int64, their ids.

        Raises:
            ValueError: an array has another shape or dtype or impossible values, a row is known already, or an id may
                have been given before.
            StoreError: a segment cannot be written; the writer is closed. Or the index is a shard of another one, and
                new ids are wanted.
        """
        self._require_open()
        if ids is None:
            require_whole_index(self.path)
        rows, kept = checked_batch(self._header, rows, codes, features)
        live = self._rows()
        old = [row for row in rows if live.find((row.path, row.box))]
        if old:
            raise ValueError(f"{len(old)} rows are in the index already, first {old[0].path!r}; replace them")
        ids = row_ids(self.path, len(rows), first=self._next_id, given=ids)
        self._next_id = int(ids.max(initial=self._next_id - 1)) + 1
        self._append(ids, rows, codes, kept)
        return ids

    def replace(
        self, rows: Sequence[Row], codes: NDArray[np.uint8], features: NDArray[np.float32] | NDArray[np.float16]
    ) -> NDArray[np.int64]:
        """Put new content in the place of images that the index has, which keep their ids.

        Arguments and result as for `add`, but that path and box of each row are known.

        Raises:
            ValueError: as for `add`, or a row is not known.
            StoreError: a segment cannot be written; the writer is closed.
        """
        self._require_open()
        rows, kept = checked_batch(self._header, rows, codes, features)
        live = self._rows()
        old = [known for row in rows if (known := live.find((row.path, row.box)))]
        if len(old) < len(rows):
            new = next(row for row in rows if not live.find((row.path, row.box)))
            raise ValueError(f"{len(rows) - len(old)} rows are not in the index, first {new.path!r}; add them")
        self._gone.update(row.position for row in old)
        ids = np.array([row.id for row in old], np.int64)
        self._append(ids, rows, codes, kept)
        return ids

    def delete(self, ids: Sequence[int] | NDArray[np.int64]) -> None:
        """Take rows out; their ids are never given again.

        Raises:
            ValueError: an id is not in the index, or is named twice.
        """
        self._require_open()
        live = self._rows()
        wanted = [int(number) for number in ids]
        missing = [number for number in wanted if not live.has(number)]
        if missing or len(set(wanted)) < len(wanted):
            raise ValueError(f"ids must be in the index, each named once; not there: {missing[:5]}")
        self._gone.update(live.remove(number).position for number in wanted)

    def tag(self, tags: Tags) -> None:
        """Give images these tags, and take all others off, in the next version.

        Tags stay where the content of an image is replaced, and go with its last row.

        Args:
            tags: path → tags of the image, at most `dqh.index.store.tags.MOST_TAGS` and different ones.

        Raises:
            ValueError: a tag is impossible, an image has one twice or too many, or is not in the index.
            StoreError: the tags that are there are damaged.
        """
        self._require_open()
        self._tags.give(tags, self._rows())

    def end_segment(self) -> None:
        """Rows that come from now on go into another segment.

        Raises:
            StoreError: the segment cannot be written; the writer is closed.
        """
        self._require_open()
        with self._writing():
            self._pending.flush()

    def commit(self, *, beside: Mapping[str, bytes] | None = None) -> int:
        """Make all changes since the last commit the next version.

        Args:
            beside: content of `encoder.json`, `skipped.csv` or `failed.csv`, put in their places when the version is
                there.

        Returns:
            The number of the newest version; without changes none is made, but for the first one.

        Raises:
            StoreError: it cannot be written; the index has its old version, unless the text says otherwise, and the
                writer is closed.
        """
        self._require_open()
        with self._writing():
            if self.manifest is None or self._changed:
                self._pending.flush()
                segments = (*(self.manifest.segments if self.manifest else ()), *self._pending.segments)
                self._publish(segments, self._deleted)
            put_beside(self.path, self._announced, beside or {})
        assert self.manifest is not None
        return self.manifest.version

    def compact(self) -> int:
        """Write all rows anew, in the order of their ids and without the deleted ones, in as few segments as possible.

        Returns:
            The number of the newest version; where nothing would change none is made.

        Raises:
            StoreError: there are changes to commit first, rows are damaged, or the version cannot be written.
        """
        self._require_open()
        manifest = self.manifest
        if manifest is None or self._changed:
            raise StoreError(f"{self.path} has changes that are not committed; call commit() first")
        version = self.opened()  # also where nothing is to do: damage is told
        if not manifest.deleted_rows and len(manifest.segments) <= -(-manifest.rows // self._most):
            return manifest.version
        with self._writing():
            for batch in version.batches(self._most):
                self._pending.put(np.array([row.id for row in batch.rows]), *batch)
            self._pending.flush()
            compacted = self._publish(tuple(self._pending.segments), np.zeros(len(version), np.bool_))
        self._live = None
        return compacted.version

    def _begin(self, header: Header | None, segment_rows: int) -> None:
        version = newest_version(self.path)
        if version is not None:
            self.manifest = read_manifest(self.path, version)
        require_no_links(self.path, self.manifest)
        remove_leftovers(self.path, self.manifest)
        if self.manifest is None:
            assert header is not None
            require_possible(header)
            self._header = header
            self._deleted = np.zeros(0, np.bool_)
        else:
            self._header = Header.of(self.path, self.manifest)
            if header is not None:
                require_same_encoder(self.path, self._header, header)
            self._deleted = deleted_rows(self.path, self.manifest)
            self._next_id = self.manifest.next_id
            if others := unlisted(self.path, self.manifest):
                more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
                logger.warning("%s: of no version, left as it is: %s%s", self.path, ", ".join(others[:_NAMED]), more)
        self._most = max(1, min(segment_rows, _SEGMENT_BYTES // (2 * self._header.feature_size)))
        self._start_over()
        if header is not None:  # before anything is made of images that this place then does not take
            require_maps(self._announced.begin())

    def _start_over(self) -> None:
        """Nothing is waiting for a commit."""
        self._announced = Announcements(self.path, 0 if self.manifest is None else self.manifest.version)
        self._pending = Pending(self.path, self._announced.segment, self._most)
        self._total = len(self._deleted)
        self._gone: set[int] = set()
        self._tags = PendingTags(self.path, self.manifest)

    @property
    def _changed(self) -> bool:
        return bool(self._pending or self._gone or self._tags)

    def _rows(self) -> LiveRows:
        """All rows, with the changes so far; read when they are first needed."""
        self._require_open()
        if self._live is None:
            self._live = LiveRows(None if self.manifest is None else self.opened())
        return self._live

    def _append(
        self, ids: NDArray[np.int64], rows: Sequence[Row], codes: NDArray[np.uint8], features: NDArray[np.float16]
    ) -> None:
        live = self._rows()
        for number, row in zip(ids.tolist(), rows, strict=True):
            live.put(number, row, self._total)
            self._total += 1
        with self._writing():
            self._pending.put(ids, rows, codes, features)

    def _publish(self, segments: tuple[SegmentEntry, ...], deleted: NDArray[np.bool_]) -> Manifest:
        """Make the next version appear, and remove what it does not need."""
        mask = np.zeros(sum(segment.rows for segment in segments), np.bool_)
        mask[: len(deleted)] = deleted
        mask[list(self._gone)] = True
        before, tags = self.manifest, self._tags.of_next(self._rows, gone=bool(self._gone))
        manifest = publish_version(
            self.path,
            self._announced,
            header=self._header,
            before=before,
            segments=segments,
            new=self._pending.segments,
            deleted=mask,
            next_id=self._next_id,
            tags=tags,
        )
        self.manifest, self._deleted = manifest, mask
        self._start_over()
        try:
            remove_leftovers(self.path, manifest, older=() if before is None else (before,))
        except OSError as error:
            logger.warning("%s: files of the version before stay until the next writer: %s", self.path, error)
        return manifest

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"the writer of {self.path} is closed; make a new one")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A block of writes: where one fails, the writer ends and says at which version the index is."""
        try:
            yield
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        except BaseException:
            self.close()
            raise

    def _failed(self, error: OSError) -> StoreError:
        if self._begun and (self.path / manifest_name(self._announced.version)).exists():
            return uncertain(self.path, error, self._announced.version)
        version = None if self.manifest is None else self.manifest.version
        return unwritable(self.path, error, begun=self._begun, version=version)
