import numpy as np
import pytest

from dqh.evaluation.detection import proposal_recall
from dqh.evaluation.detection_photos import SIDE, match_photos, photo_gallery
from tests.data.memory import Memory
from tests.evaluation.detected import found, scene, true


def test_a_photo_by_hand():
    """Of three true boxes two are found, one of them twice; one found box is of another class: F1 = 4 / (4 + 2 + 1)."""
    truth = [true((0, 0, 0, 10, 10), (0, 20, 20, 30, 30), (1, 50, 50, 60, 60))]
    boxes = found(
        [
            (0, 0.9, 0, 0, 10, 10),
            (0, 0.8, 1, 0, 10, 10),
            (1, 0.7, 20, 20, 30, 30),
            (0, 0.6, 20, 20, 30, 29),
            (1, 0.2, 50, 50, 60, 60),
        ]
    )
    (match,) = match_photos(truth, boxes)
    assert match.right.tolist() == [True, False, False, True]
    assert match.wrong.tolist() == [False, True, True, False]
    assert match.hit.tolist() == [True, True, False]
    assert match.missed.tolist() == [False, False, True]
    assert match.f1 == pytest.approx(4 / 7)
    (all_of_them,) = match_photos(truth, boxes, threshold=0.0)
    assert all_of_them.f1 == pytest.approx(6 / 8)
    (strict,) = match_photos(truth, boxes, iou=0.95)
    assert strict.hit.tolist() == [True, False, False]


def test_the_best_overlap_is_taken():
    truth = [true((0, 0, 0, 10, 10), (0, 0, 0, 10, 8))]
    (match,) = match_photos(truth, found([(0, 0.9, 0, 0, 10, 8), (0, 0.8, 0, 0, 10, 9)]))
    assert match.hit.tolist() == [True, True]
    assert match.right.all()


def test_difficult_boxes_are_neither_missed_nor_wrong():
    truth = [true((0, 0, 0, 50, 50, True), (1, 0, 0, 50, 50, True))]
    (match,) = match_photos(truth, found([(0, 0.9, 5, 5, 9, 9), (0, 0.8, 0, 0, 50, 50), (0, 0.7, 60, 60, 70, 70)]))
    assert match.ignored.tolist() == [True, True, False]
    assert match.wrong.tolist() == [False, False, True]
    assert not match.hit.any()
    assert not match.missed.any()
    assert match.f1 == 0.0


def test_nothing_to_find():
    empty, wrong = match_photos([true(), true()], found([], [(0, 0.9, 0, 0, 5, 5)]))
    assert (empty.f1, wrong.f1) == (1.0, 0.0)
    (missed,) = match_photos([true((0, 0, 0, 5, 5))], found([]))
    assert missed.f1 == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_as_many_are_found_as_the_library_finds(seed):
    truth, boxes = scene(seed, photos=20, classes=1)
    recall = proposal_recall(truth, boxes, iou=0.8)
    matches = match_photos(truth, boxes, iou=0.8, threshold=0.0)
    assert sum(int(match.hit.sum()) for match in matches) == round(recall.recall * recall.boxes)
    assert 0 < recall.recall < 1


def test_numbers_of_photos_must_agree():
    with pytest.raises(ValueError, match="detections must be of 1 photos, as truth is, got 2"):
        match_photos([true()], found([], []))


def test_the_best_the_typical_and_the_worst_are_shown():
    """Twelve photos of which the k-th has k of eleven boxes found, each of a class of its own."""
    spots = [(10 * place, 0, 10 * place + 5, 5) for place in range(11)]
    truth = [true(*((number, *spot) for spot in spots)) for number in range(12)]
    boxes = found(*[[(number, 0.9, *spot) for spot in spots[:number]] for number in range(12)])
    source = Memory(np.arange(12), side=(600, 300))
    rows = np.arange(12)[::-1].copy()
    shown = photo_gallery(source, rows, match_photos(truth, boxes))
    groups = {group: [photo.id for photo in shown if photo.group == group] for group in ("best", "typical", "worst")}
    assert groups["best"] == ["row/0", "row/1", "row/2"]
    assert groups["worst"] == ["row/11", "row/10", "row/9"]
    assert len(groups["typical"]) == 4
    assert shown[0].image.shape == (SIDE // 2, SIDE, 3)
    assert shown[0].image[0, 0].tolist() == [0, 0, 0]
    assert shown[0].size == (600, 300)
    assert shown[0].match.f1 == 1.0


def test_photos_and_matches_must_agree():
    source = Memory(np.arange(2))
    for rows, matches in ((np.arange(2), match_photos([true()], found([]))), (np.arange(0), [])):
        with pytest.raises(ValueError, match="matches must be of the rows, at least one"):
            photo_gallery(source, rows, matches)
