"""The surest boxes that lie on no surer one, by hand; `test_faster_rcnn_network` compares them with numpy's."""

import torch

from dqh.models.detectors.surest_boxes import selected

BOXES = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 0.5, 20], [20, 20, 30, 30]])
LOGITS = torch.tensor([0.5, 1.0, 9.0, -2.0])


def test_the_surest_boxes_that_lie_on_no_surer_one() -> None:
    """Box 0 lies on box 1 by .9, box 2 is less than a pixel wide, and there are two for four places."""
    boxes, sure = selected(BOXES, LOGITS, most=4, objectness=0.0, iou=0.7)
    assert boxes.tolist() == [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(sure, torch.tensor([0.7311, 0.1192, 0, 0]), atol=1e-4, rtol=0)


def test_limits() -> None:
    """Of an overlap of .9 exactly, none is two; 1 / (1 + e²) is no half."""
    assert selected(BOXES, LOGITS, most=3, objectness=0.0, iou=0.9)[0].tolist() == [
        [0, 0, 10, 10],
        [0, 0, 10, 9],
        [20, 20, 30, 30],
    ]
    assert selected(BOXES, LOGITS, most=3, objectness=0.5, iou=0.7)[1][1:].tolist() == [0, 0]
    assert selected(BOXES, LOGITS, most=1, objectness=0.0, iou=0.7)[0].tolist() == [[0, 0, 10, 10]]
