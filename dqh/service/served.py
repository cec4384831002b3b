"""What a service answers with: encoder and detector, loaded once, and the index, opened again for every version."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dqh.artifact.lengths import length_of_encoder
from dqh.artifact.manifest import listing_of, read_manifest
from dqh.collection.artifact_note import remembered_artifact
from dqh.collection.objects import detector_of
from dqh.detection.detector import Detector
from dqh.discovery.blend_rules import BlendRules, read_rules
from dqh.discovery.flashlight import Flashlight
from dqh.discovery.lens import Lens
from dqh.discovery.look_fit import LookFit, read_look_fit
from dqh.discovery.related.related_items import RelatedItems
from dqh.discovery.related.related_model import RelatedModel, read_related
from dqh.encoded import Encoded
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.encoding.onnx_runtime import FILE
from dqh.index.store.header import require_encoder
from dqh.index.store.part import Part, part_of
from dqh.index.store.place import at_newest
from dqh.index.store.rows import to_text
from dqh.index.store.version import Version
from dqh.service.clusters import ClusterTable, read_clusters
from dqh.service.fields import MOST_LABELS
from dqh.service.shared import SharedDetector, SharedSnapshot, Told

logger = logging.getLogger(__name__)


class Served:
    """One version of an index, ready to be asked; a request takes one, and all of its answer is of it.

    Attributes:
        snapshot: of the index.
        flashlight: looks by it.
        lens: asks several sources by it.
        related: finds related items in it; None where nothing was fitted for that.
        clusters: of those images that the version has; None where none were named.
        version: of the snapshot.
        number: of the version.
    """

    def __init__(
        self,
        snapshot: SharedSnapshot,
        lens: Lens,
        related: RelatedItems | None,
        clusters: ClusterTable | None = None,
    ) -> None:
        self.snapshot, self.lens, self.flashlight = snapshot, lens, lens.flashlight
        self.related, self.clusters = related, clusters
        self.version = snapshot.version
        self.number = self.version.manifest.version

    def make_ready(self) -> None:
        """Make what answers need beside the engines, so that no request waits for it: tags, words, and their counts."""
        _ = self.lens.word_search, self.labels, self.tags

    def require_items(self) -> None:
        """Raise `MismatchError` where related items were fitted to another collection."""
        if self.related is not None:
            self.related.require_items()

    @cached_property
    def labels(self) -> dict[str, int]:
        """The most frequent labels, and how many rows have each."""
        if not len(self.version):
            return {}
        lists = self.version.column("labels", np.arange(len(self.version)))
        counts = {to_text(entry["values"]): entry["counts"] for entry in lists.flatten().value_counts().to_pylist()}
        return _most_frequent(counts)

    @cached_property
    def tags(self) -> dict[str, int]:
        """The most frequent tags, and how many images have each."""
        return _most_frequent(Counter(tag.word for own in self.version.tags.values() for tag in own))

    def row(self, number: int) -> int | None:
        """Where the row of an id stands in the version; None where it has none."""
        return self.version.row_of(number)

    def encoded(self, row: int) -> Encoded:
        """A row of the index as a query: an embedding that has its code, and its features; no image is read."""
        return self.version.encoded(row)


@dataclass(frozen=True)
class Parts:
    """What stays the same from version to version.

    Attributes:
        index: its folder.
        encoder: that it was made with, for many threads.
        detector: that sees objects in photos, for many threads; None for none.
        fitted: annotator and filter of dots; None for none.
        rules: of a lens, who is asked and how much of the answer is of each.
        related: what was fitted for related items; None for none.
        engine: that searches codes, see `dqh.index.store.open_index`.
        device: to search on.
        searches: is told how many requests each batch of a search has.
        clusters: of the images of the index; None for none.
        part: of a cut that the index is; None where it was not cut.
    """

    index: Path
    encoder: LoadedEncoder
    detector: Detector | None
    fitted: LookFit | None
    rules: BlendRules
    related: RelatedModel | None
    engine: str
    device: str | None
    searches: Told
    clusters: ClusterTable | None = None
    part: Part | None = None

    def open(self) -> Served:
        """The newest version, with its engines and its table of words built, and its caches warm.

        Raises:
            StoreError: the index is damaged, or was made with another encoder.
        """
        version = at_newest(self.index, lambda manifest: Version(self.index, manifest))
        require_encoder(self.index, version.manifest.encoder_id, self.encoder.encoder_id, by=str(self.encoder.path))
        snapshot = SharedSnapshot(version, seen=self.searches, engine=self.engine, device=self.device)
        related = None if self.related is None else RelatedItems(self.related, snapshot)
        clusters = None if self.clusters is None else self.clusters.within(version)
        served = Served(snapshot, Lens(self._flashlight(snapshot), rules=self.rules), related, clusters)
        if len(snapshot):
            query, rank = served.encoded(0), served.flashlight.rank
            snapshot.search(query, k=1, rank=rank)
            snapshot.search(query, k=1, rank=rank, among="images")
            if version.objects.any():
                snapshot.search(query, k=1, rank=rank, among="objects")
        served.make_ready()
        return served

    def _flashlight(self, snapshot: SharedSnapshot) -> Flashlight:
        if self.fitted is None:
            return Flashlight(snapshot, self.encoder, self.detector)
        return Flashlight(
            snapshot,
            self.encoder,
            self.detector,
            annotator=self.fitted.annotator,
            dot_filter=None if self.detector is None else self.fitted.dot_filter,
            kinds=self.fitted.kinds,
        )


def _most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LABELS])


def open_parts(
    index: Path,
    share: Callable[[Callable[[], LoadedEncoder]], LoadedEncoder],
    *,
    searches: Told,
    artifact: Path | None = None,
    detector: Path | Detector | None = None,
    without_detector: bool = False,
    fitted: Path | None = None,
    rules: Path | None = None,
    related: Path | None = None,
    clusters: Path | None = None,
    engine: str = "auto",
    device: str | None = None,
    runtime: str | None = None,
) -> Parts:
    """What answers by an index; see `dqh.discovery.flashlight.open_flashlight` for arguments and errors.

    Args:
        index: its folder.
        share: makes an encoder for many threads of what loads one, see `dqh.service.shared.shared_encoder`.
        searches: see `Parts`.
        artifact: of the encoder.
        detector: an open one, or where it is.
        without_detector: whether there is to be none, also where the index remembers one.
        fitted: folder of what was fitted for looks.
        rules: of a lens, a file; None for those of this package.
        related: folder of what was fitted for related items.
        clusters: folder of clusters of the index, see `dqh.service.clusters.read_clusters`.
        engine: that searches codes.
        device: to encode and search on.
        runtime: that encodes, `torch` or `onnx`; None for `onnx` where artifact and machine have it and no device but
            the CPU is asked for, else `torch`.
    """
    encoder_id = at_newest(index, lambda manifest: manifest.encoder_id)
    folder = remembered_artifact(index) if artifact is None else artifact
    if runtime is None:
        manifest = read_manifest(folder)
        has_form = manifest["encoder_id"] == encoder_id and FILE in listing_of(folder, manifest)
        is_there = find_spec("onnxruntime") is not None and device in (None, "cpu")
        runtime = "onnx" if has_form and is_there else "torch"
    bits = length_of_encoder(folder, encoder_id)
    encoder = share(lambda: load_encoder(folder, device=device, runtime=runtime, bits=bits))
    seer = None if without_detector else _shared_detector(index, detector)
    looks = None if fitted is None else read_look_fit(fitted)
    if looks is not None:
        looks.require(encoder_id=encoder.encoder_id, detector_id=None if seer is None else seer.detector_id)
    logger.info("images are encoded by %s", runtime)
    table = read_rules() if rules is None else read_rules(rules)
    saves = None if related is None else read_related(related)
    on = device if runtime == "torch" else "cpu"
    version = at_newest(index, lambda manifest: Version(index, manifest))
    groups = None if clusters is None else read_clusters(clusters, version, index=index)
    return Parts(index, encoder, seer, looks, table, saves, engine, on, searches, groups, part_of(index))


def _shared_detector(index: Path, given: Path | Detector | None) -> SharedDetector | None:
    named = detector_of(index, given, option="--detector", foreign=True)
    if named is None:
        return None
    opened = [named.detector]

    def again() -> Detector:
        if opened:
            return opened.pop()
        anew = detector_of(index, given, option="--detector", foreign=True)
        assert anew is not None
        return anew.detector

    return SharedDetector(again)
