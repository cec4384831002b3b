"""Batches of photos and of kept maps: the same order and truths, views by (seed, epoch, row), none difficult."""

import numpy as np
import pytest
import torch

from dqh.data.boxes import Boxes
from dqh.training.detection.box_augment import BoxAugment
from dqh.training.detection.box_datamodule import DetectionDataModule, batch_of
from dqh.training.detection.fitted_photos import prepare_photos
from dqh.training.detection.kept_maps import KeptMaps
from dqh.training.detection.photo_views import FrozenViews


def data_of(experiment, folder, **arguments) -> DetectionDataModule:
    data = prepare_photos(
        experiment.source,
        experiment.split,
        experiment.size,
        allow_duplicates=False,
        skipped_file=folder / "skipped.csv",
        workers=0,
    )
    return DetectionDataModule(data, augment=experiment.augment, batch_size=4, eval_batch_size=3, seed=3, **arguments)


def test_batches_of_maps_are_those_of_mirrored_photos(small, tmp_path) -> None:
    """Over a frozen trunk: flips of the boxes and of the photo that the maps come from are one draw."""
    experiment = small()
    plain = data_of(experiment, tmp_path)
    trunk, rows = experiment.method.trunk.eval().requires_grad_(requires_grad=False), plain.train.tolist()
    kept = KeptMaps(
        trunk, FrozenViews(plain.inputs, BoxAugment(), seed=3), rows, batch_size=4, device=torch.device("cpu")
    )
    own = data_of(experiment, tmp_path, features=kept, validation_features=kept)
    assert plain.order(1).tolist() == own.order(1).tolist()
    assert plain.order(0).tolist() != plain.order(1).tolist()
    (first, *_), (other, *_) = (list(own.batches(own.order(0), torch.device("cpu"))) for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first.boxes, other.boxes, strict=True))
    flips = [
        bool((boxes.numpy() != own.truths[row].boxes).any())
        for boxes, row in zip(first.boxes, first.rows.tolist(), strict=True)
    ]
    assert len(set(flips)) == 2
    with torch.inference_mode():
        wanted = trunk(torch.from_numpy(own.inputs.pixels(first.rows.tolist(), flips)))
    torch.testing.assert_close(first.inputs[0].float(), wanted[0], rtol=2e-3, atol=1e-3)
    assert own.views == "mirrored"


@pytest.mark.parametrize(
    ("views", "words"),
    [
        (0, "; the rest of augment acts in augment.views, or where the trunk trains along (optimizer.lr_multipliers)"),
        (3, ", or one of 3 random views: mirrored, zoomed out up to 2.0 ×"),
    ],
)
def test_without_room_for_maps_the_views_are_the_same(small, tmp_path, views: int, words: str) -> None:
    """How much memory there is says how a run is computed, and nothing of what it sees."""
    experiment = small(augment={"zoom_out": 2.0, "views": views})
    bare = data_of(experiment, tmp_path, frozen=True)
    rows, trunk = bare.train.tolist(), experiment.method.trunk.eval().requires_grad_(requires_grad=False)
    own = FrozenViews(bare.inputs, experiment.augment, seed=3)
    maps = KeptMaps(trunk, own, rows, batch_size=4, device=torch.device("cpu"))
    kept = data_of(experiment, tmp_path, features=maps)
    one, other = (next(own.batches(own.order(0), torch.device("cpu"))) for own in (kept, bare))
    assert all(torch.equal(first, second) for first, second in zip(one.boxes, other.boxes, strict=True))
    with torch.inference_mode():
        torch.testing.assert_close(one.inputs[0].float(), trunk(other.inputs)[0], rtol=2e-3, atol=1e-3)
    assert kept.views == bare.views == f"mirrored{words}"


def test_photos_are_augmented_with_their_boxes(small, tmp_path) -> None:
    own = data_of(small(augment={"zoom_out": 2.0}), tmp_path)
    batch = next(own.batches(own.order(0), torch.device("cpu")))
    again = next(own.batches(own.order(0), torch.device("cpu")))
    assert batch.inputs.shape == (4, 3, 48, 48)
    assert torch.equal(batch.inputs, again.inputs)
    assert own.views == "mirrored, zoomed out up to 2.0 ×"


def test_validation_photos_come_in_order_as_they_are(small, tmp_path) -> None:
    own = data_of(small(), tmp_path)
    batches = list(own.val_dataloader())
    assert [len(batch.rows) for batch in batches] == [3, 1]
    assert torch.cat([batch.rows for batch in batches]).tolist() == own.validation.tolist()
    assert batches[1].boxes[0].tolist() == own.truths[int(own.validation[3])].boxes.tolist()


def test_difficult_boxes_are_no_targets() -> None:
    truth = Boxes(np.array([[0, 0, 4, 4], [1, 1, 3, 3]], np.float32), np.array([5, 6]), np.array([True, False]))
    batch = batch_of(torch.zeros(1, 3, 8, 8), [truth], [9])
    assert batch.boxes[0].tolist() == [[1, 1, 3, 3]]
    assert (batch.classes[0].tolist(), batch.rows.tolist()) == ([6], [9])
