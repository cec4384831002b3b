"""A made-up collection, people with known preferences, and the log that they leave: what a ranker is tried on.

Nothing here is measured of people. Every number that comes from it is one of this simulator, and says so.

N items, S candidates of each as a query, T users, D latent dimensions.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.files import atomic_writer
from dqh.index.store import Header, Row, Writer
from dqh.quantizers import Threshold

BITS = 64
THRESHOLDS = (0.1, 0.2, 0.35, 0.5)
"""Attraction from which on a candidate has the grades 1, 2, 3 and 4."""

ENCODER_ID, DETECTOR_ID = "51a0" * 16, "5ee2" * 16


class Photos(NamedTuple):
    """What the photos of N items look like.

    Attributes:
        categories: (N,) of the item.
        whole: (N, D) features of the whole photo: the item, and what is around it.
        objects: of each photo, the features (D,) of the crops around its objects, the item first.
        is_dominant: (N,) whether the item is the one thing that the photo is about; else another object, of any
            category, is as large.
    """

    categories: NDArray[np.int64]
    whole: NDArray[np.float32]
    objects: tuple[tuple[NDArray[np.float32], ...], ...]
    is_dominant: NDArray[np.bool_]


@dataclass(frozen=True)
class Simulation:
    """A collection, its people, and what they did.

    Each of the N items is shown as a query `impressions` times, with its S candidates in an order that has to do with
    how well items are liked in general, and with chance, and not with what they look like. A user looks at position r
    with the probability 1 / r, and saves what was looked at with the attraction of that pair. Besides, everybody keeps
    a board of items of one taste.

    Attributes:
        photos: what the items look like.
        quality: (N,) how well an item is liked beside anything.
        candidates: (N, S) items that are shown beside each.
        attraction: (N, S) probability that a candidate is saved where it is looked at; known to nobody.
        grades: (N, S) how many of `THRESHOLDS` it reaches: 0 … 4.
        shows: (V, 5) of int64: user, query, item, position, and whether it was saved.
        boards: (T, n) items of the board of each user.
        seed: of all of it.
    """

    photos: Photos
    quality: NDArray[np.float64]
    candidates: NDArray[np.int64]
    attraction: NDArray[np.float64]
    shows: NDArray[np.int64]
    boards: NDArray[np.int64]
    seed: int

    @property
    def grades(self) -> NDArray[np.int64]:
        """(N, S) int64, 0 … 4."""
        return grades_of(self.attraction)

    def name(self, item: int) -> str:
        """The path of the photo of an item in the index."""
        return f"{self.photos.categories[item]:02}/{item:05}.jpg"


def grades_of(attraction: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of `THRESHOLDS` an attraction reaches."""
    return np.asarray((attraction[..., None] >= np.array(THRESHOLDS)).sum(axis=-1), np.int64)


def simulate(
    *,
    items: int = 1500,
    candidates: int = 24,
    impressions: int = 8,
    users: int = 2000,
    board: int = 12,
    categories: int = 12,
    dimension: int = 16,
    seed: int = 0,
) -> Simulation:
    """A collection and its log.

    The log-odds of attraction are −2.6 + 2.5 s + .5 c + .5 q + .2 e: s how alike the items are (standardised over all
    pairs shown), c whether their categories agree, q the quality of the candidate, and e chance that nothing tells.
    Features of a whole photo are the item's D numbers and noise of .2 where it dominates the photo, .4 where it does
    not; those of a crop of the item have noise of .1. Half of the candidates of an item are its nearest by whole
    photos, a quarter of its category, a quarter of any.

    Args:
        items: N.
        candidates: S, a multiple of 4.
        impressions: of each query.
        users: T.
        board: items of a board.
        categories: of items.
        dimension: D.
        seed: of everything.
    """
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, categories, items)
    latent = generator.normal(0, 1, (categories, dimension))[kinds] * 0.8 + generator.normal(0, 0.8, (items, dimension))
    quality = generator.normal(0, 1, items)
    photos = _photos(latent, kinds, generator)
    shown = _candidates(photos, candidates, generator)
    alike = -np.linalg.norm(latent[:, None] - latent[shown], axis=2)
    odds = -2.6 + 2.5 * (alike - alike.mean()) / alike.std() + 0.5 * (kinds[:, None] == kinds[shown])
    odds += 0.5 * quality[shown] + 0.2 * generator.normal(0, 1, shown.shape)
    attraction = 1 / (1 + np.exp(-odds))
    shows = _shows(shown, attraction, quality, impressions, users, generator)
    boards = _boards(latent, quality, users, board, generator)
    return Simulation(photos, quality, shown, attraction, shows, boards, seed)


def write_index(simulation: Simulation, path: Path) -> None:
    """An index of the photos and their objects; codes are the signs of random directions of the features."""
    photos = simulation.photos
    dimension = photos.whole.shape[1]
    directions = np.random.default_rng(simulation.seed).normal(0, 1, (dimension, BITS))
    quantizer = Threshold(BITS, threshold=0.0)
    rows, features = [], []
    for item in range(len(photos.whole)):
        name, kind = simulation.name(item), f"category {photos.categories[item]:02}"
        rows.append(Row(name, (kind,)))
        features.append(photos.whole[item])
        boxes = (
            [(20.0, 20.0, 100.0, 100.0)]
            if photos.is_dominant[item]
            else [(60.0, 60.0, 100.0, 100.0), (0.0, 0.0, 40.0, 40.0)]
        )
        for place, (box, crop) in enumerate(zip(boxes, photos.objects[item], strict=True)):
            rows.append(Row(name, (kind,), box, object="item" if place == 0 else "other", score=0.9))
            features.append(crop)
    values = np.stack(features)
    header = Header(ENCODER_ID, quantizer, dimension, root="/simulated", detector_id=DETECTOR_ID)
    with Writer(path, header) as writer:
        writer.add(rows, quantizer.encode(values @ directions), values)
        writer.commit()


def write_log(simulation: Simulation, file: Path) -> None:
    """The log as `dqh.discovery.related.action_log` reads it: an impression a minute, saves seconds after it."""
    with atomic_writer(file) as raw:
        text = io.TextIOWrapper(raw, "utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow(["user", "item", "action", "time", "query", "position", "board"])
        width = simulation.candidates.shape[1]
        for place, (user, query, item, position, saved) in enumerate(simulation.shows.tolist()):
            moment = 1_767_225_600 + 60 * (place // width)
            names = simulation.name(item), simulation.name(query)
            writer.writerow([f"u{user}", names[0], "show", moment, names[1], position, ""])
            if saved:
                writer.writerow([f"u{user}", names[0], "save", moment + 20, names[1], "", ""])
        for user, board in enumerate(simulation.boards.tolist()):
            for item in board:
                writer.writerow([f"u{user}", simulation.name(item), "save", 1_767_000_000 + user, "", "", f"b{user}"])
        text.flush()
        text.detach()


def _photos(latent: NDArray[np.float64], kinds: NDArray[np.int64], generator: np.random.Generator) -> Photos:
    is_dominant = generator.random(len(latent)) < 0.5
    around = np.where(is_dominant, 0.2, 0.4)[:, None]
    whole = (latent + around * generator.normal(0, 1, latent.shape)).astype(np.float32)
    crops = (latent + 0.1 * generator.normal(0, 1, latent.shape)).astype(np.float32)
    others = (latent[generator.permutation(len(latent))] + 0.1 * generator.normal(0, 1, latent.shape)).astype(
        np.float32
    )
    objects = tuple(
        (crop,) if alone else (crop, other) for crop, other, alone in zip(crops, others, is_dominant, strict=True)
    )
    return Photos(kinds, whole, objects, is_dominant)


def _candidates(photos: Photos, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    whole = photos.whole.astype(np.float64)
    squares = (whole**2).sum(axis=1)
    shown = np.empty((len(whole), count), np.int64)
    for item in range(len(whole)):
        distances = squares - 2 * whole @ whole[item]
        distances[item] = np.inf
        near = np.argsort(distances, kind="stable")[: count // 2]
        kind = np.setdiff1d(np.flatnonzero(photos.categories == photos.categories[item]), [item, *near])
        kind = generator.permutation(kind)[: count // 4]
        rest = np.setdiff1d(np.arange(len(whole)), [item, *near, *kind])
        shown[item] = [*near, *kind, *generator.choice(rest, count - len(near) - len(kind), replace=False)]
    return shown


def _shows(
    shown: NDArray[np.int64],
    attraction: NDArray[np.float64],
    quality: NDArray[np.float64],
    impressions: int,
    users: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    items, width = shown.shape
    parts = []
    for query in np.repeat(np.arange(items), impressions)[generator.permutation(items * impressions)]:
        order = np.argsort(-(quality[shown[query]] + generator.gumbel(0, 1, width)), kind="stable")
        chances = attraction[query, order] / np.arange(1, width + 1)
        saved = generator.random(width) < chances
        user = np.full(width, generator.integers(users))
        parts.append(
            np.stack([user, np.full(width, query), shown[query, order], np.arange(1, width + 1), saved], axis=1)
        )
    return np.concatenate(parts)


def _boards(
    latent: NDArray[np.float64], quality: NDArray[np.float64], users: int, size: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    tastes = latent[generator.integers(0, len(latent), users)]
    boards = np.empty((users, size), np.int64)
    for user, taste in enumerate(tastes):
        liking = -2.0 * np.linalg.norm(latent - taste, axis=1) + 0.5 * quality + generator.gumbel(0, 1, len(latent))
        boards[user] = np.argsort(-liking, kind="stable")[:size]  # without replacement, by softmax of the liking
    return boards
