import json
import sys

import numpy as np
import pytest

from dqh.data.boxes import Boxes
from dqh.data.class_map import LEFT_OUT
from dqh.detection.detections import Detections
from dqh.errors import DqhError
from dqh.evaluation.detection import evaluate_detections, in_classes, proposal_recall
from tests.evaluation.detected import found, scene, true


def test_average_precision_by_hand():
    """Two true boxes; found by falling score: right, wrong, right.

    Precision after them 1, 1/2, 2/3 at recall 1/2, 1/2, 1. Made falling: 1 at the 51 recalls 0 … 0.50, 2/3 at the 50
    recalls 0.51 … 1, together (51 + 100/3) / 101. The overlaps are 1, so that every threshold says the same.
    """
    truth = [true((0, 0, 0, 10, 10)), true((0, 20, 20, 30, 30))]
    boxes = found([(0, 0.9, 0, 0, 10, 10), (0, 0.8, 50, 50, 60, 60)], [(0, 0.7, 20, 20, 30, 30)])
    result = evaluate_detections(truth, boxes, class_names=["cow"])
    expected = (51 + 100 / 3) / 101
    assert result.ap50 == pytest.approx(expected, abs=1e-12)
    assert result.ap == pytest.approx(expected, abs=1e-12)
    assert result.ar == 1.0
    (row,) = result.classes
    assert row == ("cow", result.ap50, result.ap, 1.0, 2, 0, 2)
    assert (result.photos, result.negatives, result.detections, result.boxes, result.measured) == (2, 0, 3, 2, 1)


def test_thresholds_by_hand():
    """An overlap of .62 is right at .5, .55 and .6, three of ten thresholds, and wrong at the others."""
    result = evaluate_detections([true((0, 0, 0, 10, 10))], found([(0, 0.9, 0, 0, 10, 6.2)]), class_names=["cow"])
    assert (result.ap50, result.ap, result.ar) == (1.0, pytest.approx(0.3), pytest.approx(0.3))


def test_a_box_is_found_once():
    """The same box twice: the second one is wrong, which costs nothing behind the recall of 1, and half before it."""
    twice = [(0, 0.9, 0, 0, 10, 10), (0, 0.8, 0, 0, 10, 10)]
    truth = [true((0, 0, 0, 10, 10)), true((0, 0, 0, 10, 10))]
    assert evaluate_detections(truth[:1], found(twice), class_names=["cow"]).ap50 == 1.0
    result = evaluate_detections(truth, found(twice, [(0, 0.1, 0, 0, 10, 10)]), class_names=["cow"])
    assert result.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_classes_without_true_boxes_are_not_measured():
    """Of three classes, one is found, one is missed, one has no true box: the means are over two."""
    truth = [true((0, 0, 0, 10, 10), (1, 20, 20, 30, 30)), true()]
    boxes = found([(0, 0.9, 0, 0, 10, 10), (2, 0.8, 20, 20, 30, 30)], [(2, 0.9, 0, 0, 5, 5)])
    result = evaluate_detections(truth, boxes, class_names=["cow", "dog", "bus"])
    assert [row.ap50 for row in result.classes] == [1.0, 0.0, None]
    assert [row.ar for row in result.classes] == [1.0, 0.0, None]
    assert [row.photos for row in result.classes] == [1, 1, 0]
    assert (result.ap50, result.ap, result.ar) == (0.5, 0.5, 0.5)
    assert (result.measured, result.negatives) == (2, 1)
    content = json.loads(json.dumps(result.to_json()))
    assert content["classes"][2]["ap"] is None
    assert content["measured"] == 2


@pytest.mark.parametrize("photos", [0, 2])
def test_nothing_to_find_is_no_zero(photos):
    boxes = found(*[[(0, 0.9, 0, 0, 5, 5)]] * photos)
    result = evaluate_detections([true()] * photos, boxes, class_names=["cow"])
    assert (result.ap50, result.ap, result.ar, result.measured) == (None, None, None, 0)
    assert proposal_recall([true()] * photos, boxes).recall is None


def test_nothing_found_is_zero():
    result = evaluate_detections([true((0, 0, 0, 9, 9))], found([]), class_names=["cow", "dog"])
    assert [row.ap for row in result.classes] == [0.0, None]
    assert proposal_recall([true((0, 0, 0, 9, 9))], found([])).recall == 0.0


def test_difficult_boxes_count_nowhere():
    """Two found boxes in a difficult one, one of them small: neither is wrong, though they come first.

    A third one, of which 40 of 100 square pixels lie in it, is wrong: precision 1/2 at all recalls.
    """
    truth = [true((0, 0, 0, 50, 50, True), (0, 60, 60, 70, 70))]
    inside = [(0, 0.9, 0, 0, 50, 50), (0, 0.8, 5, 5, 9, 9)]
    right = (0, 0.5, 60, 60, 70, 70)
    result = evaluate_detections(truth, found([*inside, right]), class_names=["cow"])
    assert result.ap50 == 1.0
    assert (result.classes[0].boxes, result.classes[0].difficult, result.classes[0].photos) == (1, 1, 1)
    edge = (0, 0.7, 46, 0, 56, 10)
    assert evaluate_detections(truth, found([*inside, edge, right]), class_names=["cow"]).ap50 == pytest.approx(0.5)
    hard = evaluate_detections([true((0, 0, 0, 50, 50, True))], found(inside), class_names=["cow"])
    assert (hard.ap50, hard.measured, hard.negatives) == (None, 0, 1)
    assert proposal_recall(truth, found([*inside, right])).boxes == 1


def test_at_most_a_hundred_boxes_of_a_class_and_photo_count():
    wrong = [(0, 0.9, 50, 50, 60, 60)] * 100
    right = (0, 0.5, 0, 0, 10, 10)
    truth = [true((0, 0, 0, 10, 10))]
    assert evaluate_detections(truth, found([*wrong, right]), class_names=["cow"]).ar == 0.0
    assert evaluate_detections(truth, found([*wrong[1:], right]), class_names=["cow"]).ar == 1.0
    others = [(1, 0.9, 50, 50, 60, 60)] * 100
    assert evaluate_detections(truth, found([*others, right]), class_names=["cow", "dog"]).ar == 1.0


def test_recall_of_proposals_by_hand():
    """Three true boxes, found whatever their class: one at IoU 1, one at .62, one not; at IoU .7 one of three."""
    truth = [true((0, 0, 0, 10, 10), (1, 20, 20, 30, 30)), true((2, 0, 0, 10, 10))]
    boxes = found([(7, 0.1, 0, 0, 10, 10), (-3, 0.9, 20, 20, 30, 26.2)], [(0, 0.9, 50, 50, 60, 60)])
    recall = proposal_recall(truth, boxes)
    assert recall == (pytest.approx(2 / 3), 3, 2, 0.5, 100)
    assert proposal_recall(truth, boxes, iou=0.7).recall == pytest.approx(1 / 3)
    assert proposal_recall(truth, boxes, most=1).recall == pytest.approx(1 / 3)  # the one of .62 has the higher score


@pytest.mark.parametrize("seed", range(6))
def test_the_numbers_are_those_of_pycocotools(seed, capsys):
    truth, boxes = scene(seed, difficult=(0.0, 0.3)[seed % 2])
    precision, recall = reference(truth, boxes, classes=5)
    result = evaluate_detections(truth, boxes, class_names=list("abcde"))
    assert len({row.ap for row in result.classes}) > 3  # there is something to compare
    for place, row in enumerate(result.classes):
        if row.boxes == 0:
            assert (precision[:, :, place] == -1).all()
            assert row[1:4] == (None, None, None)
        else:
            assert row.ap50 == pytest.approx(precision[0, :, place].mean(), abs=1e-12)
            assert row.ap == pytest.approx(precision[:, :, place].mean(), abs=1e-12)
            assert row.ar == pytest.approx(recall[:, place].mean(), abs=1e-12)
    assert result.ap == pytest.approx(precision[precision > -1].mean(), abs=1e-12)
    one = [part._replace(classes=np.zeros_like(part.classes)) for part in truth]
    _, recall = reference(one, boxes._replace(classes=np.where(boxes.valid, 0, -1)), classes=1)
    assert proposal_recall(truth, boxes).recall == pytest.approx(recall[0, 0], abs=1e-12)
    assert proposal_recall(truth, boxes, iou=0.75).recall == pytest.approx(recall[5, 0], abs=1e-12)


def reference(truth, boxes, *, classes):
    """Precision (10, 101, C) and recall (10, C) by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def side(rows):
        api = COCO()
        api.dataset = {
            "images": [{"id": place} for place in range(len(truth))],
            "categories": [{"id": place} for place in range(classes)],
            "annotations": [
                row | {"id": number, "area": row["bbox"][2] * row["bbox"][3]} for number, row in enumerate(rows, 1)
            ],
        }
        api.createIndex()
        return api

    def row(place, corners, number, **more):
        x0, y0, x1, y1 = map(float, corners)
        return {"image_id": place, "category_id": int(number), "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0} | more

    true_rows = [
        row(place, corners, number, iscrowd=int(hard))
        for place, part in enumerate(truth)
        for corners, number, hard in zip(*part, strict=True)
    ]
    found_rows = [
        row(place, boxes.boxes[place, rank], boxes.classes[place, rank], score=float(boxes.scores[place, rank]))
        for place, rank in zip(*np.nonzero(boxes.valid), strict=True)
    ]
    evaluator = COCOeval(side(true_rows), side(found_rows), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval["precision"][:, :, :, 0, -1], evaluator.eval["recall"][:, :, 0, -1]


def test_nothing_is_printed(capfd):
    evaluate_detections(*scene(0), class_names=list("abcd"))
    assert capfd.readouterr() == ("", "")


def test_the_order_of_photos_does_not_matter():
    truth, boxes = scene(3)
    order = np.random.default_rng(0).permutation(len(truth))
    moved = Detections(*(part[order] for part in boxes))
    one = evaluate_detections(truth, boxes, class_names=list("abcd"))
    other = evaluate_detections([truth[place] for place in order], moved, class_names=list("abcd"))
    assert one == other


def test_other_class_numbers():
    """Of three classes of the detector, the first is left out, the others are 1 and 0 here; valid ones come first."""
    boxes = found([(0, 0.9, 0, 0, 1, 1), (2, 0.8, 0, 0, 2, 2), (1, 0.7, 0, 0, 3, 3)], [(0, 0.5, 0, 0, 4, 4)])
    here = in_classes(boxes, np.array([LEFT_OUT, 1, 0]))
    assert here.classes.tolist() == [[0, 1, -1], [-1, -1, -1]]
    assert here.valid.tolist() == [[True, True, False], [False] * 3]
    assert here.boxes[0].tolist() == [[0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 0, 0]]
    assert here.scores[0].tolist() == [np.float32(0.8), np.float32(0.7), 0]
    assert [part.dtype for part in here] == [part.dtype for part in boxes]
    assert boxes.classes[0].tolist() == [0, 2, 1]  # the input stays


def test_classes_that_become_one_are_suppressed_among_each_other():
    """Two names of one object, .8 of which they have in common; what lies on both has a name of its own and stays.

    Boxes of one class that the detector left beside each other, such as the last two, stay where theirs is not merged.
    """
    boxes = found([(0, 0.9, 0, 0, 10, 10), (1, 0.8, 0, 0, 10, 8), (2, 0.7, 0, 0, 10, 10), (2, 0.6, 0, 0, 10, 9)])
    here = in_classes(boxes, np.array([1, 1, 0]))
    assert here.classes.tolist() == [[1, 0, 0, -1]]
    assert here.scores[0].tolist() == [np.float32(0.9), np.float32(0.7), np.float32(0.6), 0]
    assert in_classes(boxes, np.array([1, 1, 0]), iou=0.8).classes.tolist() == [[1, 1, 0, 0]]
    assert in_classes(boxes, np.array([1, 2, 0])).classes.tolist() == [[1, 2, 0, 0]]


BAD = true((0, 0, 0, 5, 5))


@pytest.mark.parametrize(
    ("truth", "boxes", "match"),
    [
        ([BAD], found([], []), r"boxes must be \(1, K, 4\) as there are 1 photos, got \(2, 1, 4\); scores must be"),
        ([BAD], found([(3, 0.5, 0, 0, 5, 5)]), "detections: class 3, wanted 0 … 1"),
        ([BAD], found([(0, np.nan, 0, 0, 5, 5)]), "detections: a score is no finite number"),
        ([BAD], found([(0, 0.5, 0, 0, np.inf, 5)]), "detections: an edge is no finite number"),
        ([BAD], found([(0, 0.5, 5, 0, 5, 5)]), r"detections: \[5.0, 0.0, 5.0, 5.0\] is no box x0, y0, x1, y1"),
        ([true((2, 0, 0, 5, 5))], found([]), r"truth\[0\]: class 2, wanted 0 … 1"),
        ([true((0, 0, 0, -5, 5))], found([]), r"truth\[0\]: .* is no box"),
        ([Boxes(BAD.boxes[0], BAD.classes, BAD.difficult)], found([]), r"truth\[0\] must have the shapes \(K, 4\)"),
        ([BAD], found([])._replace(scores=np.zeros((1, 3))), r"detections must be of one K, boxes of 4 edges, got"),
    ],
)
def test_what_makes_no_sense(truth, boxes, match):
    with pytest.raises(ValueError, match=match):
        evaluate_detections(truth, boxes, class_names=["cow", "dog"])


@pytest.mark.parametrize(
    ("options", "match"), [({"iou": 0}, "iou must be"), ({"iou": 1.1}, "iou"), ({"most": 0}, "most must")]
)
def test_arguments_of_recall(options, match):
    with pytest.raises(ValueError, match=match):
        proposal_recall([BAD], found([]), **options)


def test_without_the_package_an_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(DqhError, match="faster-coco-eval; install it: uv sync --inexact --extra detection"):
        evaluate_detections([BAD], found([]), class_names=["cow"])
