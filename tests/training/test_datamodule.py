"""The order of batches, and augmentation."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from dqh.data import Augment, Digits, Protocol, prepare
from dqh.inputs import InputSpec
from dqh.models import Encoder, HashHead, SmallResNet
from dqh.training.datamodule import HashDataModule

SPEC = InputSpec(size=16, resize=16)
AUGMENT = Augment(padding=2)


def datamodule(
    tmp_path: Path,
    *,
    seed: int = 0,
    batch_size: int = 32,
    overfit: int | None = None,
    spec: InputSpec = SPEC,
    augment: Augment = AUGMENT,
) -> HashDataModule:
    split = Protocol("counts", query=40, train=240, validation=40).draw(Digits())
    data = prepare(Digits(), split, spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    return HashDataModule(data, augment=augment, batch_size=batch_size, eval_batch_size=64, seed=seed, overfit=overfit)


def test_an_epoch_shows_every_image_at_most_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    data = datamodule(tmp_path)
    first, again, second = data.order(0), data.order(0), data.order(1)
    assert first.shape == (6, 32)
    assert len(np.unique(first)) == first.size
    assert set(first.ravel()) <= set(data.train)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, datamodule(tmp_path, seed=1).order(0))


def test_a_batch_is_never_larger_than_the_data(tmp_path: Path) -> None:
    data = datamodule(tmp_path, batch_size=10_000)
    assert data.order(0).shape == (1, 200)
    assert len(data.train_dataloader()) == 1


def test_validation_batches_cover_the_images_once_with_their_labels(tmp_path: Path) -> None:
    data = datamodule(tmp_path)
    data.eval_batch_size = 15
    batches = list(data.val_dataloader())
    assert [len(batch.rows) for batch in batches] == [15, 15, 10]
    rows = torch.cat([batch.rows for batch in batches]).numpy()
    assert np.array_equal(rows, data.validation)
    labels = torch.cat([batch.labels for batch in batches]).numpy()
    assert np.array_equal(labels, Digits().labels[rows])
    assert batches[0].images.shape == (15, 3, 16, 16)


def test_overfitting_shows_a_few_training_images_ten_times_and_validates_on_them(tmp_path: Path) -> None:
    """20 images in batches of 8: 10 · 20 / 8 = 25 steps an epoch."""
    whole, data = datamodule(tmp_path), datamodule(tmp_path, batch_size=8, overfit=20)
    assert len(data.train) == 20
    assert set(data.train) <= set(whole.train)
    assert np.array_equal(data.train, data.validation)
    assert data.augment is None
    assert len(data.train_dataloader()) == 25
    assert data.order(0).shape == (25, 8)
    assert np.array_equal(np.unique(data.order(0), return_counts=True)[1], np.full(20, 10))
    assert not np.array_equal(data.train, datamodule(tmp_path, seed=1, overfit=20).train)


def test_a_cutout_is_0_to_the_network(tmp_path: Path) -> None:
    """A square of 31 pixels hides all 16 × 16, wherever its centre is, with what normalises to exactly 0."""
    spec = InputSpec(size=16, resize=16, mean=(0.49, 0.48, 0.45), std=(0.2, 0.3, 0.4))
    data = datamodule(tmp_path, spec=spec, augment=Augment(cutout=31))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_idx=0))
    data.trainer = SimpleNamespace(training=True, current_epoch=0, fit_loop=loop)
    batch = data.labelled(next(data.store.batches(data.order(0), size=16)))
    views = data.on_after_batch_transfer(batch, 0).images
    encoder = Encoder(SmallResNet(width=4, size=16), HashHead(16, 3), spec=spec)
    assert torch.equal(encoder.normalise(views), torch.zeros(32, 3, 16, 16))
