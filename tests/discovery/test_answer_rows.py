"""Answers as rows, and their words."""

import numpy as np

from dqh.discovery.answer_rows import AnswerRows, words_of
from dqh.index.store import Hit, Tag


def hit(number: int, distance: float, *labels: str, seen: str | None = None, tags: tuple[Tag, ...] = ()) -> Hit:
    return Hit(number, f"{number}.jpg", labels, None, 0.0, distance, seen, None if seen is None else 0.5, tags)


def test_each_row_is_there_once() -> None:
    """Row 7 answers two searches, in the second one nearer; the second search has fewer answers."""
    answers = AnswerRows()
    answers.add([(hit(5, 1.0), hit(7, 2.0))])
    answers.add([(hit(7, 0.5),), ()])
    assert [row.id for row in answers.rows] == [5, 7]
    ranking = answers.ranking()
    assert ranking.ids.tolist() == [[0, 1], [1, -1], [-1, -1]]
    assert ranking.distances.tolist() == [[1.0, 2.0], [0.5, np.inf], [np.inf, np.inf]]
    assert len(answers) == 3


def test_no_answers() -> None:
    assert AnswerRows().ranking().ids.shape == (0, 0)


def test_words_of_an_answer() -> None:
    """A label or the object counts whole, also where a tag says it with less weight."""
    assert words_of(hit(1, 0.0, "room", seen="lamp", tags=(Tag("brass", 0.5), Tag("lamp", 0.1)))) == {
        "room": 1.0,
        "lamp": 1.0,
        "brass": 0.5,
    }
    assert words_of(hit(1, 0.0)) == {}
    lamp = hit(1, 0.0, "room", seen="lamp", tags=(Tag("brass", 0.5), Tag("lamp", 0.1)))
    assert words_of(lamp, ("labels",)) == {"room": 1.0}
    assert words_of(lamp, ("objects", "labels")) == {"room": 1.0, "lamp": 1.0}
    assert words_of(lamp, ("tags",)) == {"brass": 0.5, "lamp": 0.1}
