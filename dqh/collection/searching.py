"""Images as queries of an index: encoded by the encoder that the index was made with, and searched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from dqh.artifact.lengths import length_of_encoder
from dqh.artifact.ranking_choice import chosen_ranking
from dqh.collection.artifact_note import remembered_artifact
from dqh.collection.dots import Dot, box_under
from dqh.collection.objects import Named, detector_of
from dqh.counts import MOST
from dqh.detection.detector import Detector
from dqh.encoded import Encoded
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.index.store import Among, Box, Found, Snapshot, open_index
from dqh.index.store.header import require_encoder
from dqh.index.store.rows import to_text
from dqh.ranking import Rank

_CLASSES = 10
"""That are named where a filter fits no object."""


@dataclass(frozen=True)
class Answers:
    """What a search by images found.

    Attributes:
        queries: paths of the Q images.
        boxes: of each, the part that was searched by; None for all of it.
        found: the answers.
        root: folder that paths of answers are relative to.
        ranking: what orders them, and who says so, in words.
        note: why nothing was found, in words, where that can be said; else "".
        seconds: of each stage, in their order: opening the index, loading the encoder, finding the objects under dots
            where there are any, encoding the queries (with decoding), then those of `dqh.index.store.Seconds`, and
            `rows`: looking up paths and labels.
    """

    queries: tuple[str, ...]
    boxes: tuple[Box | None, ...]
    found: Found
    root: str
    ranking: str
    note: str
    seconds: dict[str, float]


def search_images(
    index: str | Path,
    queries: Sequence[str | Path],
    *,
    artifact: str | Path | None = None,
    k: int = 10,
    box: Box | None = None,
    dot: Dot | None = None,
    objects: bool = False,
    detector: str | Path | Detector | None = None,
    pool: int | None = None,
    radius: float | None = None,
    where: str | None = None,
    rank: Rank | None = None,
    way: str | None = None,
    engine: str = "auto",
    device: str | None = None,
    runtime: str = "torch",
) -> Answers:
    """Search an index by images, from inside or outside the collection.

    Whole images answer, also where the index has objects too; with `objects` the objects do, one an image.

    Args:
        index: its folder.
        queries: Q paths of images.
        artifact: of the encoder; None for the one that the index remembers.
        k: answers a query; no more than the index has rows.
        box: x0, y0, x1, y1, pixels of the upright image: the part of each query to search by.
        dot: x, y, likewise: the object there is the part to search by, the smallest one where there are several. Of a
            photo of the index its objects are known, of others the detector finds them.
        objects: whether objects answer, each image by the nearest of its own.
        detector: for `dot`: an open one, or where it is; None for the one that the index remembers.
        pool: candidates, see `dqh.index.store.Snapshot.search`; None for as many as the choice of `rank` was made with.
        radius: of candidates, likewise.
        where: filter, likewise.
        rank: what orders the answers, likewise; None: `fine` where `pool` is given, else what the validation images of
            the artifact chose.
        way: by which codes are searched, see `open_index`.
        engine: that searches the codes, see `open_index`.
        device: to encode on, and to search by codes on where `engine` leaves it open and there are so many rows that
            it pays; None for CUDA where there is one, else the CPU.
        runtime: that encodes, see `load_encoder`.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged.
        NoArtifactError: there is no artifact.
        ArtifactError: it is damaged, or has no form for the runtime.
        NoDetectorError: there is no detector, and a dot needs one.
        DetectorError: it is damaged.
        ConfigError: there is no such runtime or device.
        MismatchError: the index was made with another encoder, or detector.
        BadImageError: a query cannot be used, the box lies outside it, or no object is under the dot.
        WhereError: the filter does not parse.
        ValueError: a number is out of range, there is no such way or engine for the codes, both box and dot are given,
            or objects are asked for where there are none.
    """
    if box is not None and dot is not None:
        raise ValueError(f"give box or dot, got box={box} and dot={dot}")
    marks = [time.perf_counter()]
    snapshot = open_index(index, engine=engine, way=way, device=device if runtime == "torch" else "cpu")
    if objects:
        snapshot.version.require_objects()
    marks.append(time.perf_counter())
    folder = remembered_artifact(Path(index)) if artifact is None else artifact
    manifest = snapshot.version.manifest
    encoder = load_encoder(
        folder, device=device, runtime=runtime, bits=length_of_encoder(Path(folder), manifest.encoder_id)
    )
    require_encoder(Path(index), manifest.encoder_id, encoder.encoder_id, by=str(encoder.path))
    marks.append(time.perf_counter())
    paths = tuple(map(str, queries))
    boxes = (box,) * len(paths) if dot is None else _under(dot, paths, snapshot, detector)
    marks += [time.perf_counter()] * (dot is not None)
    encoded = encoder.encode(paths, box=box) if dot is None or not paths else _encoded(encoder, paths, boxes)
    marks.append(time.perf_counter())
    rows = max(1, len(snapshot))
    k = min(k, rows)  # answers take memory whether there are so many or not
    rank, chosen_pool, ranking = _ranking(encoder, rank, pool)
    if radius is None and chosen_pool is not None:
        pool = max(k, chosen_pool)
    if pool is not None:
        pool = min(pool, max(MOST, rows))
    among: Among = "objects" if objects else "images"
    answer = snapshot.search(encoded, k=k, pool=pool, radius=radius, where=where, rank=rank, among=among)
    began = time.perf_counter()
    answer.hits  # noqa: B018 (looked up here, so that its time is told)
    looked_up = time.perf_counter() - began
    names = ("open", "load", "encode") if dot is None else ("open", "load", "dot", "encode")
    stages = dict(zip(names, (b - a for a, b in pairwise(marks)), strict=True))
    return Answers(
        queries=paths,
        boxes=boxes,
        found=answer,
        root=manifest.root,
        ranking=ranking,
        note="" if not paths or answer.candidates.any() or radius is not None else _note(snapshot, objects, where),
        seconds=stages | answer.seconds._asdict() | {"rows": looked_up},
    )


def _under(
    dot: Dot, queries: Sequence[str], snapshot: Snapshot, given: str | Path | Detector | None
) -> tuple[Box, ...]:
    """The box of the object under a dot of each query; a detector is opened where the first one needs it."""
    index = snapshot.version.path

    @cache
    def detector() -> Named | None:
        return detector_of(index, given, option="--detector", foreign=True)

    return tuple(box_under(dot, query, version=snapshot.version, detector=detector) for query in queries)


def _encoded(encoder: LoadedEncoder, queries: Sequence[str], boxes: Sequence[Box | None]) -> Encoded:
    """Queries, each by a part of its own; at least one."""
    parts = [encoder.encode([query], box=box) for query, box in zip(queries, boxes, strict=True)]
    codes, embedding, features = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:3])
    return Encoded(codes, embedding, features, encoder.encoder_id)


def _note(snapshot: Snapshot, objects: bool, where: str | None) -> str:
    """Why no row was a candidate."""
    version = snapshot.version
    objects_of_it = np.flatnonzero(version.objects)
    if objects and not len(objects_of_it):
        return "the index has no objects: its detector saw none in its images"
    if objects and where is not None:
        seen = sorted(map(to_text, version.column("object", objects_of_it).unique().to_pylist()))
        more = f" and {len(seen) - _CLASSES} more" if len(seen) > _CLASSES else ""
        return f"no object fits the filter; the index has objects of {', '.join(seen[:_CLASSES])}{more}"
    if where is not None and len(objects_of_it):
        return "no whole image fits the filter; --objects searches the objects in them"
    return "no image fits the filter" if where is not None else "the index has no images"


def _ranking(encoder: LoadedEncoder, rank: Rank | None, pool: int | None) -> tuple[Rank, int | None, str]:
    """What orders the answers, how many candidates go with it where that was measured, and who says so."""
    words = {"codes": "by codes alone", "fine": "by features among the nearest by code"}
    choice = chosen_ranking(encoder.path, bits=encoder.interface.quantizer.bits)
    measured = choice.pool if choice is not None and pool is None and rank != "codes" else None
    if rank is not None:
        return rank, measured, f"{words[rank]}, as asked for"
    if pool is not None:
        return "fine", None, f"{words['fine']}, since a pool was given"
    if choice is None:
        return "fine", None, f"{words['fine']}; the artifact does not say whether codes alone are better"
    return choice.rank, measured if choice.rank == "fine" else None, f"{words[choice.rank]}, as chosen by {choice}"
