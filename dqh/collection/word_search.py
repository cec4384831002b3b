"""Search of the images of an index by words: what they are labelled and tagged, by SQLite's FTS5, in memory.

A row of the text table is a different word, so that a short tag that is the word itself comes before a long one that
only holds it, and what is rare counts more (BM25, by SQLite); which images have it, arrays beside it tell. Words are
compared without case and accents, by their stems (Porter 1980): `shoes` finds `shoe`. Nothing is written: the table is
made of one version of an index, and a newer version has its own.

N images of the version, V different words, W words of all images together.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from dqh.counts import MOST, require_counts
from dqh.errors import DqhError
from dqh.index.store.rows import StoredRow, to_bytes, to_text
from dqh.index.store.tags import Tag
from dqh.index.store.version import Version

_TABLE = """
    CREATE VIRTUAL TABLE words USING fts5(word, tokenize = 'porter unicode61 remove_diacritics 2')
"""

_FIND = "SELECT rowid - 1, -bm25(words) FROM words WHERE words MATCH ?"
"""Words, by number, that hold one that is asked for, each with a score above 0."""

DIGITS = 9
"""Of a score, behind the point, by which images are told from one another."""


class WordHit(NamedTuple):
    """An image that was found by words.

    Attributes:
        row: of the whole image, or its first one where it has none.
        tags: of the image, by falling weight.
        score: 0 … 1; 1 where it has every word asked for as well as any image has it.
        words: of the image, by which it was found, in the order asked for.
    """

    row: StoredRow
    tags: tuple[Tag, ...]
    score: float
    words: tuple[str, ...]


class WordSearch:
    """The labels and tags of the images of a version, to be searched. Threads may share it.

    Objects that a detector saw are no words of an image here: they are found by what they look like.

    Args:
        version: of an index.

    Attributes:
        version: as given.
        words: W.

    Raises:
        DqhError: SQLite was built without FTS5.
        StoreError: the tags of the index are damaged.
    """

    def __init__(self, version: Version) -> None:
        self.version = version
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._database.execute(_TABLE)
        except sqlite3.OperationalError as error:
            raise DqhError(
                f"images cannot be searched by words: {error}; take a Python whose SQLite has FTS5, as those of "
                "python.org, uv and Debian have"
            ) from error
        images = _images_of(version)
        words: dict[str, int] = {}
        pairs = _of_labels(version, images, words), _of_tags(version.tags, images.numbers, words)
        self._rows, self._ranks, self._words = images.rows, images.ranks, list(words)
        owner, word, weight = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        self._having = _images_by_word(owner, word, weight, count=len(words))
        self.words = len(self._having.images)
        with self._database:
            self._database.executemany("INSERT INTO words VALUES (?)", ((_plain(word),) for word in words))

    def search(self, asked: Sequence[tuple[str, float]], *, k: int = 10) -> tuple[WordHit, ...]:
        """The images that have any of some words, best first.

        Many have a tag alike, so ties are common, and rows of an index often come class by class: equal ones are in the
        order of their content hashes, which says nothing of them.

        The score of an image is Σ_a c_a s_a / Σ_a c_a over the words a that are asked for: c_a is how much a is asked
        for, s_a the BM25 of the best match among the words of the image times its weight, divided by the largest such
        number of all images (0 where it has none). A word of several is looked for as a phrase.

        Args:
            asked: words, each with how much it is asked for, above 0.
            k: images at most, at least 1.

        Raises:
            ValueError: k is below 1, or a word is asked for as much as 0 or less.
        """
        require_counts(max(MOST, len(self._rows)), k=k)
        if any(not much > 0 for _, much in asked):
            raise ValueError(f"words must be asked for as much as above 0, got {asked}")
        scores = np.zeros(len(self._rows))
        by: list[NDArray[np.int64]] = []
        total = sum(much for _, much in asked)
        for word, much in asked:
            own, chosen = self._matches(word)
            scores += much / total * own / (own.max(initial=0.0) or 1.0)
            by.append(chosen)
        images = self._best(scores, k)
        rows = self.version.rows(self._rows[images])
        return tuple(
            WordHit(
                row,
                self.version.tags.get(row.path, ()),
                min(1.0, float(scores[image])),
                tuple(dict.fromkeys(self._words[chosen[image]] for chosen in by if chosen[image] >= 0)),
            )
            for image, row in zip(images.tolist(), rows, strict=True)
        )

    def _matches(self, word: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(N,) score of the best match in each image, 0 without one, and (N,) its word, −1 without one."""
        with self._lock:
            matches = self._database.execute(_FIND, (_phrase(word),)).fetchall()
        best, chosen = np.zeros(len(self._rows)), np.full(len(self._rows), -1, np.int64)
        for number, score in matches:
            images, weights = self._having.of(number)
            is_better = score * weights > best[images]
            best[images[is_better]], chosen[images[is_better]] = score * weights[is_better], number
        return best, chosen

    def _best(self, scores: NDArray[np.float64], k: int) -> NDArray[np.int64]:
        """The k images of the highest scores above 0, equal ones in the order of their hashes."""
        images = np.flatnonzero(scores)
        keys = -np.round(scores[images], DIGITS)
        if len(images) > k:
            images, keys = (part[keys <= np.partition(keys, k - 1)[k - 1]] for part in (images, keys))
        return images[np.lexsort((self._ranks[images], keys))[:k]]


class _Images(NamedTuple):
    """The images of a version that are no objects alone.

    Attributes:
        numbers: path, as bytes → number of the image.
        rows: (N,) int64, that of the whole image, or its first one where it has none.
        ranks: (N,) int64, places in the order of the content hashes.
        owner: (m,) int64, number of the image of each row that is no object.
        given: (m,) int64, those rows.
    """

    numbers: dict[bytes, int]
    rows: NDArray[np.int64]
    ranks: NDArray[np.int64]
    owner: NDArray[np.int64]
    given: NDArray[np.int64]


def _images_of(version: Version) -> _Images:
    given = np.flatnonzero(~version.objects)
    if not len(given):
        return _Images({}, *[np.empty(0, np.int64)] * 4)
    paths = version.column("path", given).dictionary_encode()
    owner = np.asarray(paths.indices.to_numpy(zero_copy_only=False), np.int64)
    is_part = version.column("box", given).is_valid().to_numpy(zero_copy_only=False)
    order = np.lexsort((given, is_part, owner))
    rows = given[order[np.searchsorted(owner[order], np.arange(len(paths.dictionary)))]]
    by_hash = pc.array_sort_indices(version.column("content_hash", rows)).to_numpy()
    ranks = np.empty(len(rows), np.int64)
    ranks[by_hash] = np.arange(len(rows))
    numbers = {path: number for number, path in enumerate(paths.dictionary.to_pylist())}
    return _Images(numbers, rows, ranks, owner, given)


_Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Images, words, and how much each says of its image, all (n,)."""


def _of_labels(version: Version, images: _Images, words: dict[str, int]) -> _Pairs:
    """What images are labelled, each label for all of its image; its words are numbered in `words`."""
    if not len(images.given):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    lists = version.column("labels", images.given)
    labels = lists.flatten().dictionary_encode()
    known = [words.setdefault(to_text(label), len(words)) for label in labels.dictionary.to_pylist()]
    place = np.asarray(labels.indices.to_numpy(zero_copy_only=False), np.int64)
    owner = images.owner[pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)]
    return owner, np.array(known, np.int64)[place], np.ones(len(owner))


def _of_tags(tags: Mapping[str, Sequence[Tag]], numbers: Mapping[bytes, int], words: dict[str, int]) -> _Pairs:
    """What images are tagged, as `_of_labels`."""
    chosen = [(numbers[key], own) for path, own in tags.items() if (key := to_bytes(path)) in numbers]
    owner = np.repeat(
        np.array([number for number, _ in chosen], np.int64), np.array([len(own) for _, own in chosen], np.int64)
    )
    every = list(chain.from_iterable(own for _, own in chosen))
    known = [words.setdefault(tag.word, len(words)) for tag in every]
    return owner, np.array(known, np.int64), np.array([tag.weight for tag in every], np.float64)


class _Having(NamedTuple):
    """Which images have each of V words: those of word v from `starts[v]` to `starts[v + 1]`.

    Attributes:
        starts: (V + 1,) int64.
        images: (W,) int64.
        weights: (W,) float64, of the word for the image.
    """

    starts: NDArray[np.int64]
    images: NDArray[np.int64]
    weights: NDArray[np.float64]

    def of(self, word: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The images that have a word, and its weights."""
        own = slice(self.starts[word], self.starts[word + 1])
        return self.images[own], self.weights[own]


def _images_by_word(
    images: NDArray[np.int64], words: NDArray[np.int64], weights: NDArray[np.float64], *, count: int
) -> _Having:
    """Pairs by word, of those that are there twice the one of the higher weight."""
    order = np.lexsort((-weights, images, words))
    images, words, weights = images[order], words[order], weights[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (np.diff(words) != 0) | (np.diff(images) != 0)
    starts = np.searchsorted(words[is_first], np.arange(count + 1))
    return _Having(starts, images[is_first], weights[is_first])


def _plain(word: str) -> str:
    """The word without bytes that are no text, which SQLite refuses, and without NUL, behind which it reads nothing."""
    return word.encode("utf-8", "replace").decode().replace("\0", " ")


def _phrase(word: str) -> str:
    """The word as FTS5 reads a phrase, whatever signs it holds."""
    return '"' + _plain(word).replace('"', '""') + '"'
