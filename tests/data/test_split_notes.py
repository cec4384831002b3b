"""What is told of a split before anything is trained."""

import numpy as np
import pytest

from dqh.data.protocols import Protocol
from dqh.data.split_notes import split_notes
from tests.data.memory import Memory

LONG_TAIL = np.repeat(np.arange(18), [120, 120] + [6] * 16)


def notes(labels, *, roles=None, **options):
    source = Memory(labels, roles=roles)
    protocol = Protocol(**({"protocol": "counts", "query": "auto", "validation": "auto"} | options))
    return split_notes(protocol, protocol.draw(source).rows(source), source)


def test_one_line_says_what_was_chosen_and_how_to_choose_otherwise():
    assert notes(np.tile(np.arange(3), 60)) == (
        "split of 180 images: 27 query, 153 database, 135 train, 18 validation; shares (query 15%, validation 12%, at "
        "most 1,000) as the sizes of the classes allow; other numbers by split.query=N split.validation=N",
        (),
    )
    assert "shares (validation 12%, at" in notes(np.tile(np.arange(3), 60), query=20).chosen


def test_own_numbers_need_no_line():
    assert notes(np.tile(np.arange(3), 60), query=20, validation=20) == ("", ())
    roles = {"query": range(20), "train": range(20, 90), "validation": range(90, 100)}
    assert notes(np.tile(np.arange(2), 50), protocol="given", query=None, roles=roles) == ("", ())


def test_small_classes_are_counted():
    (line,) = notes(np.repeat(np.arange(6), [40, 40, 1, 1, 2, 5])).warnings
    assert line == (
        "4 of 6 classes have fewer than 6 images: 2 with one image give no query, 2 with two to five give at most half "
        "of them as queries or for validation"
    )
    (line,) = notes(np.repeat(np.arange(3), [40, 1, 40])).warnings
    assert line == "1 of 3 classes has fewer than 6 images: one image gives no query"


def test_pairs_alone_are_told_once():
    """No class has an image for validation."""
    found = notes(np.repeat(np.arange(50), 2))
    assert found.warnings == (
        "all 50 classes have fewer than 6 images: two to five give at most half of them as queries or for validation",
    )
    assert "0 validation, so that the last epoch is kept and no ranking is chosen; shares" in found.chosen


def test_queries_that_no_ranking_can_answer_are_counted():
    """Even numbers of rare and large classes take 5 or 6 of the 6 of each rare one; the draw itself stays as it was."""
    unanswered, untrained = notes(LONG_TAIL, query=100, validation=100).warnings
    assert unanswered.startswith("54 of 100 queries have no relevant image in the database: no ranking can answer them")
    assert unanswered.endswith("; split.query=auto keeps one for every query")
    assert untrained == "16 of 18 classes of the queries have no image to train on"
    assert notes(LONG_TAIL).warnings == ()
    assert notes(np.tile(np.arange(4), 25), query=20, validation=0, unseen=2).warnings == ()  # meant so


def test_several_labels_an_image():
    labels = np.zeros((40, 3), bool)
    labels[:20, 0] = labels[20:, 1] = True
    labels[0] = [False, False, True]
    roles = {"query": [0, 1, 2], "train": range(3, 40)}
    lines = notes(labels, protocol="given", query=None, validation=0, roles=roles).warnings
    assert lines[0] == "1 of 3 queries has no relevant image in the database: no ranking can answer it"
    assert lines[1] == "1 of 2 classes of the queries has no image to train on"


@pytest.mark.parametrize("several", [False, True])
def test_validation_images_of_a_class_each_are_told(several):
    labels = np.repeat(np.arange(40), 4)
    line = notes(np.eye(40, dtype=bool)[labels] if several else labels, query=40, validation=2, seed=1).warnings[-1]
    assert line.startswith("no two of the 2 validation images share a class: val/mAP is 0 in every epoch; split.valid")
