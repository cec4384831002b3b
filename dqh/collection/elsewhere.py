"""Images of a collection that are encoded by other processes, perhaps on other machines, and put into an index here.

What computes them is in `dqh.scale`; here is what both sides agree on.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from dqh.artifact import Interface
from dqh.collection.parts import Encoding, Hashed, ImagesAndObjects, WholeImages
from dqh.collection.watched_store import WatchedStore
from dqh.data import Photos
from dqh.detection.detector import Detector
from dqh.detection.opening import open_detector
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.errors import ConfigError, MismatchError


class EncodingSettings(NamedTuple):
    """What makes rows of an index of images, as it goes to a worker.

    Attributes:
        artifact: absolute path of the artifact.
        encoder_id: of it.
        bits: which of its lengths; None for the main one.
        device: to compute on; None for CUDA where there is one, else the CPU.
        runtime: that computes.
        batch_size: images, and objects, at a time.
        workers: processes that decode, or threads with objects; None for what each chooses.
        detector: absolute path of the detector; None for none.
        detector_id: of it.
    """

    artifact: Path
    encoder_id: str
    bits: int | None
    device: str | None
    runtime: str
    batch_size: int
    workers: int | None
    detector: Path | None = None
    detector_id: str | None = None


@dataclass(frozen=True)
class PartitionRow:
    """What became of a partition.

    Attributes:
        partition: its number, from 0.
        images: in it.
        first: path of its first image.
        last: of its last one.
        state: `encoded`, `kept` of an earlier run, or `failed`: none of its images is in the index.
        seconds: that it took its worker.
        worker: host and process.
        attempts: that were made; 0 of one that was kept.
        reason: why it failed, else "".
    """

    partition: int
    images: int
    first: str
    last: str
    state: Literal["encoded", "kept", "failed"]
    seconds: float = 0.0
    worker: str = ""
    attempts: int = 0
    reason: str = ""


class PartitionedEncoding(Encoding, Protocol):
    """An encoding by partitions, each of which ends a segment.

    Attributes:
        partitions: what became of them, in order.
    """

    partitions: Sequence[PartitionRow]

    def committed(self) -> None:
        """All that was given is in the index: what is kept to go on from may go."""
        ...

    def close(self) -> None:
        """Let others have the place of what is kept."""
        ...


class Elsewhere(Protocol):
    """Makes encodings by partitions."""

    def encoding(
        self, photos: Photos, settings: EncodingSettings, interface: Interface, index: Path
    ) -> PartitionedEncoding:
        """That of a collection, for an index in a folder; it is to be closed."""
        ...


def own_encoding(
    photos: Photos, settings: EncodingSettings, encoder: LoadedEncoder, detector: Detector | None
) -> Hashed:
    """The encoding of a collection by this process."""
    if detector is not None:
        return Hashed(
            ImagesAndObjects(photos, encoder, detector, batch_size=settings.batch_size, workers=settings.workers),
            photos,
        )
    store = WatchedStore(photos, encoder.interface.spec, workers=settings.workers)
    return Hashed(WholeImages(store, encoder, batch_size=settings.batch_size), photos)


class WorkerEncoder:
    """Encoder and detector in a worker, loaded once.

    Raises:
        MismatchError: they are not those of the job, as where the folder holds others by now.
        ArtifactError, ConfigError, DetectorError: as for `index_images`.
    """

    def __init__(self, settings: EncodingSettings) -> None:
        self.settings = settings
        self._encoder = load_encoder(
            settings.artifact, device=settings.device, runtime=settings.runtime, bits=settings.bits
        )
        self._detector = None if settings.detector is None else open_detector(settings.detector)
        found_ids = self._encoder.encoder_id, None if self._detector is None else self._detector.detector_id
        if found_ids != (settings.encoder_id, settings.detector_id):
            raise MismatchError(
                f"{settings.artifact} holds encoder {found_ids[0]} and detector {found_ids[1]} here, the job began "
                f"with {settings.encoder_id} and {settings.detector_id}; let all machines see the same folder"
            )

    def encoding(self, photos: Photos) -> Hashed:
        """Of some images."""
        return own_encoding(photos, self.settings, self._encoder, self._detector)


def sendable_detector(path: Path | None) -> Path:
    """The absolute path of a detector; `ConfigError` where an open one was given, which no other process gets."""
    if path is None:
        raise ConfigError("objects must be the path of a detector where other processes open it, got an open one")
    return path.absolute()


def failed_csv(partitions: Sequence[PartitionRow]) -> bytes:
    """The content of `failed.csv`: a line a partition that came to nothing."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("partition", "images", "first", "last", "attempts", "reason"))
    lines.writerows(
        (row.partition, row.images, row.first, row.last, row.attempts, row.reason)
        for row in partitions
        if row.state == "failed"
    )
    return text.getvalue().encode("utf-8", "surrogateescape")
