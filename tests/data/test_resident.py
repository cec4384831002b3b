import numpy as np
import pytest
import torch

from dqh.data import resident as residence
from dqh.data.digits import Digits
from dqh.data.features import Features
from dqh.data.resident import Resident, room_on
from dqh.data.store import Store
from dqh.inputs import InputSpec
from tests.data.memory import Memory

CPU = torch.device("cpu")
GROUPS = [np.array([7, 2, 1]), np.array([2]), np.array([0, 0, 9]), np.array([], dtype=np.int64)]


@pytest.mark.parametrize("chunk", [1, 100, 2**20])
@pytest.mark.parametrize("loaded", [False, True])
def test_batches_are_those_of_the_store(chunk, loaded, monkeypatch):
    """Rows 2 and 5 are bad; 48 bytes a row: read one by one, two at a time, all at once."""
    monkeypatch.setattr(residence, "_CHUNK_BYTES", chunk)
    store = Store(Memory(np.zeros(10, int), bad=[2, 5]), InputSpec(size=4, resize=4))
    if loaded:
        store.load(np.arange(10))
    found = list(Resident(store, np.array([9, 7, 2, 1, 0, 5, 0]), device=CPU).batches(GROUPS))
    for batch, wanted in zip(found, store.batches(GROUPS), strict=True):
        assert torch.equal(batch.rows, wanted.rows)
        assert batch.images.dtype == torch.uint8
        assert torch.equal(batch.images, wanted.images)
    assert store.skipped.keys() == {2, 5}


def test_views_are_crops_in_channels_last_order():
    """R = 8, S = 5: the crop begins at (8 - 5) // 2 = 1."""
    store = Store(Digits(), InputSpec(size=5, resize=8))
    images = Resident(store, np.arange(9), device=CPU)
    rows = np.array([4, 0])
    (whole,), (batch,) = images.batches([rows]), images.batches([rows], size=5)
    assert whole.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.images.numpy(), Digits().read_many(rows)[:, :, 1:6, 1:6])


def test_vectors(tmp_path):
    np.save(tmp_path / "features.npy", np.array([[1, 2], [np.inf, 1], [3, 4]], np.float16))
    np.save(tmp_path / "labels.npy", np.zeros(3, int))
    vectors = Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    store = Store(vectors, InputSpec(size=2, resize=2, kind="vector"))
    (batch,) = Resident(store, np.arange(3), device=CPU).batches([np.array([2, 1, 0])])
    assert batch.images.tolist() == [[3, 4], [1, 2]]
    assert batch.rows.tolist() == [2, 0]


def test_no_batches_of_no_groups():
    store = Store(Memory(np.zeros(3, int)), InputSpec(size=4, resize=4))
    assert list(Resident(store, np.arange(3), device=CPU).batches([])) == []


def test_a_cpu_has_its_images_already():
    assert room_on(CPU) == 0
