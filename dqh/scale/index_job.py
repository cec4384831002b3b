"""Images into an index by partitions: each becomes a part, by whichever worker, and all of them one version, here.

n rows of a part, F feature dimensions.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqh.artifact import Interface
from dqh.collection.elsewhere import EncodingSettings, PartitionRow, WorkerEncoder
from dqh.collection.objects import Part
from dqh.collection.parts import Parts
from dqh.data import Photos, Store
from dqh.encoding.encoded_rows import batch_rows
from dqh.executors import RETRIES, Executor, Failure
from dqh.plural import counted
from dqh.progress import Progress
from dqh.scale.in_order import require_counts
from dqh.scale.part_files import PartFile, part_name, read_part, stacked, write_part
from dqh.scale.spread_job import SpreadJob

logger = logging.getLogger(__name__)

MOST_ROWS = 2**16
"""Images of a partition at most, as many as a segment has."""


class PartitionedIndexing:
    """Lets an executor encode the images that an index lacks; see `dqh.collection.elsewhere.Elsewhere`.

    A partition has whole batches, so that every image has the neighbours that it has in a run of one process, and the
    results are the same to the last bit. Parts that an interrupted run left are taken as they are.

    Arguments and errors as of `SpreadJob`; no partition has more than `MOST_ROWS`, and where there is no folder for
    `parts`, it is the path of the index with `.parts` behind it.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        partitions: int | None = None,
        parts: Path | None = None,
        retries: int = RETRIES,
    ) -> None:
        require_counts(partitions=partitions, retries=retries)
        self._executor, self._partitions, self._parts, self._retries = executor, partitions, parts, retries

    def encoding(
        self, photos: Photos, settings: EncodingSettings, interface: Interface, index: Path
    ) -> "PartitionedImages":
        """See `Elsewhere.encoding`; errors as of `SpreadJob.begin`."""
        rows = batch_rows(Store(photos, interface.spec, workers=0), settings.batch_size)
        decoding = settings._replace(workers=settings.workers or 0)
        folder = self._parts or index.with_name(f"{index.name}.parts")
        job = SpreadJob(self._executor, folder=folder, of=index, partitions=self._partitions, retries=self._retries)
        job.begin([], further=True)
        return PartitionedImages(job, photos, decoding, batch=rows)


class _Partition(NamedTuple):
    """Some images as a worker gets them."""

    folder: Path
    name: str
    photos: Photos


class PartitionedImages:
    """The images of a collection, by partitions; see `PartitionedEncoding`."""

    def __init__(self, job: SpreadJob, photos: Photos, settings: EncodingSettings, *, batch: int) -> None:
        self.skipped: dict[int, str] = {}
        self.left_out = 0
        self.progress = Progress("indexed", len(photos))
        self.partitions: Sequence[PartitionRow] = ()
        self._job, self._photos, self._settings, self._batch = job, photos, settings, batch
        self._folder = job.folder

    def run(self, rows: Sequence[int]) -> Iterator[Parts]:
        """See `Encoding.run`; nothing is given before all partitions are done."""
        groups = list(self._groups(rows))
        tasks = [self._partition(group) for group in groups]
        self._job.begin([task.name for task in tasks])
        self.partitions = self._done(groups, tasks)
        for group, task, row in zip(groups, tasks, self.partitions, strict=True):
            if row.state != "failed":
                part = read_part(self._folder, task.name)
                assert part is not None  # the folder is this job's, and it has been read
                yield self._parts(group, part)

    def committed(self) -> None:
        """See `PartitionedEncoding.committed`."""
        self._job.end()

    def close(self) -> None:
        """See `PartitionedEncoding.close`."""
        self._job.close()

    def _groups(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        """Rows of each partition, whole batches but for the last one."""
        batches = -(-len(rows) // self._batch)
        size = self._batch * min(-(-batches // self._job.partitions), max(1, MOST_ROWS // self._batch))
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def _partition(self, group: Sequence[int]) -> _Partition:
        photos = self._photos.some(group)
        fields = self._settings._asdict() | {
            "artifact": "",  # which its encoder is, not where
            "detector": "",
            "workers": 0,
            "images": [photo.path for photo in photos.photos],
        }
        return _Partition(self._folder, part_name(fields), photos)

    def _done(self, groups: Sequence[Sequence[int]], tasks: Sequence[_Partition]) -> list[PartitionRow]:
        """What became of each partition, once all have ended."""
        rows: dict[int, PartitionRow] = {}
        for number, task in enumerate(tasks):
            if read_part(self._folder, task.name) is not None:
                rows[number] = self._row(number, task, "kept")
                self.progress.advance(len(task.photos))
        missing = [number for number in range(len(tasks)) if number not in rows]
        if rows:
            logger.info("%s of an earlier run taken as they are", counted(len(rows), "partition"))
        setup = _Setup(self._settings)
        results = self._job.executor.run(
            setup, encode_partition, [tasks[number] for number in missing], retries=self._job.retries
        )
        for place, result in results:
            number = missing[place]
            rows[number] = row = self._judged(number, tasks[number], result)
            if row.state == "failed":
                self.progress.note = (
                    f", {counted(sum(one.state == 'failed' for one in rows.values()), 'partition')} failed"
                )
                logger.warning("partition %d failed: %s", number, row.reason)
            self.progress.advance(len(groups[number]))
        return [rows[number] for number in range(len(tasks))]

    def _judged(self, number: int, task: _Partition, result: "WorkerNote | Failure") -> PartitionRow:
        if isinstance(result, Failure):
            return self._row(number, task, "failed", attempts=result.attempts, reason=result.reason)
        if read_part(self._folder, task.name) is None:
            reason = f"what {result.worker} wrote is not in {self._folder} here; name a folder that all machines see"
            return self._row(number, task, "failed", attempts=1, reason=reason)
        return self._row(number, task, "encoded", seconds=result.seconds, worker=result.worker, attempts=1)

    def _row(self, number: int, task: _Partition, state: Any, **fields: Any) -> PartitionRow:
        photos = task.photos.photos
        return PartitionRow(number, len(photos), photos[0].path, photos[-1].path, state, **fields)

    def _parts(self, group: Sequence[int], part: PartFile) -> Parts:
        """A part as rows of the index."""
        arrays, fields = part
        numbers = np.array(group, np.int64)
        self.left_out += fields["left_out"]
        self.skipped |= {group[int(place)]: reason for place, reason in fields["skipped"].items()}
        parts = [
            Part() if box is None else Part(tuple(box), name, score)
            for box, name, score in fields["parts"] or [(None, None, None)] * len(arrays["rows"])
        ]
        hashes = [row.tobytes() for row in arrays["hashes"]]
        codes: Any = arrays["codes"]
        features: Any = arrays["features"]
        return Parts(numbers[arrays["rows"]], parts, codes, features, hashes, end=True)


@dataclass(frozen=True)
class _Setup:
    """Makes the state of a worker."""

    settings: EncodingSettings

    def __call__(self) -> WorkerEncoder:
        return WorkerEncoder(self.settings)


class WorkerNote(NamedTuple):
    """What a worker says of a partition: which one it was, host and process, and the seconds that it took."""

    worker: str
    seconds: float


def encode_partition(encoder: WorkerEncoder, partition: _Partition) -> WorkerNote:
    """Encode the images of a partition and write its part; another attempt writes the same bytes.

    Raises:
        ArtifactError, DetectorError: encoder or detector cannot be used.
        OSError: the part cannot be written.
    """
    began = time.monotonic()
    encoding = encoder.encoding(partition.photos)
    chunks = list(encoding.run(range(len(partition.photos))))
    settings = encoder.settings
    rows = np.concatenate([np.empty(0, np.int64), *(chunk.rows for chunk in chunks)])
    parts = [part for chunk in chunks for part in chunk.parts]
    write_part(
        partition.folder,
        partition.name,
        {
            "rows": rows,
            "codes": _joined([chunk.codes for chunk in chunks], np.uint8),
            "features": _joined([chunk.features.astype(np.float16) for chunk in chunks], np.float16),
            "hashes": stacked([content for chunk in chunks for content in chunk.hashes]),
        },
        {
            "skipped": {str(place): reason for place, reason in encoding.skipped.items()},
            "left_out": encoding.left_out,
            "parts": None if settings.detector is None else [list(part) for part in parts],
        },
    )
    return WorkerNote(f"{socket.gethostname()}:{os.getpid()}", time.monotonic() - began)


def _joined(chunks: Sequence[Any], dtype: Any) -> Any:
    return np.concatenate(chunks) if chunks else np.empty((0, 0), dtype)
