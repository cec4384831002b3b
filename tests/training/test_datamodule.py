"""The order of batches, and augmentation."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dqh.data import Augment, Digits, ImageList, Protocol, Resident, prepare
from dqh.errors import DataError
from dqh.inputs import InputSpec
from dqh.models import Encoder, HashHead, SmallResNet
from dqh.training import datamodule as datamodules
from dqh.training.datamodule import HashDataModule, Lag, filled
from dqh.training.module import TrainingBatch

SPEC = InputSpec(size=16, resize=16)
AUGMENT = Augment(padding=2)


def datamodule(
    tmp_path: Path,
    *,
    seed: int = 0,
    batch_size: int = 32,
    processes: int = 1,
    overfit: int | None = None,
    passes: int = 1,
    spec: InputSpec = SPEC,
    augment: Augment | None = AUGMENT,
) -> HashDataModule:
    split = Protocol("counts", query=40, train=240, validation=40).draw(Digits())
    data = prepare(Digits(), split, spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    return HashDataModule(
        data,
        augment=augment,
        batch_size=batch_size,
        eval_batch_size=64,
        seed=seed,
        overfit=overfit,
        passes=passes,
        processes=processes,
    )


def test_an_epoch_shows_every_image_at_most_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    data = datamodule(tmp_path)
    first, again, second = data.order(0), data.order(0), data.order(1)
    assert first.shape == (6, 32)
    assert len(np.unique(first)) == first.size
    assert set(first.ravel()) <= set(data.train)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, datamodule(tmp_path, seed=1).order(0))


def test_an_epoch_of_several_passes_shows_every_image_as_often_by_other_views(tmp_path: Path) -> None:
    """200 images, a whole batch of them three times: after one step begins the second pass."""
    data = datamodule(tmp_path, batch_size=200, passes=3)
    assert data.order(0).shape == (3, 200)
    assert np.array_equal(np.sort(data.order(0), axis=1), np.tile(np.sort(data.train), (3, 1)))
    current = SimpleNamespace(ready=0)
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=current)))
    data.trainer = SimpleNamespace(training=True, current_epoch=0, fit_loop=loop)
    views = []
    for current.ready in (0, 0, 1):
        batch = data.labelled(next(data.store.batches(np.sort(data.order(0)), size=None)))
        views.append(data.on_after_batch_transfer(batch, 0).images)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


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


def test_batches_on_the_device_are_those_of_the_store(tmp_path: Path) -> None:
    data = datamodule(tmp_path)
    groups, cpu = data.order(0), torch.device("cpu")
    from_store = list(data.batches(groups, cpu))
    data._resident = Resident(data.store, data.train, device=cpu)
    for batch, wanted in zip(data.batches(groups, cpu), from_store, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, wanted, strict=True))
    data.teardown("fit")
    assert data._resident is None


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("number", [0, 1])
def test_bad_images_leave_the_parts_of_two_processes_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, resident: bool
) -> None:
    """Of 20 images that are decoded when they are needed, 3 are broken; steps of 10 are two parts of 5."""
    for row in range(22):
        Image.new("RGB", (16, 16), (10 * row, 0, 0)).save(tmp_path / f"{row}.png")
    lines = [f"{row}.png {row % 2} {1 - row % 2}\n" for row in range(22)]
    (tmp_path / "query.txt").write_text("".join(lines[:2]))
    (tmp_path / "train.txt").write_text("".join(lines[2:]))
    source = ImageList(root=tmp_path, query="query.txt", train="train.txt", max_bad_fraction=0.5)
    split = Protocol("given").draw(source)
    skipped = tmp_path / "skipped.csv"
    images = prepare(source, split, SPEC, allow_duplicates=True, skipped_file=skipped, memory_limit=0, workers=0)
    monkeypatch.setattr(datamodules, "count", lambda: 2)
    data = HashDataModule(images, augment=None, batch_size=10, eval_batch_size=64, seed=0, processes=2)
    groups, cpu = data.order(0)[:, 5 * number : 5 * number + 5], torch.device("cpu")
    broken = groups[0, :3]
    for row in broken:
        (tmp_path / str(source.ids[row])).write_bytes(b"no picture")
    if resident:
        data._resident = Resident(data.store, data.train, device=cpu)
    batches = list(data.batches(groups, cpu))
    assert [tuple(map(len, batch)) for batch in batches] == [(5, 5, 5), (5, 5, 5)]
    assert set(batches[0].rows.tolist()) == set(groups[0].tolist()) - set(broken.tolist())
    assert batches[0].images[:, 0, 0, 0].tolist() == [10 * row for row in batches[0].rows.tolist()]
    assert batches[0].labels[:, 0].tolist() == [row % 2 for row in batches[0].rows.tolist()]


def test_the_example_has_the_form_of_a_batch(tmp_path: Path) -> None:
    """Shape, type and strides: for another the compiler would begin anew."""
    for augment in (AUGMENT, None):
        data = datamodule(tmp_path, augment=augment)
        data.trainer = SimpleNamespace(training=True, current_epoch=0)
        batch = next(data.batches(data.order(0), torch.device("cpu")))
        images, example = data.on_after_batch_transfer(batch, 0).images, data.example(torch.device("cpu"))
        assert (example.shape, example.dtype, example.stride()) == (images.shape, images.dtype, images.stride())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_processes_share_batches_and_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Of three, each has a third of 30 images of each of 6 steps, and the views that one process would draw of them."""
    whole = datamodule(tmp_path, batch_size=30)
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=2))))
    trainer = SimpleNamespace(
        training=True, current_epoch=1, fit_loop=loop, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    whole.trainer = trainer
    wanted = [whole.on_after_batch_transfer(batch, 0) for batch in whole.train_dataloader()]
    monkeypatch.setattr(datamodules, "count", lambda: 3)
    monkeypatch.setattr(datamodules, "rank", lambda: number)
    part = datamodule(tmp_path, batch_size=32, processes=3)
    part.trainer = trainer
    found = [part.on_after_batch_transfer(batch, 0) for batch in part.train_dataloader()]
    assert (part.batch_size, len(found), len(wanted)) == (30, 4, 4)
    for own, every in zip(found, wanted, strict=True):
        for values, those in zip(own, every, strict=True):
            torch.testing.assert_close(values, those[10 * number : 10 * number + 10])
    assert part.waited > 0


def test_processes_share_validation_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 images in batches of 15 are three; of two processes the second gets an empty one, to be called as often."""
    data = datamodule(tmp_path)
    data.eval_batch_size = 15
    wanted, found = [batch.rows.tolist() for batch in data.val_dataloader()], []
    monkeypatch.setattr(datamodules, "count", lambda: 2)
    for number in range(2):
        monkeypatch.setattr(datamodules, "rank", lambda number=number: number)
        found.append([batch.rows.tolist() for batch in data.val_dataloader()])
        assert len(found[-1]) == len(data.val_dataloader()) == 2
    assert found == [[wanted[0], wanted[2]], [wanted[1], []]]


def test_a_part_of_a_batch_is_filled_with_its_own_images() -> None:
    """Two of five images cannot be used: the first two of the others appear twice."""
    batch = TrainingBatch(torch.arange(3)[:, None], torch.tensor([5, 6, 7]), torch.tensor([1, 2, 3]))
    assert filled(batch, 5).rows.tolist() == [1, 2, 3, 1, 2]
    assert filled(batch, 5).images.tolist() == [[0], [1], [2], [0], [1]]
    assert filled(batch, 3) is batch
    with pytest.raises(DataError, match="none of the 4 images of a step can be used"):
        filled(TrainingBatch(*(values[:0] for values in batch)), 4)


def test_more_processes_than_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="201 processes need as many train images, got 200"):
        datamodule(tmp_path, batch_size=1000, processes=201)


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


def test_the_host_is_a_few_steps_ahead_of_a_device_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the fifth of five calls two events are over: those of the first and the second step."""
    waited: list[int] = []

    class Event:
        number = 0

        def __init__(self, *, blocking: bool) -> None:
            assert blocking
            Event.number += 1
            self.number = Event.number

        def record(self, stream: object) -> None:
            assert stream == "stream of cuda:1"

        def synchronize(self) -> None:
            waited.append(self.number)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    lag = Lag(torch.device("cuda:1"), steps=3)
    for _ in range(5):
        lag.bound()
    assert waited == [1, 2]
    Lag(torch.device("cpu")).bound()
    assert Event.number == 5


def test_views_are_told_in_words(tmp_path: Path) -> None:
    mirrored = "none; augment.* sets them"  # digits of 8 pixels
    assert datamodule(tmp_path).views == "shifted by up to 2 pixels (zeros)"
    assert datamodule(tmp_path, augment=None).views == datamodule(tmp_path, augment=Augment()).views == mirrored
    assert datamodule(tmp_path, overfit=32).views == mirrored
    assert datamodule(tmp_path, augment=Augment(), spec=InputSpec(16, 20)).views == "a random 16 of 20 pixels"


def test_mirroring_is_proposed_for_what_may_be_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = datamodule(tmp_path, augment=None)
    monkeypatch.setattr(data.source, "size", 160)
    assert data.views == "none; augment.flip=true mirrors, which suits photos"
