"""Where features are kept, and which images are taken."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.data import Digits, Store
from dqh.encoding import encoded_rows
from dqh.encoding.encode import encode
from dqh.encoding.encoded_rows import REASON, portions, require_images
from dqh.errors import ArtifactError, BadImageError
from dqh.inputs import InputSpec
from dqh.models import Encoder, HashHead, SmallResNet
from dqh.quantizers import Threshold


def test_the_temporary_file_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room = encoded_rows.room(3, 4)
    room[:] = 1
    assert list(tmp_path.iterdir()) == []


def test_portions_are_of_one_size_but_for_the_last() -> None:
    assert [part.tolist() for part in portions(np.array([5, 3, 9]), 2)] == [[5, 3], [9]]
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        portions(np.array([5]), 0)


@pytest.mark.parametrize(
    ("kind", "images"),
    [
        ("image", np.zeros((2, 3, 4, 4), np.float32)),
        ("image", np.zeros((2, 4, 4, 3), np.uint8)),
        ("vector", np.zeros((2, 5), np.float32)),
        ("vector", np.zeros((2, 4), np.float64)),
    ],
)
def test_other_images_than_enter_the_network_are_refused(kind: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be"):
        require_images(images, InputSpec(size=4, resize=4, kind=kind))


class Spoilt(torch.nn.Module):
    """A backbone whose features of bright images are of a value."""

    def __init__(self, network: torch.nn.Module, value: float, above: float) -> None:
        super().__init__()
        self.network, self.value, self.above, self.dimension = network, value, above, network.dimension

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.flatten(1).mean(1, keepdim=True) > self.above
        return torch.where(bright, torch.tensor(self.value), self.network(images))


def spoilt(value: float, above: float) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(SmallResNet(width=4, size=8), HashHead(16, 12)).eval()
    encoder.backbone = Spoilt(encoder.backbone, value, above)
    return encoder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_single_images_are_unusable(value: float) -> None:
    """Some of the first 60 digits are brighter than the threshold; all the others are encoded as ever."""
    encoder, rows = spoilt(value, -0.38), np.arange(60)
    store = Store(Digits(), encoder.spec)
    found = encode(encoder, Threshold(12), store=store, rows=rows, device="cpu", batch_size=25)
    assert 0 < len(store.skipped) < 60
    assert set(store.skipped.values()) == {REASON}
    assert found.rows.tolist() == [row for row in rows.tolist() if row not in store.skipped]
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.features).all()
    assert np.array_equal(found.codes, Threshold(12).encode(found.embedding))


def test_one_of_an_array_is_named() -> None:
    encoder = spoilt(float("nan"), -0.38)
    images = Digits().read_many(np.arange(60))
    with pytest.raises(BadImageError, match=r"^image \d+ cannot be used: the network answers NaN"):
        encode(encoder, Threshold(12), store=images, device="cpu")


def test_a_network_that_answers_nothing_else_ends_with_the_first_batch() -> None:
    encoder = spoilt(float("nan"), -9.0)
    store = Store(Digits(), encoder.spec)
    with pytest.raises(ArtifactError, match="for each of the first 8 images: its weights cannot be used; look what is"):
        encode(encoder, Threshold(12), store=store, rows=np.arange(60), device="cpu", batch_size=8)
    assert store.skipped == {}
