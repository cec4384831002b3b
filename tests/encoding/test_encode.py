"""Encoding rows of a source."""

import numpy as np
import pytest
import torch

from dqh.data import Digits, Store
from dqh.encoding import encode as encoding
from dqh.encoding import encoded_rows, encoder_run
from dqh.errors import BadImageError, DqhError
from dqh.models import Encoder, HashHead, Identity, SmallResNet
from dqh.quantizers import Threshold

CPU = torch.device("cpu")


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=8)
    return Encoder(backbone, HashHead(16, 12)).eval()


def encode(encoder: Encoder, rows: np.ndarray, *, batch_size: int = 16) -> encoded_rows.EncodedRows:
    store = Store(Digits(), encoder.spec)
    return encoding.encode(encoder, Threshold(12), store=store, rows=rows, device=CPU, batch_size=batch_size)


def test_every_row_in_order_whatever_the_batch(encoder: Encoder) -> None:
    rows = np.array([5, 3, 1000, 7, 42])
    encoded = encode(encoder, rows, batch_size=2)
    assert encoded.rows.tolist() == rows.tolist()
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(Digits().read_many(rows)))
    assert np.allclose(encoded.embedding, wanted.embedding, atol=1e-6)  # batches of another size: last digits
    assert np.allclose(encoded.features, wanted.features, atol=1e-5)
    assert np.array_equal(encoded.codes, Threshold(12).encode(encoded.embedding))


def test_unusable_rows_are_left_out(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Digits.read

    def read(self: Digits, row: int):
        if row in (3, 4, 5):
            raise BadImageError("scratched")
        return real(self, row)

    monkeypatch.setattr(Digits, "bulk_size", None)
    monkeypatch.setattr(Digits, "read", read)
    encoded = encode(encoder, np.arange(8), batch_size=3)
    assert encoded.rows.tolist() == [0, 1, 2, 6, 7]
    assert len(encoded.codes) == len(encoded.features) == 5


def test_a_batch_is_bounded_by_its_bytes(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(Digits(), encoder.spec)
    monkeypatch.setattr(encoded_rows, "BATCH_BYTES", 3 * store.row_bytes + 1)
    _, batches = encoding.batches_of(store, np.arange(10), encoder.spec, size=8)
    assert [len(batch.rows) for batch in batches] == [3, 3, 3, 1]
    monkeypatch.setattr(encoded_rows, "BATCH_BYTES", 1)
    _, batches = encoding.batches_of(store, np.arange(2), encoder.spec, size=8)
    assert [len(batch.rows) for batch in batches] == [1, 1]


def test_many_features_go_to_a_file_and_are_the_same(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(40)
    kept = encode(encoder, rows)
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 0)
    filed = encode(encoder, rows)
    assert isinstance(filed.features.base, np.memmap)
    assert np.array_equal(kept.features, filed.features)


def test_nothing_to_encode(encoder: Encoder) -> None:
    encoded = encode(encoder, np.empty(0, np.int64))
    assert encoded.codes.shape == (0, 2)


class Small(torch.nn.Module):
    """A device that has memory for so many images at a time, or one that breaks otherwise."""

    def __init__(self, network: torch.nn.Module, most: int, error: RuntimeError) -> None:
        super().__init__()
        self.network, self.most, self.error = network, most, error
        self.dimension, self.sizes = network.dimension, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise self.error
        self.sizes.append(len(images))
        return self.network(images)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later", 2),
    ],
)
def test_out_of_memory_halves_the_batch_and_loses_nothing(
    encoder: Encoder, error: RuntimeError, caplog: pytest.LogCaptureFixture
) -> None:
    """16 images do not fit, nor 8; 4 do: 37 images are nine fours and a last one, in order."""
    rows = np.random.default_rng(0).permutation(1000)[:37]
    wanted = encode(encoder, rows, batch_size=4)
    encoder.backbone = Small(encoder.backbone, 5, error)
    found = encode(encoder, rows, batch_size=16)
    assert encoder.backbone.sizes == [4] * 9 + [1]
    assert found.rows.tolist() == rows.tolist()
    assert np.array_equal(found.embedding, wanted.embedding)
    assert np.array_equal(found.features, wanted.features)
    assert np.array_equal(found.codes, wanted.codes)
    assert found.speed.batch_size == 4
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "out of memory on cpu with 16 images at a time; going on with 8",
        "out of memory on cpu with 8 images at a time; going on with 4",
    ]


def test_no_memory_for_one_image(encoder: Encoder) -> None:
    encoder.backbone = Small(encoder.backbone, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(DqhError, match=r"cpu has no memory for the network and one image \(CUDA out .* device=cpu"):
        encode(encoder, np.arange(9), batch_size=4)


@pytest.mark.parametrize("count", [2, 3])
def test_devices_take_batches_in_turn_and_change_nothing(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """45 images in batches of 8 are 6 batches; CPUs stand for GPUs, each with a copy of the network of its own."""
    rows = np.random.default_rng(1).permutation(1000)[:45]
    wanted = encode(encoder, rows, batch_size=8)
    taken: list[tuple[int, int]] = []
    at_once = encoder_run._at_once

    def noted(images: torch.Tensor, network: Encoder, device: torch.device) -> encoder_run.Part:
        taken.append((id(network), len(images)))
        return at_once(images, network, device)

    monkeypatch.setattr(encoder_run, "_at_once", noted)
    monkeypatch.setattr(encoding, "shared_by", lambda device, devices: (device,) * devices)
    store = Store(Digits(), encoder.spec)
    found = encoding.encode(encoder, Threshold(12), store=store, rows=rows, device=CPU, batch_size=8, devices=count)
    assert [size for _, size in taken] == [8] * 5 + [5]
    networks = [network for network, _ in taken]
    assert networks == networks[:count] * (6 // count)
    assert len(set(networks)) == count
    assert networks[0] == id(encoder)
    for field in ("rows", "codes", "embedding", "features"):
        assert np.array_equal(getattr(found, field), getattr(wanted, field))


def test_other_errors_of_the_network_are_not_hidden(encoder: Encoder) -> None:
    encoder.backbone = Small(encoder.backbone, 2, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        encode(encoder, np.arange(9), batch_size=4)


def test_images_themselves_are_encoded_as_those_of_a_store(encoder: Encoder) -> None:
    images = Digits().read_many(np.arange(20))
    found = encoding.encode(encoder, Threshold(12), store=images, device="cpu")
    wanted = encode(encoder, np.arange(20), batch_size=encoded_rows.BATCH_SIZE)
    assert found.rows.tolist() == list(range(20))
    assert np.array_equal(found.embedding, wanted.embedding)
    some = encoding.encode(encoder, Threshold(12), store=images, rows=np.array([7, 3]), device="cpu", batch_size=1)
    assert np.allclose(some.embedding, wanted.embedding[[7, 3]], atol=1e-6)  # batches of another size: last digits


def test_vectors_themselves() -> None:
    vectors = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    encoder = Encoder(Identity(size=6), HashHead(6, 4)).eval()
    found = encoding.encode(encoder, Threshold(4), store=vectors, device="cpu", batch_size=2)
    assert np.array_equal(found.features, vectors)


def test_where_the_time_went(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="dqh.encoding.encode")
    speed = encode(encoder, np.arange(50)).speed
    assert speed.images == 50
    assert min(speed.waiting, speed.transfer, speed.network) > 0
    assert speed.waiting + speed.transfer + speed.network <= speed.seconds
    assert speed.images_per_s == 50 / speed.seconds
    assert f"encoded images: {speed}" in caplog.text
    assert caplog.records[-1].levelname == ("INFO" if speed.seconds >= encoded_rows.TOLD else "DEBUG")
    by_hand = encoded_rows.Speed(3000, 2.0, 0.5, 0.25, 1.0, 64)
    assert str(by_hand) == ("3,000 in 2.0 s, 1,500 a second: 0.5 s waiting for decoding, 0.2 s transfer, 1.0 s network")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"store": np.zeros((2, 3, 8, 9), np.uint8)}, r"images must be uint8 of shape \(N, 3, 8, 8\), got uint8 of"),
        ({"store": np.zeros((2, 3, 8, 8))}, "got float64 of shape"),
        ({"rows": None}, "rows must be given with a store, got None"),
    ],
)
def test_arguments_that_cannot_be_used(encoder: Encoder, changed: dict, message: str) -> None:
    arguments = {"store": Store(Digits(), encoder.spec), "rows": np.arange(3)} | changed
    with pytest.raises(ValueError, match=message):
        encoding.encode(encoder, Threshold(12), **arguments)


@pytest.mark.parametrize("unusable", [(), (3, 4, 17), tuple(range(16))])
def test_padded_batches_have_one_shape_and_give_each_image_the_same_digits(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, unusable: tuple[int, ...]
) -> None:
    """40 images in batches of 20, of which the network sees 16 at a time: 16, 4 and 12 zeros, 16, 4 and 12 zeros.

    The second half alone gets the digits that it has as a half; one that cannot be used moves no other.
    """
    real = Digits.read

    def read(self: Digits, row: int):
        if row in unusable:
            raise BadImageError("scratched")
        return real(self, row)

    monkeypatch.setattr(Digits, "bulk_size", None)
    monkeypatch.setattr(Digits, "read", read)
    encoder.backbone = backbone = Small(encoder.backbone, 16, RuntimeError("too many"))
    store = Store(Digits(), encoder.spec)

    def padded(rows: np.ndarray) -> encoded_rows.EncodedRows:
        return encoding.encode(encoder, Threshold(12), store=store, rows=rows, device=CPU, batch_size=20, padded=True)

    whole = padded(np.arange(40))
    assert backbone.sizes == [16] * (4 if len(unusable) < 16 else 3)
    assert whole.rows.tolist() == [row for row in range(40) if row not in unusable]
    half = padded(np.arange(20, 40))
    assert np.array_equal(half.embedding, whole.embedding[-20:])
    assert np.array_equal(half.features, whole.features[-20:])
    assert np.array_equal(half.codes, whole.codes[-20:])
    plain = encode(encoder, np.arange(40))
    assert np.allclose(plain.features, whole.features, atol=1e-5)  # batches of another size: last digits
    assert padded(np.arange(20, 23)).rows.tolist() == [20, 21, 22]
