"""Encoding rows of a source."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.data import Digits, Store
from dqh.errors import BadImageError
from dqh.evaluation import encoding
from dqh.models import Encoder, HashHead, SmallResNet
from dqh.quantizers import Threshold

CPU = torch.device("cpu")


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=8)
    return Encoder(backbone, HashHead(16, 12)).eval()


def encode(encoder: Encoder, rows: np.ndarray, *, batch_size: int = 16) -> encoding.Encoded:
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


def test_many_features_go_to_a_file_and_are_the_same(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(40)
    kept = encode(encoder, rows)
    monkeypatch.setattr(encoding, "IN_MEMORY", 0)
    filed = encode(encoder, rows)
    assert isinstance(filed.features.base, np.memmap)
    assert np.array_equal(kept.features, filed.features)


def test_nothing_to_encode(encoder: Encoder) -> None:
    encoded = encode(encoder, np.empty(0, np.int64))
    assert encoded.codes.shape == (0, 2)


def test_the_temporary_file_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room = encoding.room(3, 4)
    room[:] = 1
    assert list(tmp_path.iterdir()) == []
