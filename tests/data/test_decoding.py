from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqh.data import decoding
from dqh.data.decoding import Decoder, received, shareable
from dqh.data.digits import Digits
from dqh.data.features import Features
from dqh.errors import DataError
from dqh.inputs import InputSpec
from tests.data.memory import Memory


def test_good_rows_keep_their_order_and_bad_ones_their_reasons():
    part = Decoder(Memory(np.zeros(9, int), bad=[2, 5]), InputSpec(size=4, resize=4))[np.array([7, 2, 1, 5, 7])]
    assert part.rows.tolist() == [7, 1, 7]
    assert part.images.shape == (3, 3, 4, 4)
    assert part.images[:, 0, 0, 0].tolist() == [7, 1, 7]
    assert part.bad == {2: "row 2 is bad", 5: "row 5 is bad"}
    assert part.images.transpose(0, 2, 3, 1).flags.c_contiguous  # channels last in memory


@pytest.mark.parametrize(("free", "kind"), [(64 * 3 * 48, torch.Tensor), (64 * 3 * 48 - 1, np.ndarray)])
def test_a_worker_shares_images_where_there_is_room(monkeypatch, tmp_path, free, kind):
    """Three images of 3 × 4 × 4 bytes, of which 64 parts must fit."""
    monkeypatch.setattr(decoding, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    part = Decoder(Memory(np.zeros(9, int), bad=[2]), InputSpec(size=4, resize=4))[np.array([7, 2, 1, 7])]
    sent = shareable(part)
    assert type(sent[0]) is kind
    found = received(sent)
    np.testing.assert_array_equal(found.images, part.images)
    assert found.rows.tolist() == [7, 1, 7]
    assert found.bad == {2: "row 2 is bad"}


def test_images_read_in_bulk_equal_those_read_one_by_one():
    class OneByOne(Digits):
        bulk_size = None

    rows, spec = np.array([5, 3, 1700]), InputSpec(size=8, resize=8)
    np.testing.assert_array_equal(Decoder(Digits(), spec)[rows].images, Decoder(OneByOne(), spec)[rows].images)


def vectors(root):
    np.save(root / "features.npy", np.array([[1, 2], [np.nan, 1], [3, 4]], np.float32))
    np.save(root / "labels.npy", np.zeros(3, int))
    return Features(features=root / "features.npy", labels=root / "labels.npy")


def test_an_image_that_does_not_fit_in_memory_is_bad(monkeypatch):
    def full(image, spec):
        raise MemoryError

    monkeypatch.setattr(decoding, "to_array", full)
    part = Decoder(Memory(np.zeros(4, int), bad=[1]), InputSpec(size=4, resize=4))[np.array([0, 1])]
    assert len(part.rows) == 0
    assert part.bad == {0: "not enough memory to read or resize it", 1: "row 1 is bad"}


@pytest.mark.parametrize("shape", [(3, 4, 4), (5,)])
def test_parts_become_one(shape):
    images = [np.arange(n * np.prod(shape), dtype=np.uint8).reshape(n, *shape) for n in (2, 0, 1)]
    parts = [decoding.Decoded(image, np.arange(len(image)) + 10 * k, {k: "bad"}) for k, image in enumerate(images)]
    whole = decoding.joined(parts)
    assert np.array_equal(whole.images, np.concatenate(images))
    assert whole.rows.tolist() == [0, 1, 20]
    assert whole.bad == {0: "bad", 1: "bad", 2: "bad"}


def test_vectors_with_nan_are_bad(tmp_path):
    part = Decoder(vectors(tmp_path), InputSpec(size=2, resize=2, kind="vector"))[np.array([2, 1, 0])]
    assert part.images.tolist() == [[3, 4], [1, 2]]
    assert part.rows.tolist() == [2, 0]
    assert list(part.bad) == [1]


def test_data_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="kind 'vector', the input spec wants 'image'"):
        Decoder(vectors(tmp_path), InputSpec(size=2, resize=2))
    with pytest.raises(DataError, match="length 2, the input spec wants 3"):
        Decoder(vectors(tmp_path), InputSpec(size=3, resize=3, kind="vector"))
    with pytest.raises(DataError, match="kind 'image', the input spec wants 'vector'"):
        Decoder(Digits(), InputSpec(size=3, resize=3, kind="vector"))
