"""Dots and their signals by hand: two photos, three dots, an index of five rows."""

from typing import Any

import numpy as np
import pytest

from dqh.data.boxes import Boxes, no_boxes
from dqh.detection.detections import Detections
from dqh.discovery.annotate import Kernel
from dqh.discovery.dot_signals import OTHER, SIGNALS, Dots, dots_of, search_precision, signals_of, true_objects
from dqh.ranking import Ranking

CAT, DOG = 0, 3


def dots(photos: list[int], boxes: list[list[float]], classes: list[int]) -> Dots:
    scores = np.linspace(0.9, 0.5, len(photos)).astype(np.float32)
    return Dots(
        np.array(photos, np.int64), np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(classes, np.int64)
    )


def marked(boxes: list[list[float]], classes: list[int]) -> Boxes:
    return Boxes(np.array(boxes, np.float32), np.array(classes), np.zeros(len(classes), bool))


def test_a_dot_for_each_valid_detection() -> None:
    detections = Detections(
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.array([[0.9, 0.5, 0.0], [0.8, 0.0, 0.0]], np.float32),
        np.array([[2, 1, -1], [0, -1, -1]]),
        np.array([[True, True, False], [True, False, False]]),
    )
    found = dots_of(detections)
    assert found.photos.tolist() == [0, 0, 1]
    assert found.classes.tolist() == [2, 1, 0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.8])
    assert found.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [12, 13, 14, 15]]
    assert found.places.tolist() == [[1, 2], [5, 6], [13, 14]]


def test_signals_by_hand() -> None:
    """Row classes: cat, cat, dog, none, dog.

    The first dot, a cat in 20 × 10 of 40 × 20 pixels, finds cat, cat, dog, none: conformity 2/4; of 4 · 3 ordered pairs
    two are of one class, 1/6; all at one distance, so that the shares are 2/4 and 1/4. The second, a dog in all of its
    photo, finds one dog and no more: 1, no pair, 1 − 0. The third, a cat, finds the row of no class twice over.
    """
    rows = np.array([CAT, CAT, DOG, OTHER, DOG])
    answers = Ranking(
        np.array([[0, 1, 2, 3], [4, -1, -1, -1], [3, 3, -1, -1]]),
        np.array([[7, 7, 7, 7], [2, np.inf, np.inf, np.inf], [5, 6, np.inf, np.inf]], np.float32),
    )
    given = dots([0, 1, 1], [[0, 0, 20, 10], [0, 0, 10, 10], [0, 0, 5, 2]], [CAT, DOG, CAT])
    values = signals_of(
        given,
        sizes=np.array([[40, 20], [10, 10]]),
        answers=answers,
        row_classes=rows,
        kernel=Kernel("exponential", 1.0, 4),
    )
    expected = {
        "score": [0.9, 0.7, 0.5],
        "nearness": [-7, -2, -5],
        "conformity": [0.5, 1, 0],
        "agreement": [1 / 6, 0, 0],
        "area": [0.25, 1, 0.1],
        "margin": [0.25, 1, 0],
    }
    assert tuple(expected) == SIGNALS
    assert values == pytest.approx(np.array(list(expected.values())).T)


def test_the_margin_weighs_by_distance_and_all_else_counts_the_nearest() -> None:
    """A cat at 0 and two dogs at 9 and 12: excesses 0, 9, 12 of mean 7; the fourth answer is not counted."""
    answers = Ranking(np.array([[0, 2, 4, 1]]), np.array([[0, 9, 12, 13]], np.float32))
    kernel = Kernel("exponential", 1.0, 3)
    (values,) = signals_of(
        dots([0], [[0, 0, 1, 1]], [CAT]),
        sizes=np.array([[1, 1]]),
        answers=answers,
        row_classes=np.array([CAT, CAT, DOG, OTHER, DOG]),
        kernel=kernel,
    )
    dog = np.exp(-9 / 7) + np.exp(-12 / 7)
    assert values[SIGNALS.index("margin")] == pytest.approx((1 - dog) / (1 + dog))
    assert values[SIGNALS.index("conformity")] == pytest.approx(1 / 3)
    assert values[SIGNALS.index("agreement")] == pytest.approx(1 / 3)


def test_a_class_that_the_index_does_not_have_conforms_to_nothing() -> None:
    """Neither a number above those of the rows, nor `OTHER`, which answers of no class have too."""
    values = signals_of(
        dots([0, 0], [[0, 0, 1, 1]] * 2, [7, OTHER]),
        sizes=np.array([[2, 1]]),
        answers=Ranking(np.array([[0], [0]]), np.zeros((2, 1), np.float32)),
        row_classes=np.array([OTHER]),
        kernel=Kernel("equal", 0.0, 1),
    )
    assert values[:, SIGNALS.index("conformity")].tolist() == [0, 0]
    assert values[:, SIGNALS.index("margin")].tolist() == [0, 0]


def test_no_dots() -> None:
    values = signals_of(
        dots([], [], []),
        sizes=np.array([[2, 1]]),
        answers=Ranking(np.zeros((0, 4), np.int64), np.zeros((0, 4), np.float32)),
        row_classes=np.zeros(0, np.int64),
        kernel=Kernel("equal", 0.0, 1),
    )
    assert values.shape == (0, len(SIGNALS))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.zeros((2, 1), np.int64), "wanted the answers of 1 dots, got those of 2"),
        (np.full((1, 1), -1), "a dot has no answers, and so no signals; search an index that has rows"),
        (np.zeros((1, 0), np.int64), "a dot has no answers"),
    ],
)
def test_answers_that_say_nothing(ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signals_of(
            dots([0], [[0, 0, 1, 1]], [CAT]),
            sizes=np.array([[1, 1]]),
            answers=Ranking(ids, np.zeros(ids.shape, np.float32)),
            row_classes=np.array([CAT]),
            kernel=Kernel("equal", 0.0, 1),
        )


def test_what_lies_under_a_dot() -> None:
    """Boxes of 10 × 10: half of one shared is an overlap of 1/3, three quarters of it .6, all of it 1.

    A photo has a cat and, over the same place, a dog that is larger; another has nothing.
    """
    truth = [marked([[0, 0, 10, 10], [0, 0, 10, 12]], [CAT, DOG]), no_boxes()]
    given = dots(
        [0, 0, 0, 0, 1],
        [[0, 0, 10, 10], [0, 0, 10, 12], [0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 10]],
        [CAT, CAT, DOG, CAT, CAT],
    )
    under = true_objects(given, truth)
    assert under.on_class.tolist() == [True, True, True, False, False]
    assert under.classes.tolist() == [CAT, DOG, CAT, OTHER, OTHER]


def test_an_overlap_of_one_half_is_enough() -> None:
    truth = [marked([[0, 0, 10, 10]], [CAT])]
    given = dots([0, 0], [[0, 0, 10, 5], [0, 0, 10, 4.99]], [CAT, CAT])
    assert true_objects(given, truth).on_class.tolist() == [True, False]


def test_precision_of_searches_by_hand() -> None:
    rows = np.array([CAT, CAT, DOG, OTHER])
    answers = Ranking(np.array([[0, 2, 1, 3], [3, 3, 3, -1], [2, -1, -1, -1]]), np.zeros((3, 4), np.float32))
    classes = np.array([CAT, OTHER, DOG])
    assert search_precision(answers, rows, classes, cutoff=2).tolist() == [0.5, 0, 0.5]
    assert search_precision(answers, rows, classes, cutoff=4).tolist() == [0.5, 0, 0.25]
    with pytest.raises(ValueError, match=r"cutoff must be 1 … 4, the answers of a dot, got 10"):
        search_precision(answers, rows, classes)
