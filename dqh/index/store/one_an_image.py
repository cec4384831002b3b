"""Answers that are objects of images, cut down to the nearest object of each image.

Q queries, m candidates of each, k answers.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.version import Version
from dqh.ranking import Ranking


def images_of(version: Version, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q, m) of which image each row is, in numbers that are equal where the images are; -1 where the row is -1."""
    rows, places = np.unique(ids, return_inverse=True)
    numbers = np.full(len(rows), -1, np.int64)
    numbers[rows >= 0] = version.images(rows[rows >= 0])
    return numbers[places].reshape(ids.shape)


def count_images(version: Version, candidates: Ranking) -> NDArray[np.int64]:
    """(Q,) of how many images the candidates of each query are."""
    images = images_of(version, candidates.ids)
    return np.array([len(np.unique(row[row >= 0])) for row in images], np.int64)


def one_an_image(version: Version, ranking: Ranking, k: int) -> Ranking:
    """(Q, k) the first row of each image in a ranking (Q, m) of rows, as it orders them; padded where there are fewer.

    Per query: seen = {}; for row in ranking: keep it unless images_of(row) in seen, which it joins; stop at k.
    """
    images = images_of(version, ranking.ids)
    ids = np.full((len(images), k), -1, np.int64)
    distances = np.full((len(images), k), np.inf, np.float32)
    for q, row in enumerate(images):
        first = np.sort(np.unique(row, return_index=True)[1])
        first = first[row[first] >= 0][:k]
        ids[q, : len(first)], distances[q, : len(first)] = ranking.ids[q, first], ranking.distances[q, first]
    return Ranking(ids, distances)
