"""Search of the images of an index by words: what they are labelled and tagged, by SQLite's FTS5, in memory.

A row of the text table is a word of an image, so that a short tag that is the word itself comes before a long one that
only holds it, and what is rare counts more (BM25, by SQLite). Words are compared without case and accents, by their
stems (Porter 1980): `shoes` finds `shoe`. Nothing is written: the table is made of one version of an index, in about
two seconds of a core for 500,000 words, and a newer version has its own.

N images of the version, W words of all images together.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dqh.errors import DqhError
from dqh.index.store.rows import StoredRow, to_text
from dqh.index.store.tags import Tag
from dqh.index.store.version import Version

_TABLE = """
    CREATE VIRTUAL TABLE words USING fts5(
        word, image UNINDEXED, weight UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2'
    )
"""

_FIND = """
    WITH matching AS MATERIALIZED (
        SELECT image, word, weight * -bm25(words) AS score FROM words WHERE words MATCH ?
    )
    SELECT image, word, MAX(score) FROM matching GROUP BY image
"""
"""A row an image that has the word: its number, the word as the image has it, and a score above 0."""


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
        self._rows: list[int] = []
        self._hashes: list[bytes] = []
        with self._database:
            self._database.executemany("INSERT INTO words VALUES (?, ?, ?)", self._pairs())
        (self.words,) = self._database.execute("SELECT COUNT(*) FROM words").fetchone()

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
        if k < 1 or any(not much > 0 for _, much in asked):
            raise ValueError(f"k must be at least 1, and words be asked for as much as above 0, got {k} and {asked}")
        scores: dict[int, float] = {}
        words: dict[int, list[str]] = {}
        total = sum(much for _, much in asked)
        for word, much in asked:
            with self._lock:
                matches = self._database.execute(_FIND, (_phrase(word),)).fetchall()
            best = max((score for *_, score in matches), default=1.0)
            for image, own, score in matches:
                scores[image] = scores.get(image, 0.0) + much / total * score / best
                if own not in words.setdefault(image, []):
                    words[image].append(own)
        images = sorted(scores, key=lambda image: (-round(scores[image], DIGITS), self._hashes[image]))[:k]
        rows = self.version.rows(np.array([self._rows[image] for image in images], np.int64))
        return tuple(
            WordHit(row, self.version.tags.get(row.path, ()), min(1.0, scores[image]), tuple(words[image]))
            for image, row in zip(images, rows, strict=True)
        )

    def _pairs(self) -> Iterator[tuple[str, int, float]]:
        """Word, number of the image, and how much it says of it; and on the way which row stands for each image."""
        version = self.version
        rows = np.flatnonzero(~version.objects)
        if not len(rows):
            return
        names = ("path", "labels", "box", "content_hash")
        paths, labels, boxes, hashes = (version.column(name, rows) for name in names)
        own_words: dict[bytes, dict[str, float]] = {}
        chosen: dict[bytes, int] = {}
        columns = (paths.to_pylist(), labels.to_pylist(), boxes.is_null().to_pylist(), hashes.to_pylist())
        for row, path, own, whole, content_hash in zip(rows.tolist(), *columns, strict=True):
            if path not in chosen:
                chosen[path] = row
                own_words[path] = {tag.word: tag.weight for tag in version.tags.get(to_text(path), ())}
                self._hashes.append(content_hash)
            elif whole:
                chosen[path] = row
            own_words[path] |= dict.fromkeys(map(to_text, own), 1.0)
        for number, (path, row) in enumerate(chosen.items()):
            self._rows.append(row)
            yield from ((_plain(word), number, weight) for word, weight in own_words[path].items())


def _plain(word: str) -> str:
    """The word without bytes that are no text, which SQLite refuses, and without NUL, behind which it reads nothing."""
    return word.encode("utf-8", "replace").decode().replace("\0", " ")


def _phrase(word: str) -> str:
    """The word as FTS5 reads a phrase, whatever signs it holds."""
    return '"' + _plain(word).replace('"', '""') + '"'
