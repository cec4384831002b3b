"""Images into an index: what it does not have yet, and what has changed since."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqh.artifact import load_interface
from dqh.artifact.lengths import length_of_encoder
from dqh.collection.artifact_note import artifact_note
from dqh.collection.comparing import CollectionRows
from dqh.collection.elsewhere import (
    Elsewhere,
    EncodingSettings,
    PartitionedEncoding,
    PartitionRow,
    failed_csv,
    own_encoding,
    sendable_detector,
)
from dqh.collection.indexed import Indexed, TooManyUnusableError
from dqh.collection.objects import Named, detector_of
from dqh.collection.parts import Encoding, Parts
from dqh.collection.tagging import require_some, tagging_of
from dqh.data import Photos
from dqh.data.skipped import reasons_csv
from dqh.data.tag_table import TagLine, read_tag_table
from dqh.detection.detector import Detector
from dqh.encoding.encoded_rows import BATCH_SIZE
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import ConfigError
from dqh.index.store import Header, Row, Writer, relabel
from dqh.index.store.manifest import ENCODER, FAILED, SKIPPED, Manifest
from dqh.index.store.part import require_whole_index
from dqh.index.store.place import at_newest, require_unlocked, versions_in
from dqh.plural import counted
from dqh.progress import Progress

logger = logging.getLogger(__name__)

PORTION = 4096
"""Images that are encoded between two commits."""

STAYS = "; the index keeps its row of when it was usable"
"""Behind the reason of such an image."""


def index_images(
    artifact: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    *,
    bits: int | None = None,
    objects: str | Path | Detector | None = None,
    tags: str | Path | None = None,
    device: str | None = None,
    runtime: str = "torch",
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    max_bad_fraction: float = 0.01,
    portion: int = PORTION,
    elsewhere: Elsewhere | None = None,
) -> Indexed:
    """Put images into an index, which is made where there is none.

    A commit follows every `portion` images, so that a run which was ended goes on where it stopped. Only new images,
    and those whose content has changed, are encoded: every image that the index has is read and hashed, since time and
    size of a file may stay when its content changes. Labels follow what `images` says; an image that is named without
    any keeps those that it has.

    With `objects`, what a detector sees in an image gets rows too, one an object, with box, class, score, and the
    labels of the image, in the version that has the image. Where an image has changed, its objects are replaced by
    others, with new ids. An index is made with a detector or without one, and stays so: later runs take the one that it
    remembers.

    With `tags`, images get the words that a table has for them, in the version that the run ends with, and all others
    have none after it; without it they keep theirs. Lines that name a file which the index does not have, or that
    cannot be used, are listed like unusable images, and count as none.

    Unusable images are listed in `skipped.csv` in the index, and so are list lines and rows of tables that cannot be
    used, which count like them, and folders that cannot be listed, which do not. Where an unusable image was usable
    before, its rows stay, and the list says so; images that are gone stay too. Both go by `remove` alone: a disk that
    is not there for once must not empty an index.

    Paths are kept relative to the root of the index, the folder that the images of its first run had in common, with
    `..` for those of images outside it, so that all paths are of one kind. An index of before, which has the absolute
    paths of such images, keeps these rows as they are.

    Args:
        artifact: folder of the encoder.
        images: see `Photos`.
        out: folder of the index.
        bits: which of the lengths of the artifact; None for that of the index where there is one, else the main one.
        objects: the detector of objects, or where it is; None for that of the index where it has one, else none.
        tags: a table of tags, see `dqh.data.tag_table`.
        device: to compute on; None for CUDA where there is one, else the CPU.
        runtime: that computes, see `load_encoder`.
        batch_size: images, and objects, at a time.
        workers: processes that decode, see `dqh.data.Store`; with `objects`, threads.
        max_bad_fraction: the largest fraction of unusable images, 0 … 1.
        portion: images between two commits; with `elsewhere` there is one.
        elsewhere: who encodes in the place of this process, see `dqh.scale`. Images of what comes to nothing there are
            not in the index, are listed in `failed.csv`, and count as unusable.

    Raises:
        ArtifactError: there is no artifact, it is damaged, or it has no form for the runtime.
        DetectorError: there is no detector where it is said to be, it is damaged, or it fails on all first images.
        ConfigError: a number is out of range, or there is no such runtime or device.
        DataError: a path of `images` stands for nothing, see `Photos`, the artifact encodes no images, or the table of
            tags cannot be read or names no image of the index.
        MismatchError: the index was made with another encoder, or with another detector, or without one.
        StoreError: another writer is at work, the index is a shard of another one, is damaged, or cannot be written.
        TooManyUnusableError: more images are unusable than allowed; the others are in the index.
    """
    limits = {"batch_size": batch_size, "portion": portion}
    problems = [f"{name} must be at least 1, got {value}" for name, value in limits.items() if value < 1]
    if not 0 <= max_bad_fraction <= 1:
        problems.append(f"max_bad_fraction must be in 0 … 1, got {max_bad_fraction}")
    if problems:
        raise ConfigError(problems)
    began = time.monotonic()
    require_unlocked(Path(out))  # a network takes seconds to load
    require_whole_index(Path(out))
    table = None if tags is None else _Table(Path(tags), list(read_tag_table(Path(tags))))
    detector = detector_of(Path(out), objects, option="--objects")
    length = _length(Path(artifact), Path(out), bits)
    encoder = None if elsewhere else load_encoder(artifact, device=device, runtime=runtime, bits=length)
    interface = load_interface(Path(artifact), bits=length) if encoder is None else encoder.interface
    photos = Photos(images)
    settings = EncodingSettings(
        *(Path(artifact).absolute(), interface.encoder_id, length, device, runtime, batch_size, workers),
        detector=None if detector is None or encoder else sendable_detector(detector.path),
        detector_id=None if detector is None else detector.detector.detector_id,
    )
    header = Header(
        interface.encoder_id,
        interface.quantizer,
        interface.feature_size,
        root=photos.common_folder,
        detector_id=settings.detector_id,
    )
    partitioned = elsewhere.encoding(photos, settings, interface, Path(out)) if elsewhere else None
    if partitioned is not None:
        encoding: Encoding = partitioned
    else:
        assert encoder is not None
        encoding = own_encoding(photos, settings, encoder, None if detector is None else detector.detector)
    with closing(partitioned) if partitioned else nullcontext(), Writer(out, header) as writer:
        run = _Run(writer, photos, encoding, detector, Path(artifact), table, partitioned)
        run.all(portion if partitioned is None else len(photos))
        done = run.result(began)
    _require_few(done, run, photos, max_bad_fraction)
    return done


def _require_few(done: Indexed, run: "_Run", photos: Photos, max_bad_fraction: float) -> None:
    """Raise `TooManyUnusableError` where too many images are not in the index."""
    if done.failed + done.skipped <= max_bad_fraction * len(photos):
        return
    if done.failed:
        lost = next(row for row in done.partitions if row.state == "failed")
        raise TooManyUnusableError(
            done,
            f"{done.failed} of {counted(len(photos), 'image')} lie in partitions that failed, listed in "
            f"{run.failures}, and {done.skipped} cannot be used ({(done.failed + done.skipped) / len(photos):.2%} "
            f"together, above max_bad_fraction={max_bad_fraction}); the first: partition {lost.partition}: "
            f"{lost.reason}. The other images are in the index. Run the command again, or raise --max-bad-fraction",
        )
    first = min(run.skipped)
    raise TooManyUnusableError(
        done,
        f"{done.skipped} of {counted(len(photos), 'image')} cannot be used ({done.skipped / len(photos):.2%}, "
        f"above max_bad_fraction={max_bad_fraction}), listed in {done.report}; the first: "
        f"{photos.photos[first].path!r}: {run.skipped[first]}. The other images are in the index. Mend or remove "
        "the unusable ones, or raise --max-bad-fraction",
    )


def _length(artifact: Path, out: Path, bits: int | None) -> int | None:
    """Which length of an artifact an index is made of: what was asked for, else that which it has already."""
    if bits is not None or not versions_in(out):
        return bits
    return length_of_encoder(artifact, at_newest(out, lambda manifest: manifest.encoder_id))


class _Table(NamedTuple):
    """A table of tags, and its lines."""

    file: Path
    lines: list[TagLine]


class _Run:
    """One run: what is to be done, and what has been done.

    Attributes:
        skipped: row of the collection → reason.
    """

    def __init__(
        self,
        writer: Writer,
        photos: Photos,
        images: Encoding,
        detector: Named | None,
        artifact: Path,
        table: _Table | None,
        partitioned: PartitionedEncoding | None,
    ) -> None:
        self.skipped: dict[int, str] = {}
        self._writer, self._photos, self._images = writer, photos, images
        self._partitioned, self.failures = partitioned, writer.path / FAILED
        self._note = artifact_note(artifact, None if detector is None else detector.path)
        self._classes = () if detector is None else detector.detector.classes
        self._rows = CollectionRows(writer, photos)
        self._table, self._unused, self._unknown = table, dict[str, str](), 0
        self._added = self._replaced = self._relabelled = self._unchanged = self._stale = self._detected = 0
        self._encoding = 0.0

    def all(self, portion: int) -> None:
        """Encode and commit what is new or has changed, a portion at a time; other labels go with the first one."""
        if self._table is not None:
            coming = set(self._rows.paths)
            require_some(
                self._table.lines,
                self._table.file,
                self._rows.root,
                is_there=lambda path: path in coming or self._rows.has(path),
            )
        compared = self._rows.compared(self._classes)
        rows, self._unchanged = compared.wanted, compared.unchanged
        self.skipped |= compared.skipped
        relabel(self._writer, compared.relabelled)
        self._relabelled = sum(row.box is None for row in compared.relabelled)
        self._images.progress = Progress("indexed", len(rows))
        for start in range(0, max(1, len(rows)), portion):
            if rows:
                self._put(rows[start : start + portion])
            if start + portion >= len(rows):
                self._tag()
            self._commit()
        if self._partitioned is not None:
            self._partitioned.committed()

    def result(self, began: float) -> Indexed:
        """What was done since a time of `time.monotonic`."""
        manifest = self._writer.manifest
        assert manifest is not None
        encoded = self._added + self._replaced
        return Indexed(
            added=self._added,
            replaced=self._replaced,
            relabelled=self._relabelled,
            unchanged=self._unchanged,
            skipped=len(self.skipped),
            stale=self._stale,
            version=manifest.version,
            rows=manifest.live,
            seconds=time.monotonic() - began,
            images_per_s=encoded / max(self._encoding, 1e-9),
            report=str(self._writer.path / SKIPPED),
            objects=self._objects(manifest),
            detected=self._detected,
            left_out=self._images.left_out,
            tagged=0 if manifest.tags is None else manifest.tags.images,
            tags_unused=len(self._unused),
            tags_unknown=self._unknown,
            partitions=self._partitions,
            failed=sum(row.images for row in self._partitions if row.state == "failed"),
        )

    @property
    def _partitions(self) -> tuple[PartitionRow, ...]:
        return () if self._partitioned is None else tuple(self._partitioned.partitions)

    def _objects(self, manifest: Manifest) -> int:
        """That the index has."""
        if manifest.detector_id is None:
            return 0
        return sum(known.object is not None for _, known in self._writer.known())

    def _put(self, wanted: Sequence[int]) -> None:
        """Encode some images and hand them to the writer."""
        encoded = self._images.run(wanted)
        while (parts := self._next(encoded)) is not None:
            rows = [
                self._rows.row(row, content, part)
                for row, content, part in zip(parts.rows.tolist(), parts.hashes, parts.parts, strict=True)
            ]
            self._write(rows, parts)
            if parts.end:
                self._writer.end_segment()
        self.skipped |= self._images.skipped

    def _next(self, encoded: Iterator[Parts]) -> Parts | None:
        """What comes next, if anything does; the time that it takes counts as that of the encoding."""
        began = time.monotonic()
        try:
            return next(encoded, None)
        finally:
            self._encoding += time.monotonic() - began

    def _write(self, rows: Sequence[Row], parts: Parts) -> None:
        """Hand whole images and their objects to the writer: the objects of what they replace go, all in one version.

        An image keeps its id, an object never does.
        """
        whole = np.array([row.box is None for row in rows], np.bool_)
        known = whole & np.array([self._writer.find(row.path) is not None for row in rows], np.bool_)
        before = [self._writer.objects(row.path).values() for row in rows if row.box is None]
        self._writer.delete([known_object.id for objects in before for known_object in objects])
        for chosen, put in ((~known, self._writer.add), (known, self._writer.replace)):
            if chosen.any():
                numbers = np.flatnonzero(chosen)
                put([rows[number] for number in numbers.tolist()], parts.codes[numbers], parts.features[numbers])
        self._added += int((whole & ~known).sum())
        self._replaced += int(known.sum())
        self._detected += int((~whole).sum())

    def _tag(self) -> None:
        """Hand the tags of the table to the writer, if there is one."""
        if self._table is not None:
            tagging = tagging_of(self._table.lines, self._table.file, self._rows.root, is_there=self._rows.has)
            self._writer.tag(tagging.tags)
            self._unused, self._unknown = dict(tagging.unused), tagging.unknown
            if self._unused:
                logger.warning(
                    "%s of %s gave no tag, %d of them for files that the index does not have; all are listed in %s, "
                    "the first: %s: %s",
                    *(counted(len(self._unused), "line"), self._table.file, self._unknown, self._writer.path / SKIPPED),
                    *next(iter(self._unused.items())),
                )

    def _commit(self) -> None:
        stale = {row for row in self.skipped if self._rows.has(self._rows.paths[row])}
        self._stale = len(stale)
        unusable = (
            (self._photos.photos[row].path, self.skipped[row] + (STAYS if row in stale else ""))
            for row in sorted(self.skipped)
        )
        reasons = reasons_csv(chain(unusable, self._photos.unlisted.items(), self._unused.items()))
        beside = {ENCODER: self._note, SKIPPED: reasons}
        if self._partitioned is not None or os.path.lexists(self.failures):
            beside[FAILED] = failed_csv(self._partitions)
        self._writer.commit(beside=beside)
