"""What the base of detectors makes of a network: maps with and without a gradient, objects, values of an epoch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqh.data.boxes import Boxes
from dqh.errors import NonFiniteLossError
from dqh.training.detection.detection_module import DetectionBatch, objects_in
from tests.training.detection.conftest import FROZEN


def test_objects_are_whole_boxes_that_lie_on_no_surer_one_of_their_class() -> None:
    """Boxes 0 and 1 are one object of class 0, box 2 is empty, and box 3 is one of class 1 in the same place as 0."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [5, 5, 5, 9], [0, 0, 10, 10]]])
    scores = torch.tensor([[[0.9, 0.0], [0.8, 0.0], [0.7, 0.7], [0.0, 0.6]]])
    (objects,) = objects_in(boxes, scores, [(48, 48)])
    assert objects.boxes.tolist() == [[0, 0, 10, 10], [0, 0, 10, 10]]
    assert objects.classes.tolist() == [0, 1]
    np.testing.assert_allclose(objects.scores, [0.9, 0.6])


def test_what_lies_in_the_padding_is_none(small) -> None:
    """A photo of 48 × 30 in 48 × 48: the first box ends with it, the second lies below, the third one is inside."""
    boxes = torch.tensor([[[0.0, 10, 20, 45], [0, 31, 20, 45], [24, 0, 30, 9]]])
    (objects,) = objects_in(boxes, torch.tensor([[[0.9], [0.8], [0.7]]]), [(48, 30)])
    assert objects.boxes.tolist() == [[0, 10, 20, 30], [24, 0, 30, 9]]


def test_a_frozen_trunk_gives_maps_without_a_gradient(small) -> None:
    images = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    whole, heads = small().method, small(optimizer=FROZEN).method
    assert (whole.trunk.is_frozen, heads.trunk.is_frozen) == (False, True)
    assert whole.maps(images)[0].requires_grad
    maps = heads.maps(images)
    assert not maps[0].requires_grad
    assert heads.maps(tuple(part.half() for part in maps))[0].dtype == torch.float32


def test_what_a_frozen_stem_gives_goes_on_through_the_body(small) -> None:
    """The maps of what was kept are those of the images, and the body learns of them."""
    images = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    method = small(optimizer={"lr_multipliers": {"network.trunk.stem": 0}}).method
    assert (method.trunk.stem_is_frozen, method.trunk.is_frozen) == (True, False)
    kept = method.trunk.kept(images)
    maps = method.maps(tuple(kept))
    assert [tuple(part.shape[1:]) for part in kept] == method.trunk.kept_shapes
    for ours, wanted in zip(maps, method.maps(images), strict=True):
        assert ours.requires_grad
        torch.testing.assert_close(ours, wanted)


def test_layers_that_are_frozen_keep_their_statistics(small) -> None:
    """Of a trunk whose first layers alone are frozen, and whose normalisations would learn."""
    method = small(optimizer={"lr_multipliers": {"network.trunk.stem": 0}}).method
    images = torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8)
    first, *_, last = method.trunk.norms()
    before = [norm.running_mean.clone() for norm in (first, last)]
    method.train()
    method.maps(images)
    assert torch.equal(first.running_mean, before[0])
    assert not torch.equal(last.running_mean, before[1])


def test_an_epoch_is_measured_by_its_boxes(small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that proposes the true box alone has an AP of 1; a photo with nothing in it takes nothing from that."""
    method = small().method.eval()
    box = torch.tensor([[8.0, 8, 24, 30]])
    nothing = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    truths = {4: Boxes(box.numpy(), np.array([1]), np.array([False])), 5: nothing}
    proposed = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]])
    method.network.propose = lambda maps: (box.repeat(2, 1, 1), proposed)
    data = SimpleNamespace(
        truths=truths,
        source=SimpleNamespace(class_names=("square", "disc"), ids=np.arange(9)),
        inputs=SimpleNamespace(sizes={4: (48, 48), 5: (48, 40)}),
    )
    monkeypatch.setattr(type(method), "trainer", SimpleNamespace(datamodule=data, global_step=3, current_epoch=0))
    logged: dict[str, float] = {}
    monkeypatch.setattr(method, "log", lambda name, value: logged.update({name: value}))
    batch = DetectionBatch(
        torch.zeros(2, 3, 48, 48, dtype=torch.uint8),
        (box, torch.zeros(0, 4)),
        (torch.tensor([1]), torch.zeros(0, dtype=torch.int64)),
        torch.tensor([4, 5]),
    )
    with torch.no_grad():
        method.validation_step(batch, 0)
    method.on_validation_epoch_end()
    assert logged.pop("val/loss") > 0
    assert logged == {"val/mAP": 1, "val/AP": 1, "val/AR": 1}
    method.network.propose = lambda maps: (box.repeat(2, 1, 1) * float("nan"), proposed)
    with torch.no_grad(), pytest.raises(NonFiniteLossError, match=r"not finite at step 3 .* of 2 images, such as 4, 5"):
        method.validation_step(batch, 0)


def test_a_network_that_is_frozen_as_a_whole_can_be_put_into_either_mode(small) -> None:
    method = small(optimizer=FROZEN).method
    method.requires_grad_(requires_grad=False)
    for mode in (True, False):
        method.train(mode)
        assert not method.network.training
