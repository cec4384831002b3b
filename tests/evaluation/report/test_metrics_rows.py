"""The rows of an evaluation, of codes and of boxes."""

from dqh.evaluation.report.metrics_rows import BOXES, measured_rows


def test_codes_have_their_rows_and_a_detector_one() -> None:
    rows = [{"search": "binary", "mAP@all": 0.5}, {"search": "untrained", "mAP@all": 0.1}]
    assert measured_rows({"rows": rows}) == rows
    detection = {"ap50": 0.5, "ap": None, "ar": 0.75, "classes": []}
    assert measured_rows({"detection": detection, "proposals": {"recall": None}}) == [
        {"search": BOXES, "AP@.5": 0.5, "AP@[.5:.95]": None, "AR@100": 0.75, "recall": None}
    ]
    assert measured_rows({}) == []
