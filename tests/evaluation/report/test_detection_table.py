from dqh.evaluation.detection import evaluate_detections
from dqh.evaluation.report.detection_table import render_detection
from tests.evaluation.detected import found, true


def test_a_line_a_class_and_their_mean():
    """Of three classes one is found, one is missed, one has no true box."""
    truth = [true((0, 0, 0, 10, 10), (1, 20, 20, 30, 30)), true()]
    boxes = found([(0, 0.9, 0, 0, 10, 10), (2, 0.8, 20, 20, 30, 30)], [])
    result = evaluate_detections(truth, boxes, class_names=["cow", "motorbike", "bus"])
    assert render_detection(result).splitlines() == [
        "class       AP@.5  AP@[.5:.95]  AR@100  boxes  photos",
        "---------  ------  -----------  ------  -----  ------",
        "cow        1.0000       1.0000  1.0000      1       1",
        "motorbike  0.0000       0.0000  0.0000      1       1",
        "bus             –            –       –      0       0",
        "---------  ------  -----------  ------  -----  ------",
        "mean       0.5000       0.5000  0.5000      2       1",
        "",
        "2 boxes found in 2 photos, 1 without a true box · mean over 2 classes; 1 without a true box not measured",
    ]


def test_difficult_boxes_have_a_column_where_there_are_some():
    truth = [true((0, 0, 0, 10, 10), (0, 20, 20, 30, 30, True))]
    lines = render_detection(evaluate_detections(truth, found([]), class_names=["cow"])).splitlines()
    assert lines[0] == "class   AP@.5  AP@[.5:.95]  AR@100  boxes  photos  difficult"
    assert lines[2] == "cow    0.0000       0.0000  0.0000      1       1          1"
    assert lines[-1] == "0 boxes found in 1 photo, 0 without a true box · mean over 1 class"
