"""Images as queries of an index: encoded by the encoder that the index was made with, and searched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dqh.artifact.lengths import length_of_encoder
from dqh.artifact.ranking_choice import chosen_ranking
from dqh.collection.artifact_note import remembered_artifact
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.index.store import Box, Found, open_index
from dqh.index.store.header import require_encoder
from dqh.ranking import Rank


@dataclass(frozen=True)
class Answers:
    """What a search by images found.

    Attributes:
        queries: paths of the Q images.
        found: the answers.
        root: folder that paths of answers are relative to.
        ranking: what orders them, and who says so, in words.
        seconds: of each stage, in their order: opening the index, loading the encoder, encoding the queries (with
            decoding), then those of `dqh.index.store.Seconds`.
    """

    queries: tuple[str, ...]
    found: Found
    root: str
    ranking: str
    seconds: dict[str, float]


def search_images(
    index: str | Path,
    queries: Sequence[str | Path],
    *,
    artifact: str | Path | None = None,
    k: int = 10,
    box: Box | None = None,
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

    Args:
        index: its folder.
        queries: Q paths of images.
        artifact: of the encoder; None for the one that the index remembers.
        k: answers a query; no more than the index has rows.
        box: x0, y0, x1, y1, pixels of the upright image: the part of each query to search by.
        pool: candidates, see `dqh.index.store.Snapshot.search`; None for as many as the choice of `rank` was made with.
        radius: of candidates, likewise.
        where: filter, likewise.
        rank: what orders the answers, likewise; None: `fine` where `pool` is given, else what the validation images of
            the artifact chose.
        way: by which codes are searched, see `open_index`.
        engine: that searches the codes, see `open_index`.
        device: to encode on; None for CUDA where there is one, else the CPU.
        runtime: that encodes, see `load_encoder`.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged.
        NoArtifactError: there is no artifact.
        ArtifactError: it is damaged, or has no form for the runtime.
        ConfigError: there is no such runtime or device.
        MismatchError: the index was made with another encoder.
        BadImageError: a query cannot be used.
        WhereError: the filter does not parse.
        ValueError: a number is out of range, or there is no such way or engine for the codes.
    """
    marks = [time.perf_counter()]
    snapshot = open_index(index, engine=engine, way=way)
    marks.append(time.perf_counter())
    folder = remembered_artifact(Path(index)) if artifact is None else artifact
    manifest = snapshot.version.manifest
    encoder = load_encoder(
        folder, device=device, runtime=runtime, bits=length_of_encoder(Path(folder), manifest.encoder_id)
    )
    require_encoder(Path(index), manifest.encoder_id, encoder.encoder_id, by=str(encoder.path))
    marks.append(time.perf_counter())
    encoded = encoder.encode([str(query) for query in queries], box=box)
    marks.append(time.perf_counter())
    k = min(k, max(1, len(snapshot)))  # answers take memory whether there are so many or not
    rank, chosen_pool, ranking = _ranking(encoder, rank, pool)
    if radius is None and chosen_pool is not None:
        pool = max(k, chosen_pool)
    answer = snapshot.search(encoded, k=k, pool=pool, radius=radius, where=where, rank=rank)
    stages = dict(zip(("open", "load", "encode"), (b - a for a, b in pairwise(marks)), strict=True))
    return Answers(tuple(map(str, queries)), answer, manifest.root, ranking, stages | answer.seconds._asdict())


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
