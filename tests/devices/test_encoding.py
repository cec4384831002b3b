"""Encoding on a CUDA device that is not there: the host never waits before it takes a result."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqh.data.store import Batch
from dqh.encoding.encoder_run import EncoderRun
from dqh.models import Encoder, HashHead, Identity, SmallResNet
from tests.devices.guard import stand_in_cuda

IMAGES = torch.randint(256, (10, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Event(SimpleNamespace):
    """One of CUDA's, that comes at once."""

    def __init__(self, **_: object) -> None:
        self.waited_for = False

    def record(self) -> None:
        """Nothing has to be done."""

    def synchronize(self) -> None:
        """It is there."""

    def elapsed_time(self, other: "Event") -> float:
        """Milliseconds."""
        return 1.0


def encoder(kind: str) -> tuple[Encoder, torch.Tensor]:
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=8) if kind == "image" else Identity(size=6)
    images = IMAGES if kind == "image" else IMAGES.float().flatten(1)[:, :6].contiguous()
    return Encoder(backbone, HashHead(backbone.dimension, 12)).eval(), images


@pytest.mark.parametrize("kind", ["image", "vector"])
def test_batches_pass_without_a_wait(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    network, images = encoder(kind)
    groups = np.array_split(np.arange(len(images)), 3)

    def batches() -> object:
        return (Batch(images[rows], torch.from_numpy(rows)) for rows in groups)

    with torch.inference_mode():
        wanted = list(EncoderRun(network, (torch.device("cpu"),), 2).run(batches()))
        with stand_in_cuda() as device:
            run = EncoderRun(network, (torch.device("cuda", 0),), 2)
            assert all(value.is_cuda for value in network.state_dict().values())
            with device.step():
                found = list(run.run(batches()))
    assert len(found) == len(wanted)
    for part, right in zip(found, wanted, strict=True):
        assert not part.embedding.is_cuda
        assert torch.equal(part.embedding, right.embedding)
        assert torch.equal(part.features, right.features)
    assert run.network == pytest.approx(len(found) / 1000)
