"""Search of images by what they are labelled and tagged."""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.collection.word_search import WordSearch
from dqh.errors import DqhError
from dqh.index.store import Header, Row, Tag, Writer, open_index, remove
from dqh.quantizers import Threshold

HEADER = Header("5eed" * 16, Threshold(8), 2, root="/photos", detector_id="5ee2" * 16)


def make(path: Path, rows: Sequence[Row], tags: Mapping[str, Sequence[Tag]] | None = None) -> Path:
    with Writer(path, HEADER) as writer:
        writer.add(rows, np.zeros((len(rows), 1), np.uint8), np.zeros((len(rows), 2), np.float32))
        if tags is not None:
            writer.tag(tags)
        writer.commit()
    return path


def search(path: Path) -> WordSearch:
    return WordSearch(open_index(path).version)


def found(words: WordSearch, *asked: tuple[str, float], **more: Any) -> list[tuple[str, float, tuple[str, ...]]]:
    return [(hit.row.path, round(hit.score, 3), hit.words) for hit in words.search(asked, **more)]


ROWS = [Row(f"{name}.jpg", labels) for name, labels in (("a", ("dress",)), ("b", ()), ("c", ("hat",)), ("d", ()))]
TAGS = {"b.jpg": [Tag("Dresses", 0.5)], "c.jpg": [Tag("red summer dress")], "d.jpg": [Tag("address"), Tag("été")]}


def test_labels_and_tags_by_stem_case_and_accent(tmp_path: Path) -> None:
    """Of three rows that hold `dress`, that of a is it, c's is longer, and of b half is said: a tag of weight .5."""
    words = search(make(tmp_path / "index", ROWS, TAGS))
    assert words.words == 6
    (first, *others) = found(words, ("dress", 1.0))
    assert first == ("a.jpg", 1.0, ("dress",))
    assert {path: own for path, _, own in others} == {"b.jpg": ("Dresses",), "c.jpg": ("red summer dress",)}
    scores = {path: score for path, score, _ in others}
    assert scores["b.jpg"] == 0.5
    assert 0 < scores["c.jpg"] < 1
    assert found(words, ("ETE", 1.0)) == [("d.jpg", 1.0, ("été",))]
    assert found(words, ("summer dress", 1.0)) == [("c.jpg", 1.0, ("red summer dress",))]
    assert found(words, ("dress summer", 1.0)) == []
    hit = words.search([("hat", 1.0)])[0]
    assert (hit.row.labels, hit.tags) == (("hat",), (Tag("red summer dress"),))


def test_the_score_is_bm25_of_sqlite_by_hand(tmp_path: Path) -> None:
    """BM25 with k1 = 1.2 and b = .75: of one word all rows have the same idf, so that their tf parts alone differ.

    The tf part of a row is 2.2 / (1 + 1.2 (.25 + .75 length / mean length)), the mean length (1 + 3 + 1 + 1) / 4 = 1.5.
    `lamp`, of one token, is the best match of its word and has 1; the long tag has the quotient of the tf parts. Asked
    for 3 : 1, all of the first word is 3 / 4, and all of the second 1 / 4.
    """
    rows = [Row(f"{n}.jpg") for n in range(4)]
    tags = {"0.jpg": [Tag("lamp")], "1.jpg": [Tag("old green lamp")], "2.jpg": [Tag("bed")], "3.jpg": [Tag("cup")]}
    words = search(make(tmp_path / "index", rows, tags))

    def tf(length: int) -> float:
        return 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / 1.5))

    assert found(words, ("lamp", 1.0)) == [
        ("0.jpg", 1.0, ("lamp",)),
        ("1.jpg", round(tf(3) / tf(1), 3), ("old green lamp",)),
    ]
    assert found(words, ("lamp", 3.0), ("cup", 1.0)) == [
        ("0.jpg", 0.75, ("lamp",)),
        ("1.jpg", round(0.75 * tf(3) / tf(1), 3), ("old green lamp",)),
        ("3.jpg", 0.25, ("cup",)),
    ]
    assert found(words, ("lamp", 3.0), ("cup", 1.0), k=1) == [("0.jpg", 0.75, ("lamp",))]


def test_whatever_signs_a_word_holds(tmp_path: Path) -> None:
    rows = [Row("a.jpg", ('say "hi" OR (x* NEAR y)', "\udcff")), Row("b.jpg", ("日本",)), Row("\udcff.jpg", ("ok",))]
    words = search(make(tmp_path / "index", rows))
    assert [hit.row.path for hit in words.search([('say "hi" OR (x* NEAR y)', 1.0)])] == ["a.jpg"]
    assert [hit.row.path for hit in words.search([("日本", 1.0)])] == ["b.jpg"]
    assert [hit.row.path for hit in words.search([("ok", 1.0)])] == ["\udcff.jpg"]
    for nothing in ('"', "*", "", "\0", "()", "AND", "\udcff\udcfe"):
        assert words.search([(nothing, 1.0)]) == ()
    assert words.search([]) == ()


def test_rows_of_an_image_are_one_image_and_objects_have_no_words(tmp_path: Path) -> None:
    """A box that was marked comes before the whole image; the labels of both are of the image."""
    box = (0.0, 0.0, 5.0, 5.0)
    rows = [
        Row("a.jpg", ("left",), box),
        Row("a.jpg", ("room",)),
        Row("a.jpg", ("ghost",), (1.0, 1.0, 9.0, 9.0), b"", "cat", 0.5),
        Row("b.jpg", ("only part",), box),
    ]
    words = search(make(tmp_path / "index", rows))
    ((hit,), (other,)) = words.search([("left", 1.0)]), words.search([("part", 1.0)])
    assert (hit.row.id, hit.row.box, other.row.box) == (1, None, box)
    assert words.search([("ghost", 1.0)]) == words.search([("cat", 1.0)]) == ()


def test_another_version_has_its_own(tmp_path: Path) -> None:
    index = make(tmp_path / "index", ROWS, TAGS)
    before = search(index)
    remove(index, paths=["a.jpg"])
    assert "a.jpg" in {hit.row.path for hit in before.search([("dress", 1.0)])}
    assert {hit.row.path for hit in search(index).search([("dress", 1.0)])} == {"b.jpg", "c.jpg"}


def test_an_index_without_rows_or_words(tmp_path: Path) -> None:
    for name, rows in (("none", []), ("dumb", [Row("a.jpg")])):
        words = search(make(tmp_path / name, rows))
        assert (words.words, words.search([("dress", 1.0)])) == (0, ())


def test_threads_share_it(tmp_path: Path) -> None:
    words = search(make(tmp_path / "index", ROWS, TAGS))
    wanted, answers = words.search([("dress", 1.0)]), []

    def ask() -> None:
        answers.extend(words.search([("dress", 1.0)]) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [wanted] * 80


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = search(make(tmp_path / "index", ROWS))
    for k, much, message in ((0, 1.0, "k must be"), (1, 0.0, "as much as above 0"), (1, float("nan"), "got.*nan")):
        with pytest.raises(ValueError, match=message):
            words.search([("dress", much)], k=k)

    class Without:
        def execute(self, statement: str) -> None:
            raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr("dqh.collection.word_search.sqlite3.connect", lambda *_, **__: Without())
    with pytest.raises(DqhError, match=r"no such module: fts5; take a Python whose SQLite has FTS5"):
        search(tmp_path / "index")


def test_many_images_against_loops(tmp_path: Path) -> None:
    """Scores are Σ c s / Σ c, s the tf part times the weight over the best of all; equal ones go by their hash."""
    rng = np.random.default_rng(0)
    names = ["red", "red lamp", "old red lamp", "bed", "deep sea", "sea"]
    labels = [tuple(names[own] for own in rng.choice(6, 2, replace=False)) for _ in range(90)]
    rows = [Row(f"{n}.jpg", own, None, bytes([n % 7])) for n, own in enumerate(labels)]
    tags = {row.path: [Tag(names[n % 6], (1 + n % 4) / 4)] for n, row in enumerate(rows) if n % 3}
    words = search(make(tmp_path / "index", rows, tags))
    every: list[dict[str, float]] = [{tag.word: tag.weight for tag in tags.get(row.path, ())} for row in rows]
    for known, row in zip(every, rows, strict=True):
        known |= dict.fromkeys(row.labels, 1.0)
    assert words.words == sum(map(len, every))
    mean = np.mean([len(name.split()) for name in names])

    def best(known: dict[str, float], asked: str) -> float:
        return max(
            (
                weight * 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(name.split()) / mean))
                for name, weight in known.items()
                if asked in name.split()
            ),
            default=0.0,
        )

    lamp, sea = (np.array([best(known, asked) for known in every]) for asked in ("lamp", "sea"))
    scores = (3 * lamp / lamp.max() + sea / sea.max()) / 4
    order = sorted(np.flatnonzero(scores).tolist(), key=lambda n: (-round(scores[n], 9), n % 7))
    for k in (1, 10, 90):
        hits = words.search([("lamp", 3.0), ("sea", 1.0)], k=k)
        assert [round(hit.score, 6) for hit in hits] == [round(scores[n], 6) for n in order[:k]]
        ranks = [(round(-hit.score, 6), int(hit.row.path[:-4]) % 7) for hit in hits]
        assert ranks == sorted(ranks)
    assert {hit.row.path for hit in hits} == {f"{n}.jpg" for n in order}
